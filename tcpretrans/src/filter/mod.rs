//! What the user wants to see: which part of it the kernel decides, and which part userspace.
//!
//! Options widen themselves (a second `--port` adds ports) and narrow each other (`--port` and `--comm` must both
//! match). A filter on something that is unknown of a flow does not match: what is not known to be wanted is not
//! shown.

pub(crate) mod conflict;
pub(crate) mod gate;
pub(crate) mod kernel_maps;
pub(crate) mod ports;
pub(crate) mod prefix;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ports::PortSet;
use prefix::Prefix;

use crate::{
    event::{Flow, RetransmitType},
    filter::kernel_maps::KernelFilter,
};

/// `-4` or `-6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4, IPv4-mapped IPv6 included.
    Ipv4,
    /// IPv6 proper.
    Ipv6,
}

/// What the user asked to see. Empty restricts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// `--port`: one of the two.
    pub ports: Option<PortSet>,
    /// `--lport`
    pub lports: Option<PortSet>,
    /// `--rport`
    pub rports: Option<PortSet>,
    /// `--addr`: one of the two.
    pub addrs: Vec<Prefix>,
    /// `--laddr`
    pub laddrs: Vec<Prefix>,
    /// `--raddr`
    pub raddrs: Vec<Prefix>,
    /// `-4`, `-6`
    pub family: Option<Family>,
    /// `--pid`
    pub pids: BTreeSet<u32>,
    /// `--comm`
    pub comms: BTreeSet<String>,
    /// `--netns`, as inode numbers.
    pub netns: BTreeSet<u32>,
    /// `--cgroup`, as paths within the hierarchy. Their descendants match as well.
    pub cgroups: BTreeSet<String>,
    /// The deepest cgroup, `(id, level)`, that all of `cgroups` are in: what the kernel looks at. `None` for a
    /// recording.
    pub cgroups_within: Option<(u64, u32)>,
    /// `--type`
    pub types: BTreeSet<RetransmitType>,
}

/// The kernel keeps 15 bytes of a name (`TASK_COMM_LEN`); the user may give the whole one.
const COMM_BYTES: usize = 15;

impl Filter {
    /// The part that the kernel decides.
    pub(crate) fn kernel_part(&self) -> KernelFilter {
        KernelFilter {
            ports: self.ports.clone(),
            lports: self.lports.clone(),
            rports: self.rports.clone(),
            addrs: self.addrs.clone(),
            laddrs: self.laddrs.clone(),
            raddrs: self.raddrs.clone(),
            only_ipv4: self.family == Some(Family::Ipv4),
            only_ipv6: self.family == Some(Family::Ipv6),
            netns: self.netns.iter().copied().collect(),
            cgroup: self.cgroups_within,
        }
    }

    /// Does a flow that passed [`Filter::kernel_part`] match? The kernel does not know owners, and compares with
    /// one cgroup only.
    pub(crate) fn matches_after_kernel(&self, flow: &Flow) -> bool {
        self.owner_matches(flow)
            && (self.cgroups.len() < 2 || self.cgroups_within.is_none() || self.cgroup_matches(flow))
    }

    /// Does a flow match everything that can be asked of a flow?
    pub(crate) fn matches(&self, flow: &Flow) -> bool {
        self.ports_match(flow)
            && self.addresses_match(flow)
            && (self.netns.is_empty() || self.netns.contains(&flow.netns))
            && (self.cgroups.is_empty() || self.cgroup_matches(flow))
            && self.owner_matches(flow)
    }

    /// Is this type of retransmission wanted?
    pub(crate) fn matches_type(&self, ty: RetransmitType) -> bool {
        self.types.is_empty() || self.types.contains(&ty)
    }

    fn ports_match(&self, flow: &Flow) -> bool {
        let wanted = |set: &Option<PortSet>, ports: &[u16]| {
            set.as_ref().is_none_or(|set| ports.iter().any(|&port| set.contains(port)))
        };
        wanted(&self.ports, &[flow.lport, flow.rport])
            && wanted(&self.lports, &[flow.lport])
            && wanted(&self.rports, &[flow.rport])
    }

