//! The per-namespace settings that decide how long connections live, and what each means.

use std::{collections::BTreeMap, fs};

use super::{
    findings::{NamespaceSettings, Setting},
    retries_in_time::{DATA_BASE_MS, connect_ms, model_ms, synack_ms},
};
use crate::{
    kernel::netns::{self, NetnsError},
    words::time::millis,
};

/// Values by name; a kernel may lack some.
type Values = BTreeMap<&'static str, i64>;

struct Sysctl {
    name: &'static str,
    default: i64,
    meaning: fn(i64, &Values) -> String,
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The kernel keeps these in a byte.
fn retries(value: i64) -> u32 {
    u32::from(u8::try_from(count(value)).unwrap_or(u8::MAX))
}

fn seconds(value: i64) -> String {
    millis(count(value).saturating_mul(1000))
}

fn rto_max_ms(values: &Values) -> u32 {
    // Before 6.15 it is the constant TCP_RTO_MAX, and never more.
    const TCP_RTO_MAX_MS: i64 = 120_000;
    let ms = values.get("tcp_rto_max_ms").copied().unwrap_or(TCP_RTO_MAX_MS);
    ms.clamp(1000, TCP_RTO_MAX_MS) as u32
}

fn data_ms(value: i64, values: &Values) -> String {
    millis(model_ms(retries(value), DATA_BASE_MS, rto_max_ms(values)))
}

fn one_of(on: bool, yes: &str, no: &str) -> String {
    if on { yes } else { no }.to_owned()
}

const SYSCTLS: &[Sysctl] = &[
    Sysctl {
        name: "tcp_retries1",
        default: 3,
        meaning: |value, values| {
            format!(
                "after about {} without an ACK, the kernel looks for another route, and may probe for a smaller MTU",
                data_ms(value, values)
            )
        },
    },
    Sysctl {
        name: "tcp_retries2",
        default: 15,
        meaning: |value, values| {
            format!(
                "gives up at the first timer that expires {} or more after the first retransmission",
                data_ms(value, values)
            )
        },
    },
    Sysctl {
        name: "tcp_orphan_retries",
        default: 0,
        // tcp_orphan_retries(): 0 stands for 8.
        meaning: |value, values| {
            let time = data_ms(if value == 0 { 8 } else { value }, values);
            format!("after close(), the kernel gives unacknowledged data up after about {time}")
        },
    },
    Sysctl {
        name: "tcp_syn_retries",
        default: 6,
        meaning: |value, values| {
            let linear = values.get("tcp_syn_linear_timeouts").map_or(0, |&linear| retries(linear));
            let (ms, sent) = connect_ms(retries(value), linear, rto_max_ms(values));
            format!("an unanswered connect() fails after about {}, {sent} retransmissions", millis(ms))
        },
    },
    Sysctl {
        name: "tcp_syn_linear_timeouts",
        default: 4,
        meaning: |value, _| format!("the first {value} SYN retransmissions do not back off"),
    },
    Sysctl {
        name: "tcp_synack_retries",
        default: 5,
        meaning: |value, _| {
            format!(
                "a handshake that the client does not finish is dropped after {}",
                millis(synack_ms(retries(value)))
            )
        },
    },
    Sysctl {
        name: "tcp_keepalive_time",
        default: 7200,
        meaning: |value, values| {
            let of = |name, default| values.get(name).copied().unwrap_or(default);
            let (interval, probes) = (of("tcp_keepalive_intvl", 75), of("tcp_keepalive_probes", 9));
            let total = value.saturating_add(interval.saturating_mul(probes));
            format!(
                "with SO_KEEPALIVE, an idle connection whose peer does not answer times out after {}",
                seconds(total)
            )
        },
    },
    Sysctl {
        name: "tcp_keepalive_intvl",
        default: 75,
        meaning: |value, _| format!("{} between keepalive probes", seconds(value)),
    },
    Sysctl {
        name: "tcp_keepalive_probes",
        default: 9,
        meaning: |value, _| format!("{value} unanswered keepalive probes end a connection"),
    },
    Sysctl {
        name: "tcp_rto_min_us",
        default: 200_000,
        meaning: |value, _| {
            format!("an RTO is the smoothed round-trip time plus at least {} ms", count(value).div_ceil(1000))
        },
    },
    Sysctl {
        name: "tcp_rto_max_ms",
        default: 120_000,
        meaning: |value, _| format!("the RTO backs off to at most {}", millis(count(value))),
    },
    Sysctl {
        name: "tcp_thin_linear_timeouts",
        default: 0,
        meaning: |value, _| {
            one_of(
                value != 0,
                "thin streams do not back off for six RTOs",
                "thin streams back off like all others",
            )
        },
    },
    Sysctl {
        name: "tcp_early_retrans",
        default: 3,
        // tcp_schedule_loss_probe(): 3 and 4 mean "with tail loss probes".
        meaning: |value, _| {
            one_of(
                matches!(value, 3 | 4),
                "tail loss probes are sent",
                "no tail loss probes: if the last segments are lost, nothing is sent until the RTO",
            )
        },
    },
    Sysctl {
        name: "tcp_recovery",
        default: 1,
        // TCP_RACK_LOSS_DETECTION
        meaning: |value, _| {
            one_of(
                value & 1 != 0,
                "RACK detects losses by time",
                "RACK is off: losses are detected by duplicate ACKs",
            )
        },
    },
    Sysctl {
        name: "tcp_frto",
        default: 2,
        meaning: |value, _| {
            one_of(
                value != 0,
                "F-RTO recognises spurious timeouts",
                "F-RTO is off: fewer spurious timeouts are recognised",
            )
        },
    },
    Sysctl {
        name: "tcp_sack",
        default: 1,
        meaning: |value, _| {
            one_of(
                value != 0,
                "selective acknowledgements",
                "no selective acknowledgements: recovery is slow",
            )
        },
    },
    Sysctl {
        name: "tcp_dsack",
        default: 1,
        meaning: |value, _| {
            one_of(
                value != 0,
                "reports duplicate segments to peers",
                "does not report duplicate segments to peers",
            )
        },
    },
    Sysctl {
        name: "tcp_timestamps",
        default: 1,
        meaning: |value, _| {
            one_of(
                value != 0,
                "timestamps: spurious retransmissions are recognised",
                "no timestamps: fewer spurious retransmissions are recognised",
            )
        },
    },
    Sysctl {
        name: "tcp_mtu_probing",
        default: 0,
        meaning: |value, _| match value {
            0 => "does not probe for the MTU, so does not detect MTU black holes".to_owned(),
            1 => "probes for a smaller MTU once tcp_retries1 is reached".to_owned(),
            _ => "always probes for the MTU".to_owned(),
        },
    },
    Sysctl {
        name: "tcp_fin_timeout",
        default: 60,
        meaning: |value, _| format!("after close(), waits {} for the peer's FIN", seconds(value)),
    },
];

/// Reads the settings of the namespace that the calling thread is in.
fn read() -> Vec<Setting> {
    let value_of = |name: &'static str| {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
        Some((name, text.trim().parse().ok()?))
    };
    interpret(&SYSCTLS.iter().filter_map(|sysctl| value_of(sysctl.name)).collect())
}

