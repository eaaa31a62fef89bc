//! The texts of the columns.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use jiff::{civil::DateTime, tz::TimeZone};
use tcpretrans_ebpf::tcp_state;
use unicode_width::UnicodeWidthStr;

use crate::{
    event::{Clock, Flow, Retransmit, RetransmitType},
    words::{
        escape::{cut, cut_middle, visible},
        state_name,
    },
};

/// What is not known.
pub const UNKNOWN: &str = "-";

/// Local wall-clock date and time.
pub fn local_time(mono_ns: u64, clock: &Clock, zone: &TimeZone) -> DateTime {
    let time = jiff::Timestamp::from_nanosecond(clock.wall_ns(mono_ns).into()).unwrap_or_default();
    zone.to_datetime(time)
}

/// `15:04:07.123`, or `15:04:07` where there is no room for it.
pub fn time_of_day(time: DateTime, width: usize) -> String {
    let seconds = format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second());
    if width < 12 { seconds } else { format!("{seconds}.{:03}", time.millisecond()) }
}

/// `fast?` where the kernel's state allows another reading.
pub fn type_name(retransmit: &Retransmit) -> Cow<'static, str> {
    let name = retransmit.ty.name();
    if retransmit.certain { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}?")) }
}

/// `10.0.0.1:40000 > 10.0.0.2:9000`. Where that is too wide, the local address goes first (it is known), then
/// the middle of the remote one.
pub fn flow(flow: &Flow, width: Option<usize>) -> String {
    let end = |addr: IpAddr, port| SocketAddr::new(addr, port).to_string();
    let remote = end(flow.raddr, flow.rport);
    let whole = format!("{} > {remote}", end(flow.laddr, flow.lport));
    let Some(width) = width.filter(|&width| whole.len() > width) else { return whole };
    let local = format!(":{} > ", flow.lport);
    let room = width.saturating_sub(local.len());
    let local_room = width.saturating_sub(remote.len() + 3);
    // A local address of which enough is left to tell it from others stays.
    if local_room >= 18 && flow.laddr.is_ipv6() {
        return format!("{} > {remote}", cut_middle(&end(flow.laddr, flow.lport), local_room));
    }
    format!("{local}{}", cut_middle(&remote, room))
}

/// `java/1234`; the name is cut before the number is.
pub fn process(flow: &Flow, width: Option<usize>) -> String {
    let pid = flow.pid.map(|pid| format!("/{pid}"));
    let (comm, pid) = match (&flow.comm, pid) {
        (None, None) => return UNKNOWN.to_owned(),
        (Some(comm), None) => (visible(comm), String::new()),
        (None, Some(pid)) => (Cow::Borrowed(UNKNOWN), pid),
        (Some(comm), Some(pid)) => (visible(comm), pid),
    };
    let comm = match width {
        Some(width) => cut(&comm, width.saturating_sub(pid.width())),
        None => comm,
    };
    format!("{comm}{pid}")
}

/// `12/17k`
pub fn segs(retransmit: &Retransmit) -> String {
    let bytes = match retransmit.bytes {
        bytes @ 0..10_000 => bytes.to_string(),
        bytes @ 10_000..10_000_000 => format!("{}k", bytes / 1000),
        bytes => format!("{}M", bytes / 1_000_000),
    };
    format!("{}/{bytes}", retransmit.segs)
}

/// As `ss` has it where that is shorter.
pub fn state(state: u8) -> Cow<'static, str> {
    match state {
        tcp_state::ESTABLISHED => Cow::Borrowed("ESTAB"),
        _ => state_name::name(state),
    }
}

/// Is it the state that such a retransmission happens in anyway?
pub fn is_usual_state(retransmit: &Retransmit) -> bool {
    match retransmit.ty {
        RetransmitType::Syn => retransmit.state == tcp_state::SYN_SENT,
        RetransmitType::SynAck => true,
        _ => retransmit.state == tcp_state::ESTABLISHED,
    }
}

fn seconds(ms: u64) -> String {
    if ms < 9_950 {
        format!("{}.{}", (ms + 50) / 1000, (ms + 50) % 1000 / 100)
    } else {
        ((ms + 500) / 1000).to_string()
    }
}

/// `204->408ms`, `52->104s`
pub fn rto(retransmit: &Retransmit) -> String {
    match (retransmit.rto_ms, retransmit.next_rto_ms) {
        (None, None) => UNKNOWN.to_owned(),
        (Some(rto), Some(next)) if rto.max(next) < 1000 => format!("{rto}->{next}ms"),
        (Some(rto), Some(next)) => format!("{}->{}s", seconds(rto), seconds(next)),
        (Some(rto), None) => duration(rto),
        (None, Some(next)) => format!("->{}", duration(next)),
    }
}

/// `#2`: the second RTO in a row.
pub fn tries(retransmit: &Retransmit) -> String {
    match retransmit.rto_ms {
        Some(_) => format!("#{}", retransmit.retransmits),
        None => UNKNOWN.to_owned(),
    }
}

