//! Which events are let through, `--type` included.
//!
//! `--type rto` means "flows whose timer expired": a retransmission of another type is not shown, and the flow's
//! other events (threshold, recovered, closed, observations) are shown once it had a retransmission of a wanted
//! type. Without that memory `-t rto` would either hide how those flows ended or show every flow's end.

use std::{collections::HashSet, mem};

use super::Filter;
use crate::event::{Event, Flow, FlowId, What};

/// What was filtered before the events came here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// The programs have applied [`Filter::kernel_part`].
    Kernel,
    /// Nothing has: a recording.
    Nothing,
}

/// Lets the wanted events through.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    filter: Filter,
    before: Before,
    matched: RecentFlows,
}

impl Gate {
    /// For events that come from `before`.
    pub(crate) fn new(filter: Filter, before: Before) -> Gate {
        Gate { filter, before, matched: RecentFlows::new(RecentFlows::MOST) }
    }

    /// Another trace begins, whose flows have nothing to do with those so far.
    pub(crate) fn forget(&mut self) {
        self.matched = RecentFlows::new(RecentFlows::MOST);
    }

    /// Is this event wanted? To be asked once for every event, in their order: it remembers flows.
    pub(crate) fn passes(&mut self, event: &Event) -> bool {
        let Some(flow) = event.flow.as_deref() else { return true };
        if !self.passes_flow(flow) {
            return false;
        }
        if self.filter.types.is_empty() {
            return true;
        }
        match &event.what {
            What::Retransmit(retransmit) => {
                let wanted = self.filter.matches_type(retransmit.ty);
                if wanted {
                    self.matched.insert(flow.id);
                }
                wanted
            }
            What::Closed(_) => self.matched.remove(flow.id),
            What::InBackoff(_)
            | What::Threshold(_)
            | What::Recovered(_)
            | What::Observation(_)
            | What::Lost(_)
            | What::Start(_)
            | What::End(_) => self.matched.contains(flow.id),
        }
    }

    fn passes_flow(&self, flow: &Flow) -> bool {
        match self.before {
            Before::Kernel => self.filter.matches_after_kernel(flow),
            Before::Nothing => self.filter.matches(flow),
        }
    }
}

/// A bounded set that forgets the flows that were not asked for longest: two generations, of which the older is
/// dropped when the younger is full.
#[derive(Debug, Clone)]
struct RecentFlows {
    young: HashSet<FlowId>,
    old: HashSet<FlowId>,
    generation: usize,
}

impl RecentFlows {
    /// About 2 MB at worst.
    const MOST: usize = 1 << 16;

    fn new(most: usize) -> RecentFlows {
        RecentFlows { young: HashSet::new(), old: HashSet::new(), generation: most / 2 }
    }

    fn insert(&mut self, id: FlowId) {
        if self.young.len() >= self.generation && !self.young.contains(&id) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(id);
    }

    fn contains(&mut self, id: FlowId) -> bool {
        if self.young.contains(&id) {
            return true;
        }
        let known = self.old.remove(&id);
        if known {
            self.insert(id);
        }
        known
    }

    fn remove(&mut self, id: FlowId) -> bool {
        // Both generations may hold it.
        let in_old = self.old.remove(&id);
        self.young.remove(&id) || in_old
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use proptest::prelude::*;

    use super::*;
    use crate::{
        event::{Cause, Closed, Recovered, RecoveredBy, Retransmit, RetransmitType},
        filter::tests::flow,
    };

    fn event(id: u64, what: What) -> Event {
        Event { mono_ns: 0, flow: Some(Arc::new(Flow { id: FlowId(id), ..flow() })), what }
    }

    fn retransmit(ty: RetransmitType) -> What {
        What::Retransmit(Box::new(Retransmit {
            ty,
            certain: true,
            state: 1,
            segs: 1,
            bytes: 1,
            seq: None,
            err: None,
            retransmits: 1,
            backoff: 0,
            rto_ms: None,
            next_rto_ms: None,
            srtt_us: None,
            rttvar_us: None,
            cwnd: 1,
            ssthresh: None,
            packets_out: 1,
            unacked_bytes: 1,
            episode: 1,
            deadline: None,
            record: tcpretrans_ebpf::Record::default(),
        }))
    }

    fn recovered() -> What {
        What::Recovered(Recovered {
            duration_ms: 1,
            retransmissions: 1,
            segs: 1,
            max_backoff: 0,
            spurious: None,
            by: RecoveredBy::CongState,
            episode: 1,
        })
    }

    fn closed() -> What {
        What::Closed(Box::new(Closed {
            cause: Cause::RetransmitTimeout,
            who: None,
            error: None,
            knob: None,
            state: 1,
            retransmissions: 1,
            segs: 1,
            unacked_bytes: 0,
            unsent_bytes: 0,
            lifetime_ms: None,
            silent_ms: None,
            predicted_at_ns: None,
            hung_up: None,
            killed_by: None,
            note: String::new(),
        }))
    }

    fn only(ty: RetransmitType) -> Filter {
        Filter { types: BTreeSet::from([ty]), ..Filter::default() }
    }

    #[test]
    fn a_type_brings_the_rest_of_its_flow() {
        let mut gate = Gate::new(only(RetransmitType::Rto), Before::Kernel);
        assert!(!gate.passes(&event(1, retransmit(RetransmitType::Tlp))));
        assert!(!gate.passes(&event(1, recovered())), "nothing wanted happened yet");
        assert!(gate.passes(&event(1, retransmit(RetransmitType::Rto))));
        assert!(!gate.passes(&event(1, retransmit(RetransmitType::Tlp))));
        assert!(gate.passes(&event(1, recovered())));
        assert!(!gate.passes(&event(2, recovered())), "another flow");
        assert!(gate.passes(&event(1, closed())));
        assert!(!gate.passes(&event(1, closed())), "forgotten");
    }

    #[test]
    fn without_a_type_everything_of_a_matching_flow_passes() {
        let mut gate = Gate::new(Filter::default(), Before::Nothing);
        assert!(gate.passes(&event(1, closed())));
        let mut other = Gate::new(Filter { pids: BTreeSet::from([1]), ..Filter::default() }, Before::Nothing);
        assert!(!other.passes(&event(1, closed())));
        let lost = What::Lost(crate::event::Lost::counted(1, crate::event::LostWhere::Ring));
        assert!(other.passes(&Event { mono_ns: 0, flow: None, what: lost }), "the tracer's own");
    }

    #[test]
    fn only_a_recording_is_asked_what_the_kernel_decides() {
        let filter = Filter { netns: BTreeSet::from([1]), ..Filter::default() };
        assert!(Gate::new(filter.clone(), Before::Kernel).passes(&event(1, closed())));
        assert!(!Gate::new(filter, Before::Nothing).passes(&event(1, closed())));
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_the_latest_are_kept(ids in proptest::collection::vec(0u64..1000, 1..500)) {
            let mut flows = RecentFlows::new(20);
            for (index, &id) in ids.iter().enumerate() {
                flows.insert(FlowId(id));
                prop_assert!(flows.young.len() + flows.old.len() <= 20);
                for &recent in &ids[index.saturating_sub(5)..=index] {
                    prop_assert!(flows.contains(FlowId(recent)));
                }
            }
        }
    }
}
