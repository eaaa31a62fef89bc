//! From filter options to a [`Filter`]: what is named is looked up, and what matches nothing is refused.

use std::{collections::BTreeSet, fmt::Display, str::FromStr};

use tcpretrans_ebpf::filter::{MAX_NETNS, MAX_PREFIXES};

use crate::{
    event::RetransmitType,
    filter::{Family, Filter, ports::PortSet, prefix::Prefix},
    kernel::{
        cgroup::{self, Hierarchy},
        netns,
    },
    options::{FilterArgs, UsageError},
};

/// Where flows and events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// This machine: cgroups must exist.
    Live,
    /// A recording, perhaps of another machine: cgroups are only names.
    Recording,
}

/// The highest PID that Linux gives (`PID_MAX_LIMIT`).
const PID_MAX_LIMIT: u32 = 1 << 22;

/// Builds the filter.
///
/// # Errors
/// [`UsageError`] for the first value that is wrong, or if nothing can match.
pub(crate) fn filter(args: &FilterArgs, origin: Origin) -> Result<Filter, UsageError> {
    let family = match (args.ipv4, args.ipv6) {
        (true, true) => {
            return Err(UsageError::conflict("-4 and -6 together match nothing: leave both out to see both"));
        }
        (true, false) => Some(Family::Ipv4),
        (false, true) => Some(Family::Ipv6),
        (false, false) => None,
    };
    let (cgroups, cgroups_within) = cgroups(&args.cgroup, origin)?;
    let filter = Filter {
        ports: ports("--port", &args.port)?,
        lports: ports("--lport", &args.lport)?,
        rports: ports("--rport", &args.rport)?,
        addrs: list("--addr", &args.addr, Prefix::from_str)?,
        laddrs: list("--laddr", &args.laddr, Prefix::from_str)?,
        raddrs: list("--raddr", &args.raddr, Prefix::from_str)?,
        family,
        pids: list("--pid", &args.pid, pid)?.into_iter().collect(),
        comms: comms(&args.comm)?,
        netns: list("--netns", &args.netns, netns::resolve)?.into_iter().collect(),
        cgroups,
        cgroups_within,
        types: list("--type", &args.types, retransmit_type)?.into_iter().collect(),
    };
    let prefixes = filter.addrs.len() + filter.laddrs.len() + filter.raddrs.len();
    if prefixes > MAX_PREFIXES as usize {
        let sentence = format!("{prefixes} addresses are more than the kernel's map takes ({MAX_PREFIXES})");
        return Err(UsageError::conflict(sentence));
    }
    if filter.netns.len() > MAX_NETNS as usize {
        return Err(UsageError::value("--netns", format!("at most {MAX_NETNS} namespaces can be given")));
    }
    filter.check()?;
    Ok(filter)
}

fn list<T, E: Display>(
    option: &'static str,
    values: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, UsageError> {
    values
        .iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .map(|item| match item {
            "" => Err(UsageError::value(option, "an item of the list is empty")),
            item => parse(item).map_err(|error| UsageError::value(option, error)),
        })
        .collect()
}

fn ports(option: &'static str, values: &[String]) -> Result<Option<PortSet>, UsageError> {
    let sets = list(option, values, PortSet::from_str)?;
    Ok(sets.into_iter().reduce(|all, more| all.union(&more)))
}

fn pid(text: &str) -> Result<u32, String> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    number
        .filter(|pid| (1..=PID_MAX_LIMIT).contains(pid))
        .ok_or_else(|| format!("'{text}' is not a PID (a number from 1 to {PID_MAX_LIMIT})"))
}

fn retransmit_type(text: &str) -> Result<RetransmitType, String> {
    RetransmitType::from_name(text).ok_or_else(|| {
        let names = RetransmitType::ALL.map(RetransmitType::name).join(", ");
        format!("there is no retransmission type '{text}' (there are {names})")
    })
}

/// Names are taken whole: they may have commas in them.
fn comms(values: &[String]) -> Result<BTreeSet<String>, UsageError> {
    match values.iter().any(String::is_empty) {
        true => Err(UsageError::value("--comm", "the name is empty")),
        false => Ok(values.iter().cloned().collect()),
    }
}

type CgroupsWithin = (BTreeSet<String>, Option<(u64, u32)>);

fn cgroups(values: &[String], origin: Origin) -> Result<CgroupsWithin, UsageError> {
    if values.iter().any(String::is_empty) {
        return Err(UsageError::value("--cgroup", "the path is empty"));
    }
    if values.is_empty() {
        return Ok((BTreeSet::new(), None));
    }
    if origin == Origin::Recording {
        return Ok((values.iter().map(|text| cgroup::path_in_recording(text)).collect(), None));
    }
    let error = |error| UsageError::value("--cgroup", error);
    let hierarchy = Hierarchy::find().map_err(error)?;
    let paths = values
        .iter()
        .map(|text| hierarchy.resolve(text).map(|cgroup| cgroup.path).map_err(error))
        .collect::<Result<BTreeSet<String>, UsageError>>()?;
    let common = paths.iter().cloned().reduce(|one, other| common_ancestor(&one, &other));
    let within = hierarchy.resolve(common.as_deref().unwrap_or("/")).map_err(error)?;
    Ok((paths, Some((within.id, within.level))))
}

