//! Sums by what flows have in common. There may be millions of remote addresses; memory stays bounded.

use std::{cmp::Reverse, net::IpAddr, ops::AddAssign, sync::Arc};

use super::{StableMap, counts::Counts};
use crate::event::Flow;

/// What flows are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The remote address.
    Remote,
    /// The service's port: the lower one of the two.
    Port,
    /// The name of the owning process.
    Process,
    /// The cgroup.
    Cgroup,
    /// The network namespace.
    Netns,
}

impl By {
    /// All of them.
    pub(crate) const ALL: [By; 5] = [Self::Remote, Self::Port, Self::Process, Self::Cgroup, Self::Netns];
}

/// What the flows of a group have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum GroupKey {
    /// A remote address.
    Remote(IpAddr),
    /// A port of the other end.
    RemotePort(u16),
    /// A port of this end.
    LocalPort(u16),
    /// The name of a process, or the path of a cgroup.
    Name(Arc<str>),
    /// The number of a network namespace.
    Netns(u32),
    /// It is not known of them.
    Unknown,
}

impl GroupKey {
    fn of(flow: &Flow, by: By) -> GroupKey {
        let name = |name: &Option<Arc<str>>| name.clone().map_or(GroupKey::Unknown, GroupKey::Name);
        match by {
            By::Remote => GroupKey::Remote(flow.raddr),
            // Clients' ports are high ones (`ip_local_port_range`), services' are agreed upon.
            By::Port if flow.lport < flow.rport => GroupKey::LocalPort(flow.lport),
            By::Port => GroupKey::RemotePort(flow.rport),
            By::Process => name(&flow.comm),
            By::Cgroup => name(&flow.cgroup),
            By::Netns if flow.netns == 0 => GroupKey::Unknown,
            By::Netns => GroupKey::Netns(flow.netns),
        }
    }
}

/// The sums of some flows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// How many flows.
    pub flows: u64,
    /// Of those, the ones that retransmitted.
    pub retransmitting: u64,
    /// Sums over their events.
    pub counts: Counts,
}

impl Sums {
    /// Of one flow.
    pub(crate) fn of_flow(counts: Counts) -> Sums {
        Sums { flows: 1, retransmitting: u64::from(counts.sent + counts.failed > 0), counts }
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.flows += other.flows;
        self.retransmitting += other.retransmitting;
        self.counts += other.counts;
    }
}

/// A group of flows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// What they have in common.
    pub key: GroupKey,
    /// Their process; `None`: unknown, or several.
    pub pid: Option<u32>,
    /// Their sums.
    pub sums: Sums,
}

/// All groups, the heaviest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Groups {
    /// The heaviest.
    pub groups: Vec<Group>,
    /// Those that there was no room for: their sums.
    pub others: Sums,
    /// How many those are; a group that came again after it was folded counts again.
    pub others_folded: u64,
}

impl Groups {
    /// How many to show if it shall be `top`: instead of a line for "1 other" that one can have it.
    pub(crate) fn shown(&self, top: usize) -> usize {
        let one_other = self.others_folded == 0 && self.groups.len() == top.saturating_add(1);
        if one_other { self.groups.len() } else { top.min(self.groups.len()) }
    }

    /// What remains after the first `top`: how many groups, and their sums.
    pub(crate) fn after(&self, top: usize) -> (u64, Sums) {
        let mut rest = self.others;
        let left_out = self.groups.get(top..).unwrap_or_default();
        left_out.iter().for_each(|group| rest += group.sums);
        (self.others_folded + left_out.len() as u64, rest)
    }
}

/// Sums flows up, group by group.
///
/// When there are too many groups, the lighter half is folded into one. So sums over all groups are always exact,
/// and a group that is heavy throughout is, too; a folded group that comes again begins anew.
#[derive(Debug)]
pub(crate) struct Grouping {
    by: By,
    most: usize,
    groups: StableMap<GroupKey, (Option<u32>, Sums)>,
    others: Sums,
    others_folded: u64,
}

impl Grouping {
    /// Of at most so many groups.
    pub(crate) fn new(by: By, most: usize) -> Grouping {
        Grouping { by, most, groups: StableMap::default(), others: Sums::default(), others_folded: 0 }
    }

    /// Adds a flow.
    pub(crate) fn add(&mut self, flow: &Flow, sums: Sums) {
        let key = GroupKey::of(flow, self.by);
        match self.groups.get_mut(&key) {
            Some((pid, group)) => {
                *group += sums;
                if *pid != flow.pid {
                    *pid = None;
                }
            }
            None => {
                if self.groups.len() >= self.most {
                    self.fold();
                }
                self.groups.insert(key, (flow.pid, sums));
            }
        }
    }

