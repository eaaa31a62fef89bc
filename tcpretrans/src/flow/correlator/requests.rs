//! Connection requests: flows without a socket, which end without a record.

use tcpretrans_ebpf::Record;

use super::Correlator;
use crate::{
    event::{Closed, Event, FlowId, RecoveredBy, What},
    flow::{
        identity::{self, Ends},
        obituary::request_end,
    },
    socket::{Nanos, RecordExt},
};

impl Correlator {
    /// A SYN-ACK of it was sent again.
    pub(super) fn request_lives(&mut self, id: FlowId, record: &Record) {
        let over = request_end::over_by(record, self.config.hz());
        if let Some(state) = self.flows.get_mut(id) {
            let before = state.request_over.replace(over);
            self.schedule.request_lives(id, over, before);
        }
    }

    /// The listener (`record` is of its CLOSE) takes its requests with it.
    pub(super) fn listener_closed(&mut self, record: &Record, events: &mut Vec<Event>) {
        let flows = &mut self.flows;
        let is_its = |id: &FlowId| flows.get_mut(*id).is_some_and(|state| state.sk == record.sk);
        let mut orphaned: Vec<FlowId> = self.schedule.requests().filter(is_its).collect();
        orphaned.sort_unstable();
        for id in orphaned {
            if let Some(state) = self.flows.remove(id) {
                self.schedule.request_ended(id, state.request_over);
                let closed = request_end::listener_closed(&state, record);
                push_closed(events, record.mono_ns, &state.flow, closed);
            }
        }
    }

    /// A request has ended by now, one way or another.
    pub(super) fn request_is_over(&mut self, id: FlowId, over: Nanos, events: &mut Vec<Event>) {
        // Forgotten for lack of room, it may have been met again.
        if self.flows.get_mut(id).is_none_or(|state| state.request_over != Some(over)) {
            return;
        }
        if let Some(watch) = &mut self.watch {
            watch.forgot_requests(over);
        }
        if let Some(state) = self.flows.remove(id) {
            let silent = (over - state.last).cut_to_millis();
            push_closed(events, over.0, &state.flow, request_end::expired(&state, silent));
        }
    }

    /// A handshake that needed retransmissions is complete.
    pub(super) fn established(&mut self, id: FlowId, ends: Ends, record: &Record, events: &mut Vec<Event>) {
        // The request's SYN-ACKs are the child's past.
        let request_id = identity::request_id(ends);
        let request = self.flows.remove(request_id);
        self.schedule.request_ended(request_id, request.as_ref().and_then(|request| request.request_over));
        if let Some(mut request) = request
            && let Some(state) = self.flows.get_mut(id)
        {
            state.episodes += request.episodes;
            state.retransmissions += request.retransmissions;
            state.segs += request.segs;
            if state.episode.is_none() {
                state.episode = request.episode.take();
            }
        }
        let Some(state) = self.flows.get_mut(id) else { return };
        state.predicted_at = None;
        if let Some(episode) = state.episode.take() {
            let recovered = episode.recovered(RecoveredBy::Established, record.time(), None);
            let flow = state.flow.clone();
            events.push(Event {
                mono_ns: record.mono_ns,
                flow: Some(flow),
                what: What::Recovered(recovered),
            });
        }
    }
}

fn push_closed(
    events: &mut Vec<Event>,
    mono_ns: u64,
    flow: &std::sync::Arc<crate::event::Flow>,
    closed: Closed,
) {
    events.push(Event { mono_ns, flow: Some(flow.clone()), what: What::Closed(Box::new(closed)) });
}