/// The deepest cgroup that both are in.
fn common_ancestor(one: &str, other: &str) -> String {
    let parts: Vec<&str> = one
        .split('/')
        .zip(other.split('/'))
        .take_while(|(part, other)| part == other)
        .map(|(part, _)| part)
        .collect();
    match parts.join("/") {
        root if root.is_empty() => "/".to_owned(),
        path => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(option: &str, values: &[&str]) -> FilterArgs {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        let mut args = FilterArgs::default();
        let field = match option {
            "port" => &mut args.port,
            "lport" => &mut args.lport,
            "rport" => &mut args.rport,
            "addr" => &mut args.addr,
            "laddr" => &mut args.laddr,
            "raddr" => &mut args.raddr,
            "pid" => &mut args.pid,
            "comm" => &mut args.comm,
            "netns" => &mut args.netns,
            "cgroup" => &mut args.cgroup,
            "type" => &mut args.types,
            _ => panic!("{option}"),
        };
        *field = values;
        args
    }

    fn valid(option: &str, values: &[&str]) -> Filter {
        filter(&args(option, values), Origin::Live).expect(option)
    }

    #[test]
    fn a_repeated_option_widens() {
        assert_eq!(
            valid("port", &["443", "80,8000-8001"]).ports,
            Some("80,443,8000-8001".parse().expect("valid"))
        );
        assert_eq!(valid("addr", &["::1, 10.0.0.1", "10.0.0.2"]).addrs.len(), 3);
        assert_eq!(valid("pid", &["1,2", "2,3"]).pids, BTreeSet::from([1, 2, 3]));
        assert_eq!(valid("comm", &["a,b", "c"]).comms.len(), 2, "a name may have a comma");
        assert_eq!(valid("type", &["rto,tlp", "syn"]).types.len(), 3);
        let own = netns::current().expect("/proc");
        assert_eq!(
            valid("netns", &["/proc/self/ns/net,4026531840"]).netns,
            BTreeSet::from([own, 4_026_531_840])
        );
    }

    #[test]
    fn every_bad_value_gives_one_sentence() {
        let port = "is not a port (a number from 0 to 65535)";
        let address = "is not an IP address or prefix (10.0.0.1, 10.0.0.0/8, 2001:db8::/32)";
        let cases = [
            ("port", "http", format!("--port: 'http' {port}")),
            ("lport", "9-1", "--lport: the range '9-1' ends before it begins".to_owned()),
            ("rport", "70000", format!("--rport: '70000' {port}")),
            ("port", "80,,443", "--port: an item of the list is empty".to_owned()),
            ("addr", "localhost", format!("--addr: 'localhost' {address}")),
            (
                "laddr",
                "10.0.0.1/8",
                "--laddr: '10.0.0.1/8' has bits set beyond its prefix; did you mean 10.0.0.0/8?".to_owned(),
            ),
            ("raddr", "::/129", "--raddr: '::/129' has no valid prefix length (0 to 128)".to_owned()),
            ("pid", "0", "--pid: '0' is not a PID (a number from 1 to 4194304)".to_owned()),
            ("pid", "java", "--pid: 'java' is not a PID (a number from 1 to 4194304)".to_owned()),
            ("pid", "+1", "--pid: '+1' is not a PID (a number from 1 to 4194304)".to_owned()),
            ("pid", "", "--pid: an item of the list is empty".to_owned()),
            ("comm", "", "--comm: the name is empty".to_owned()),
            ("cgroup", "", "--cgroup: the path is empty".to_owned()),
            (
                "type",
                "timeout",
                "--type: there is no retransmission type 'timeout' (there are syn, synack, rto, slow_start, fast, \
                 rack_timer, tlp, zero_window, pmtu, icmp_revert, unknown)"
                    .to_owned(),
            ),
            ("netns", "/etc/passwd", "--netns: /etc/passwd is not a network namespace".to_owned()),
        ];
        for (option, value, sentence) in cases {
            let error = filter(&args(option, &[value]), Origin::Live).expect_err(value);
            assert_eq!(error.to_string(), sentence);
        }
    }

    #[test]
    fn what_matches_nothing_is_refused() {
        let both = FilterArgs { ipv4: true, ipv6: true, ..FilterArgs::default() };
        let sentence = |args: &FilterArgs| filter(args, Origin::Live).expect_err("a conflict").to_string();
        assert_eq!(sentence(&both), "-4 and -6 together match nothing: leave both out to see both");
        let other_family = FilterArgs { ipv4: true, ..args("addr", &["::1"]) };
        assert_eq!(
            sentence(&other_family),
            "-4 and --addr ::1 together match nothing: there is no IPv4 address in the list"
        );
    }

    #[test]
    fn the_kernels_maps_have_an_end() {
        let many: Vec<String> = (0..1025u32).map(|n| std::net::Ipv4Addr::from(n).to_string()).collect();
        let error = filter(&FilterArgs { addr: many, ..FilterArgs::default() }, Origin::Live);
        assert_eq!(
            error.expect_err("too many").to_string(),
            "1025 addresses are more than the kernel's map takes (1024)"
        );
    }

    #[test]
    fn a_recordings_cgroups_need_not_exist_here() {
        let args = args("cgroup", &["/no/such.slice"]);
        assert!(filter(&args, Origin::Live).expect_err("not here").to_string().starts_with("--cgroup: "));
        let recorded = filter(&args, Origin::Recording).expect("only a name");
        assert_eq!(recorded.cgroups, BTreeSet::from(["/no/such.slice".to_owned()]));
        assert_eq!(recorded.cgroups_within, None);
    }

    #[test]
    fn finds_the_deepest_cgroup_that_holds_all() {
        assert_eq!(common_ancestor("/a/b/c", "/a/b/d"), "/a/b");
        assert_eq!(common_ancestor("/a/b", "/a/b/d"), "/a/b");
        assert_eq!(common_ancestor("/a/bc", "/a/b"), "/a");
        assert_eq!(common_ancestor("/a", "/b"), "/");
        assert_eq!(common_ancestor("/", "/b"), "/");
    }
}