    fn addresses_match(&self, flow: &Flow) -> bool {
        let wanted = |list: &[Prefix], addresses: &[IpAddr]| {
            list.is_empty()
                || list.iter().any(|prefix| addresses.iter().any(|&address| prefix.contains_address(address)))
        };
        let family = if flow.laddr.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 };
        self.family.is_none_or(|wanted| wanted == family)
            && wanted(&self.addrs, &[flow.laddr, flow.raddr])
            && wanted(&self.laddrs, &[flow.laddr])
            && wanted(&self.raddrs, &[flow.raddr])
    }

    fn cgroup_matches(&self, flow: &Flow) -> bool {
        flow.cgroup.as_deref().is_some_and(|path| self.cgroups.iter().any(|wanted| is_below(path, wanted)))
    }

    fn owner_matches(&self, flow: &Flow) -> bool {
        let named = |comm: &str| {
            self.comms.iter().any(|wanted| {
                wanted == comm
                    || wanted.len() > COMM_BYTES && wanted.as_bytes()[..COMM_BYTES] == *comm.as_bytes()
            })
        };
        (self.pids.is_empty() || flow.pid.is_some_and(|pid| self.pids.contains(&pid)))
            && (self.comms.is_empty() || flow.comm.as_deref().is_some_and(named))
    }

    /// The filters as text by option, for the `start` event.
    pub(crate) fn describe(&self) -> BTreeMap<String, String> {
        fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> Option<String> {
            let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
            (!texts.is_empty()).then(|| texts.join(","))
        }
        let ports = |set: &Option<PortSet>| set.as_ref().map(PortSet::to_string);
        let family = self.family.map(|family| match family {
            Family::Ipv4 => "ipv4",
            Family::Ipv6 => "ipv6",
        });
        [
            ("port", ports(&self.ports)),
            ("lport", ports(&self.lports)),
            ("rport", ports(&self.rports)),
            ("addr", joined(&self.addrs)),
            ("laddr", joined(&self.laddrs)),
            ("raddr", joined(&self.raddrs)),
            ("family", family.map(str::to_owned)),
            ("pid", joined(&self.pids)),
            ("comm", joined(&self.comms)),
            ("netns", joined(&self.netns)),
            ("cgroup", joined(&self.cgroups)),
            ("type", joined(self.types.iter().map(|ty| ty.name()))),
        ]
        .into_iter()
        .filter_map(|(option, text)| Some((option.to_owned(), text?)))
        .collect()
    }
}