    fn fold(&mut self) {
        let mut groups: Vec<_> = self.groups.drain().collect();
        groups.sort_unstable_by(|(one, (_, sums)), (other, (_, others))| {
            others.counts.weight().cmp(&sums.counts.weight()).then_with(|| one.cmp(other))
        });
        for (_, (_, sums)) in groups.drain(self.most / 2..) {
            self.others += sums;
            self.others_folded += 1;
        }
        self.groups.extend(groups);
    }

    /// All groups, in order.
    pub(crate) fn finish(self) -> Groups {
        let mut groups: Vec<Group> =
            self.groups.into_iter().map(|(key, (pid, sums))| Group { key, pid, sums }).collect();
        groups.sort_unstable_by(|one, other| {
            let weight = |group: &Group| Reverse(group.sums.counts.weight());
            weight(one).cmp(&weight(other)).then_with(|| one.key.cmp(&other.key))
        });
        Groups { groups, others: self.others, others_folded: self.others_folded }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::samples as sample;

    fn sums(sent: u64) -> Sums {
        Sums::of_flow(Counts { sent, segs: 2 * sent, ..Counts::default() })
    }

    fn to(host: u32) -> Flow {
        Flow { raddr: IpAddr::V4(host.into()), ..sample::ipv4_flow() }
    }

    #[test]
    fn a_service_is_known_by_the_lower_port() {
        let flow = sample::ipv4_flow();
        assert_eq!(GroupKey::of(&flow, By::Port), GroupKey::RemotePort(9000));
        let accepted = Flow { lport: 443, rport: 50_000, ..flow };
        assert_eq!(GroupKey::of(&accepted, By::Port), GroupKey::LocalPort(443));
    }

    #[test]
    fn what_is_unknown_is_a_group_of_its_own() {
        let unknown = sample::unknown_owner();
        for by in [By::Process, By::Cgroup, By::Netns] {
            assert_eq!(GroupKey::of(&unknown, by), GroupKey::Unknown);
            assert_ne!(GroupKey::of(&sample::ipv4_flow(), by), GroupKey::Unknown);
        }
    }

    #[test]
    fn a_pid_is_told_where_there_is_but_one() {
        let mut grouping = Grouping::new(By::Process, 10);
        grouping.add(&sample::ipv4_flow(), sums(1));
        grouping.add(&sample::ipv4_flow(), sums(1));
        grouping.add(&Flow { comm: Some("b".into()), ..sample::ipv4_flow() }, sums(1));
        grouping.add(&Flow { comm: Some("b".into()), pid: Some(7), ..sample::ipv4_flow() }, sums(0));
        let pids: Vec<_> = grouping.finish().groups.iter().map(|group| group.pid).collect();
        assert_eq!(pids, [Some(1234), None]);
    }

    proptest! {
        #[test]
        fn sums_are_exact_however_little_room_there_is(
            flows in proptest::collection::vec((0u32..100, 0u64..50), 0..300),
            most in 2usize..40,
        ) {
            let mut grouping = Grouping::new(By::Remote, most);
            let mut all = Sums::default();
            for &(host, sent) in &flows {
                grouping.add(&to(host), sums(sent));
                all += sums(sent);
                prop_assert!(grouping.groups.len() <= most);
            }
            let groups = grouping.finish();
            for top in [0, 1, 3, 1000] {
                let (_, mut sum) = groups.after(top);
                groups.groups.iter().take(top).for_each(|group| sum += group.sums);
                prop_assert_eq!(sum, all);
            }
            prop_assert!(groups.groups.is_sorted_by_key(|group| Reverse(group.sums.counts.weight())));
        }

        #[test]
        fn the_order_of_flows_does_not_matter_while_there_is_room(
            flows in proptest::collection::vec((0u32..20, 0u64..50), 0..100),
        ) {
            let groups = |flows: &mut dyn Iterator<Item = &(u32, u64)>| {
                let mut grouping = Grouping::new(By::Remote, 100);
                flows.for_each(|&(host, sent)| grouping.add(&to(host), sums(sent)));
                grouping.finish()
            };
            prop_assert_eq!(groups(&mut flows.iter()), groups(&mut flows.iter().rev()));
        }

        #[test]
        fn who_is_heavy_throughout_is_never_folded(others in proptest::collection::vec(1u32..1000, 0..500)) {
            let mut grouping = Grouping::new(By::Remote, 8);
            for &host in &others {
                grouping.add(&to(0), sums(3));
                grouping.add(&to(host), sums(1));
            }
            let groups = grouping.finish();
            if let Some(first) = groups.groups.iter().find(|group| group.key == GroupKey::Remote(IpAddr::V4(0.into()))) {
                prop_assert_eq!(first.sums, {
                    let mut all = Sums::default();
                    others.iter().for_each(|_| all += sums(3));
                    all
                });
            } else {
                prop_assert!(others.is_empty());
            }
        }
    }
}