fn interpret(values: &Values) -> Vec<Setting> {
    SYSCTLS
        .iter()
        .filter_map(|sysctl| {
            let value = *values.get(sysctl.name)?;
            let meaning = (sysctl.meaning)(value, values);
            Some(Setting { name: sysctl.name, value, default: sysctl.default, meaning })
        })
        .collect()
}

/// The settings of the namespaces that this process can see, at most `limit`; and how many more there are.
///
/// # Errors
/// [`NetnsError`] without /proc.
pub(super) fn of_namespaces(limit: usize) -> Result<(Vec<NamespaceSettings>, usize), NetnsError> {
    let (namespaces, left_out) = netns::visible(limit)?;
    let settings = namespaces
        .into_iter()
        .map(|namespace| {
            // /proc/sys/net is that of the reading thread's namespace (`net_ctl_header_lookup`).
            let (sysctls, error) = match namespace.run(read) {
                Ok(sysctls) => (sysctls, None),
                Err(error) => (Vec::new(), Some(format!("cannot enter it: {error}"))),
            };
            NamespaceSettings { netns: namespace.inum, label: namespace.label, sysctls, error }
        })
        .collect();
    Ok((settings, left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(values: &[(&'static str, i64)], name: &str) -> String {
        let settings = interpret(&values.iter().copied().collect());
        settings.into_iter().find(|setting| setting.name == name).expect("known").meaning
    }

    #[test]
    fn retries_are_told_as_time() {
        assert_eq!(
            meaning(&[("tcp_retries2", 15)], "tcp_retries2"),
            "gives up at the first timer that expires 15 min 25 s or more after the first retransmission"
        );
        assert_eq!(
            meaning(&[("tcp_retries2", 15), ("tcp_rto_max_ms", 1000)], "tcp_retries2"),
            "gives up at the first timer that expires 14.4 s or more after the first retransmission"
        );
        assert!(
            meaning(&[("tcp_orphan_retries", 0)], "tcp_orphan_retries").ends_with("after about 1 min 42 s")
        );
        assert!(meaning(&[("tcp_keepalive_time", 7200)], "tcp_keepalive_time").contains("2 h 11 min"));
        assert_eq!(
            meaning(&[("tcp_syn_retries", 6), ("tcp_syn_linear_timeouts", 4)], "tcp_syn_retries"),
            "an unanswered connect() fails after about 2 min 11 s, 10 retransmissions"
        );
    }

    #[test]
    fn nonsense_values_do_not_panic() {
        for value in [i64::MIN, -1, 0, 1, 127, 255, 1 << 40, i64::MAX] {
            let values = SYSCTLS.iter().map(|sysctl| (sysctl.name, value)).collect();
            assert_eq!(interpret(&values).len(), SYSCTLS.len());
        }
    }

    #[test]
    fn reads_this_namespace() {
        let (namespaces, _) = of_namespaces(1).expect("/proc");
        let own = &namespaces[0];
        assert_eq!(own.error, None);
        assert!(own.sysctls.iter().any(|setting| setting.name == "tcp_retries2"));
        assert!(own.sysctls.iter().all(|setting| !setting.meaning.is_empty()));
    }
}