/// Is `path` the cgroup `wanted`, or below it?
fn is_below(path: &str, wanted: &str) -> bool {
    match path.strip_prefix(wanted.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::FlowId;

    pub(crate) fn flow() -> Flow {
        Flow {
            laddr: "10.0.0.1".parse().expect("valid"),
            lport: 40_000,
            raddr: "10.0.0.2".parse().expect("valid"),
            rport: 443,
            netns: 4_026_531_840,
            id: FlowId(1),
            pid: Some(123),
            comm: Some("java".into()),
            uid: Some(1000),
            cgroup: Some("/system.slice/x.service".into()),
        }
    }

    fn set<T: Ord, const N: usize>(items: [T; N]) -> BTreeSet<T> {
        BTreeSet::from(items)
    }

    fn ports(text: &str) -> Option<PortSet> {
        Some(text.parse().expect(text))
    }

    fn prefixes(text: &str) -> Vec<Prefix> {
        text.split(',').map(|item| item.parse().expect(item)).collect()
    }

    #[test]
    fn nothing_asked_matches_everything() {
        assert!(Filter::default().matches(&flow()));
        assert!(Filter::default().describe().is_empty());
        assert_eq!(Filter::default().kernel_part(), KernelFilter::default());
    }

    #[test]
    fn each_filter_lets_in_and_keeps_out() {
        let text = |text: &str| text.to_owned();
        let cases: [(Filter, Filter); 12] = [
            (
                Filter { ports: ports("443"), ..Filter::default() },
                Filter { ports: ports("80"), ..Filter::default() },
            ),
            (
                Filter { lports: ports("40000"), ..Filter::default() },
                Filter { lports: ports("443"), ..Filter::default() },
            ),
            (
                Filter { rports: ports("443"), ..Filter::default() },
                Filter { rports: ports("40000"), ..Filter::default() },
            ),
            (
                Filter { addrs: prefixes("10.0.0.2"), ..Filter::default() },
                Filter { addrs: prefixes("10.0.0.3,2001:db8::/32"), ..Filter::default() },
            ),
            (
                Filter { laddrs: prefixes("10.0.0.1"), ..Filter::default() },
                Filter { laddrs: prefixes("10.0.0.2"), ..Filter::default() },
            ),
            (
                Filter { raddrs: prefixes("10.0.0.2/31"), ..Filter::default() },
                Filter { raddrs: prefixes("10.0.0.1"), ..Filter::default() },
            ),
            (
                Filter { family: Some(Family::Ipv4), ..Filter::default() },
                Filter { family: Some(Family::Ipv6), ..Filter::default() },
            ),
            (
                Filter { pids: set([123, 7]), ..Filter::default() },
                Filter { pids: set([124]), ..Filter::default() },
            ),
            (
                Filter { comms: set([text("java")]), ..Filter::default() },
                Filter { comms: set([text("jav")]), ..Filter::default() },
            ),
            (
                Filter { netns: set([4_026_531_840]), ..Filter::default() },
                Filter { netns: set([4_026_531_841]), ..Filter::default() },
            ),
            (
                Filter { cgroups: set([text("/system.slice")]), ..Filter::default() },
                Filter { cgroups: set([text("/system.slice/x")]), ..Filter::default() },
            ),
            (
                Filter { cgroups: set([text("/")]), ..Filter::default() },
                Filter { cgroups: set([text("/user.slice")]), ..Filter::default() },
            ),
        ];
        for (lets_in, keeps_out) in cases {
            assert!(lets_in.matches(&flow()), "{lets_in:?}");
            assert!(!keeps_out.matches(&flow()), "{keeps_out:?}");
            assert_eq!(lets_in.describe().len(), 1, "{lets_in:?}");
        }
    }

    #[test]
    fn the_unknown_does_not_match() {
        let unknown = Flow { pid: None, comm: None, cgroup: None, ..flow() };
        assert!(Filter::default().matches(&unknown));
        for filter in [
            Filter { pids: set([0]), ..Filter::default() },
            Filter { comms: set([String::new()]), ..Filter::default() },
            Filter { cgroups: set(["/".to_owned()]), ..Filter::default() },
        ] {
            assert!(!filter.matches(&unknown), "{filter:?}");
        }
    }

    #[test]
    fn a_long_name_matches_what_the_kernel_kept_of_it() {
        let filter = Filter { comms: set(["a-very-long-service-name".to_owned()]), ..Filter::default() };
        assert!(filter.matches(&Flow { comm: Some("a-very-long-ser".into()), ..flow() }));
        assert!(!filter.matches(&Flow { comm: Some("a-very-long-se".into()), ..flow() }));
    }

    #[test]
    fn userspace_repeats_nothing_that_the_kernel_decided() {
        let elsewhere = Flow { lport: 1, rport: 2, netns: 3, cgroup: None, ..flow() };
        let one = Filter {
            ports: ports("443"),
            netns: set([4_026_531_840]),
            cgroups: set(["/a".to_owned()]),
            cgroups_within: Some((77, 1)),
            ..Filter::default()
        };
        assert!(one.matches_after_kernel(&elsewhere));
        assert_eq!(one.kernel_part().cgroup, Some((77, 1)));
        let two =
            Filter { cgroups: set(["/a".to_owned(), "/b".to_owned()]), cgroups_within: Some((1, 0)), ..one };
        assert!(!two.matches_after_kernel(&elsewhere));
        assert!(two.matches_after_kernel(&Flow { cgroup: Some("/b/c".into()), ..elsewhere }));
    }

    #[test]
    fn describes_by_option() {
        let filter = Filter {
            ports: ports("443,8000-8100"),
            addrs: prefixes("10.0.0.0/8,::1"),
            family: Some(Family::Ipv6),
            types: set([RetransmitType::Tlp, RetransmitType::Rto]),
            ..Filter::default()
        };
        let described: Vec<(String, String)> = filter.describe().into_iter().collect();
        let expected =
            [("addr", "10.0.0.0/8,::1"), ("family", "ipv6"), ("port", "443,8000-8100"), ("type", "rto,tlp")];
        assert_eq!(described, expected.map(|(option, text)| (option.to_owned(), text.to_owned())));
    }

    proptest! {
        #[test]
        fn a_cgroup_holds_itself_and_what_is_below(parts in proptest::collection::vec("[a-z]{1,3}", 1..6), cut in 0usize..6) {
            let path = format!("/{}", parts.join("/"));
            let ancestor = format!("/{}", parts[..cut.min(parts.len())].join("/"));
            prop_assert!(is_below(&path, &ancestor));
            let sibling = format!("{path}x");
            prop_assert!(!is_below(&sibling, &path));
        }
    }
}