/// `0.2ms`, `35ms`, `1.2s`
pub fn srtt(srtt_us: Option<u32>) -> String {
    match srtt_us {
        None => UNKNOWN.to_owned(),
        Some(us @ 0..9_950) => format!("{}.{}ms", (us + 50) / 1000, (us + 50) % 1000 / 100),
        Some(us) => duration(u64::from(us) / 1000),
    }
}

/// A number, or `-`.
pub fn number(number: Option<u32>) -> String {
    number.map_or(UNKNOWN.to_owned(), |number| number.to_string())
}

/// The cgroup's path; its end says more than its beginning.
pub fn cgroup(flow: &Flow, width: Option<usize>) -> String {
    let Some(path) = &flow.cgroup else { return UNKNOWN.to_owned() };
    let path = visible(path);
    match width {
        Some(width) => cut_middle(&path, width).into_owned(),
        None => path.into_owned(),
    }
}

/// As people say it: `850ms`, `9.3s`, `52s`, `4m43s`, `2h11m`, `3d4h`.
pub fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        _ if ms < 1000 => format!("{ms}ms"),
        _ if ms < 9_950 => format!("{}s", seconds(ms)),
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86_400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{}h", s / 86_400, s % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::samples as sample;

    #[test]
    fn durations() {
        for (ms, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1000, "1.0s"),
            (9_949, "9.9s"),
            (9_950, "9s"),
            (59_999, "59s"),
            (283_000, "4m43s"),
            (3_600_000, "1h00m"),
            (7_875_000, "2h11m"),
            (273_600_000, "3d4h"),
        ] {
            assert_eq!(duration(ms), text);
        }
    }

    #[test]
    fn the_ladder() {
        let rto = |rto_ms, next_rto_ms| super::rto(&Retransmit { rto_ms, next_rto_ms, ..sample::rto() });
        assert_eq!(rto(Some(204), Some(408)), "204->408ms");
        assert_eq!(rto(Some(816), Some(1632)), "0.8->1.6s");
        assert_eq!(rto(Some(6528), Some(13_056)), "6.5->13s");
        assert_eq!(rto(Some(120_000), Some(120_000)), "120->120s");
        assert_eq!(rto(None, None), "-");
    }

    #[test]
    fn ends_are_shortened_where_they_tell_least() {
        let v4 = sample::ipv4_flow();
        assert_eq!(flow(&v4, Some(30)), "10.0.0.1:40000 > 10.0.0.2:9000");
        assert_eq!(flow(&v4, Some(25)), ":40000 > 10.0.0.2:9000");
        let v6 = sample::ipv6_flow();
        let whole =
            "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:443 > [2001:db8:ac10:fe01:feed:babe:cafe:f00d]:51724";
        assert_eq!(flow(&v6, None), whole);
        assert_eq!(flow(&v6, Some(97)), whole);
        assert_eq!(flow(&v6, Some(30)), ":443 > [2001:db8:a…f00d]:51724");
        assert_eq!(flow(&v6, Some(45)), ":443 > [2001:db8:ac10:fe01…e:cafe:f00d]:51724");
        for width in 0..100 {
            let narrow = flow(&v6, Some(width));
            assert!(narrow.width() <= width.max(7), "{narrow}");
        }
    }

    #[test]
    fn the_number_of_a_process_stays_whole() {
        let v6 = sample::ipv6_flow();
        assert_eq!(process(&v6, None), "nginx: worker p/4194304");
        assert_eq!(process(&v6, Some(12)), "ngi…/4194304");
        assert_eq!(process(&sample::unknown_owner(), Some(9)), "-");
        assert_eq!(process(&Flow { comm: None, ..sample::ipv4_flow() }, Some(9)), "-/1234");
        let evil = Flow { comm: Some("\u{1b}[2J".into()), ..sample::ipv4_flow() };
        assert_eq!(process(&evil, None), r"\u{1b}[2J/1234");
    }

    #[test]
    fn sizes_and_times() {
        let segs = |segs, bytes| super::segs(&Retransmit { segs, bytes, ..sample::rto() });
        assert_eq!(segs(1, 1448), "1/1448");
        assert_eq!(segs(12, 17_376), "12/17k");
        assert_eq!(segs(1, 0), "1/0");
        assert_eq!(srtt(Some(201)), "0.2ms");
        assert_eq!(srtt(Some(35_400)), "35ms");
        assert_eq!(srtt(None), "-");
        let at = local_time(sample::NOW_NS, &sample::CLOCK, &TimeZone::UTC);
        assert_eq!(time_of_day(at, 12), "15:04:07.123");
        assert_eq!(time_of_day(at, 8), "15:04:07");
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(time_of_day(local_time(sample::NOW_NS, &sample::CLOCK, &berlin), 8), "16:04:07");
    }
}
