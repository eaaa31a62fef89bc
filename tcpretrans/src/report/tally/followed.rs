//! The flows that are being followed: their counts and the episode that they are in.

use std::{mem, sync::Arc};

use super::{StableMap, counts::Counts, episode::OpenEpisode};
use crate::event::Flow;

/// Which socket. The cookie alone would do within one run of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FlowKey {
    id: u64,
    lport: u16,
    rport: u16,
}

impl FlowKey {
    fn of(flow: &Flow) -> FlowKey {
        FlowKey { id: flow.id.0, lport: flow.lport, rport: flow.rport }
    }
}

/// A flow that is being followed.
#[derive(Debug)]
pub(super) struct Followed {
    /// As the latest event has it: its owner may become known late.
    pub flow: Arc<Flow>,
    /// Sums over its events.
    pub counts: Counts,
    /// The episode that it is in.
    pub episode: Option<Box<OpenEpisode>>,
}

/// A bounded table that forgets the flows that had no event for longest: two generations, of which the older is handed
/// out when the younger is full.
#[derive(Debug)]
pub(super) struct Flows {
    young: StableMap<FlowKey, Followed>,
    old: StableMap<FlowKey, Followed>,
    generation: usize,
    forgotten: Vec<Followed>,
}

impl Flows {
    /// Of at most so many.
    pub(super) fn new(most: usize) -> Flows {
        let generation = (most / 2).max(1);
        Flows { young: StableMap::default(), old: StableMap::default(), generation, forgotten: Vec::new() }
    }

    /// The flow; others may have to make room for it ([`Flows::take_forgotten`]).
    pub(super) fn follow(&mut self, flow: &Arc<Flow>) -> &mut Followed {
        let key = FlowKey::of(flow);
        let new = || Followed { flow: flow.clone(), counts: Counts::default(), episode: None };
        if !self.young.contains_key(&key) {
            let followed = self.old.remove(&key).unwrap_or_else(new);
            if self.young.len() >= self.generation {
                let old = mem::replace(&mut self.old, mem::take(&mut self.young));
                self.forgotten.extend(old.into_values());
            }
            self.young.insert(key, followed);
        }
        let followed = self.young.entry(key).or_insert_with(new);
        // An owner that was known once stays known.
        if followed.flow.pid.is_none() || flow.pid.is_some() {
            followed.flow.clone_from(flow);
        }
        followed
    }

    /// Those that had to make room since this was last asked.
    pub(super) fn take_forgotten(&mut self) -> Vec<Followed> {
        mem::take(&mut self.forgotten)
    }

    /// Takes a flow out.
    pub(super) fn take(&mut self, flow: &Flow) -> Option<Followed> {
        let key = FlowKey::of(flow);
        self.young.remove(&key).or_else(|| self.old.remove(&key))
    }

    /// Takes all out.
    pub(super) fn drain(&mut self) -> Vec<Followed> {
        self.old.drain().chain(self.young.drain()).map(|(_, followed)| followed).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{FlowId, samples as sample};

    fn flow(id: u64) -> Arc<Flow> {
        Arc::new(Flow { id: FlowId(id), ..sample::ipv4_flow() })
    }

    #[test]
    fn an_owner_that_becomes_known_stays_known() {
        let mut flows = Flows::new(10);
        let unknown = Arc::new(sample::unknown_owner());
        flows.follow(&unknown);
        flows.follow(&Arc::new(sample::ipv4_flow()));
        assert_eq!(flows.follow(&unknown).flow.pid, Some(1234));
        assert!(flows.take(&unknown).is_some() && flows.take(&unknown).is_none());
    }

    proptest! {
        #[test]
        fn every_flow_comes_out_in_the_end_and_memory_is_bounded(
            ids in proptest::collection::vec(0u64..100, 0..300),
            most in 2usize..40,
        ) {
            let mut flows = Flows::new(most);
            let mut seen = 0;
            let mut out = 0;
            for (index, &id) in ids.iter().enumerate() {
                flows.follow(&flow(id)).counts.sent += 1;
                seen += 1;
                out += flows.take_forgotten().iter().map(|followed| followed.counts.sent).sum::<u64>();
                prop_assert!(flows.young.len() + flows.old.len() <= most.max(2));
                if let Some(before) = index.checked_sub(1) {
                    let previous = FlowKey::of(&flow(ids[before]));
                    let kept = flows.young.contains_key(&previous) || flows.old.contains_key(&previous);
                    prop_assert!(kept, "the latest are kept");
                }
            }
            out += flows.drain().iter().map(|followed| followed.counts.sent).sum::<u64>();
            prop_assert_eq!(out, seen);
        }
    }
}
