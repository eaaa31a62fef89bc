//! The flows that are remembered: bounded, and whatever is forgotten for lack of room is counted.

use std::collections::HashMap;

use super::state::FlowState;
use crate::{event::FlowId, socket::Nanos};

/// Flows by id.
#[derive(Debug)]
pub(super) struct FlowTable {
    /// Boxed: the map keeps up to twice as many places as it has flows, and moves all of them when it grows.
    flows: HashMap<FlowId, Box<FlowState>>,
    capacity: usize,
    evicted: u64,
}

impl FlowTable {
    /// A table for at most `capacity` flows.
    pub(super) fn with_capacity(capacity: usize) -> FlowTable {
        FlowTable { flows: HashMap::new(), capacity: capacity.max(8), evicted: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Looks one up.
    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut FlowState> {
        self.flows.get_mut(&id).map(Box::as_mut)
    }

    /// Looks one up, or makes room and adds it.
    pub(super) fn entry(&mut self, id: FlowId, new: impl FnOnce() -> FlowState) -> &mut FlowState {
        if self.flows.len() >= self.capacity && !self.flows.contains_key(&id) {
            self.evict();
        }
        self.flows.entry(id).or_insert_with(|| Box::new(new()))
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, id: FlowId) -> Option<Box<FlowState>> {
        let flow = self.flows.remove(&id);
        // A storm is over: give the memory back.
        if self.flows.capacity() > 1024 && self.flows.len() < self.flows.capacity() / 8 {
            self.flows.shrink_to(self.flows.len() * 2);
        }
        flow
    }

    /// Forgets the eighth that had no record for longest. In bulk, so that it costs little a flow. Of those of one age
    /// by their ids, so that a replay forgets the same ones.
    fn evict(&mut self) {
        let mut ages: Vec<(Nanos, FlowId)> = self.flows.iter().map(|(&id, flow)| (flow.last, id)).collect();
        let number = (ages.len() / 8).max(1);
        let (_, &mut youngest, _) = ages.select_nth_unstable(number - 1);
        self.flows.retain(|&id, flow| (flow.last, id) > youngest);
        self.evicted += number as u64;
    }

    /// How many were forgotten for lack of room since the last call.
    pub(super) fn take_evicted(&mut self) -> u64 {
        std::mem::take(&mut self.evicted)
    }

    /// Keeps only those.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&FlowState) -> bool) {
        self.flows.retain(|_, flow| stays(flow));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tcpretrans_ebpf::Record;

    use super::*;
    use crate::flow::{Owner, identity};

    fn state(id: FlowId, mono_ns: u64) -> FlowState {
        let record = Record { mono_ns, ..Record::default() };
        FlowState::new(Arc::new(identity::flow(id, &record, &Owner::default())), &record)
    }

    #[test]
    fn forgets_the_longest_silent_and_counts_them() {
        let mut table = FlowTable::with_capacity(16);
        for number in 0..40 {
            let id = FlowId(number);
            table.entry(id, || state(id, number));
            assert!(table.len() <= 16);
        }
        let left: Vec<bool> = (0..40).map(|number| table.get_mut(FlowId(number)).is_some()).collect();
        assert!(left.is_sorted(), "an older one stays where a newer one goes: {left:?}");
        assert_eq!(table.take_evicted() as usize, 40 - table.len());
        assert_eq!(table.take_evicted(), 0);
    }

    #[test]
    fn flows_of_one_age_are_not_all_forgotten() {
        let mut table = FlowTable::with_capacity(16);
        for number in 0..17 {
            let id = FlowId(number);
            table.entry(id, || state(id, 5));
        }
        assert_eq!(table.len(), 15);
    }
}
