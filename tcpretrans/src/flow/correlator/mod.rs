//! The correlator: records in, events out.

mod endings;
mod fins;
mod requests;
mod schedule;
mod unseen_gaps;

use std::{collections::HashMap, sync::Arc};

use schedule::Schedule;
use tcpretrans_ebpf::{Attempt, Kind, Record};

use super::{
    flow_table::FlowTable,
    identity::{self, Owner},
    retransmission,
    state::FlowState,
    thresholds,
    unseen::Watch,
};
use crate::{
    deadline::TimerView,
    event::{Deadline, Event, Flow, FlowId, InBackoff, Lost, LostWhere, Observation, RecoveredBy, What},
    socket::{CaState, Hz, Nanos, RecordExt, SnapshotExt, TcpState},
};

/// Flows that are remembered at the same time, unless it is decided otherwise.
const MAX_FLOWS: usize = 131_072;

/// What the correlator must know beforehand.
#[derive(Debug, Clone)]
pub struct Config {
    /// Timer ticks a second.
    pub hz: u32,
    /// Are connection requests' waits capped at the listener's `icsk_rto_max`? Mainline does so from 7.0; `None`: not
    /// known.
    pub request_rto_max: Option<bool>,
    /// Share of the kernel's time budget at which to warn, 0 to 1.
    pub warn_at: f64,
    /// Report the end of flows without retransmissions or errors, too.
    pub all_closes: bool,
    /// `enum sk_rst_reason` of this kernel.
    pub reset_reasons: HashMap<u32, String>,
    /// Flows to remember at most.
    pub max_flows: usize,
}

impl Config {
    /// For a kernel with so many ticks a second, of which nothing else is known; warns at half of the time.
    pub fn new(hz: u32) -> Config {
        Config {
            hz,
            request_rto_max: None,
            warn_at: 0.5,
            all_closes: false,
            reset_reasons: HashMap::new(),
            max_flows: MAX_FLOWS,
        }
    }

    pub(super) fn hz(&self) -> Hz {
        Hz::new(self.hz)
    }
}

/// Turns records into events. Pure: the same records give the same events, in the same order, however often it
/// learns in between that time has passed.
#[derive(Debug)]
pub struct Correlator {
    config: Config,
    flows: FlowTable,
    /// What happens as time passes.
    schedule: Schedule,
    /// Up to then records were lost.
    doubtful: Option<Nanos>,
    /// Looks for retransmissions that made no record.
    watch: Option<Watch>,
}

impl Correlator {
    /// A correlator that has seen nothing yet.
    pub fn new(config: Config) -> Correlator {
        let flows = FlowTable::with_capacity(config.max_flows);
        Correlator { config, flows, schedule: Schedule::default(), doubtful: None, watch: None }
    }

    /// How many flows are remembered.
    pub fn flows(&self) -> usize {
        self.flows.len()
    }

    /// Takes one record; `owner` is whose socket it is.
    pub fn observe(&mut self, kind: Kind, record: &Record, owner: &Owner, events: &mut Vec<Event>) {
        self.advance(record.mono_ns, events);
        if kind == Kind::Calibrate {
            return;
        }
        let id = self.id_of(kind, record);
        self.finish_earlier_life(kind, id, events);
        if let Some(state) = self.flows.get_mut(id) {
            learn_owner(state, owner);
        }
        self.schedule.sweep_after(record.time());
        let gap = self.gap_before(kind, id, record);
        if !kind.is_retransmission() {
            self.observation(kind, id, record, owner, events);
        }
        match kind {
            Kind::Retransmit => self.retransmit(Attempt::Segment, id, record, owner, events),
            Kind::SynAck => self.retransmit(Attempt::SynAck, id, record, owner, events),
            Kind::State => self.state_change(id, record, owner, events),
            Kind::CongState => self.cong_state(id, record, events),
            Kind::ReceiveReset => self.receive_reset(id, record, owner),
            Kind::SendReset => self.send_reset(id, record, owner),
            Kind::Destroy => self.destroy(id, record, events),
            Kind::Seed => self.seed(id, record, owner, events),
            Kind::ErrorReport | Kind::Calibrate => {}
        }
        if let Some((gap, flow)) = gap {
            self.hold(gap, record, id, flow);
        }
    }

    /// Before 5.12 a cookie shows only once somebody (`ss`) has asked for it: a flow that began without one keeps its id.
    fn id_of(&mut self, kind: Kind, record: &Record) -> FlowId {
        let id = identity::flow_id(kind, record);
        if record.cookie == 0 || identity::is_request(kind, record) {
            return id;
        }
        let own = identity::own_id(record);
        if self.flows.get_mut(own).is_some() { own } else { id }
    }

    /// Passes on what makes no event of its own, for recordings.
    fn observation(
        &mut self,
        kind: Kind,
        id: FlowId,
        record: &Record,
        owner: &Owner,
        events: &mut Vec<Event>,
    ) {
        let flow = match self.flows.get_mut(id) {
            Some(state) => state.flow.clone(),
            None => Arc::new(identity::flow(id, record, owner)),
        };
        events.push(Event {
            mono_ns: record.mono_ns,
            flow: Some(flow),
            what: What::Observation(Box::new(Observation { kind, record: *record })),
        });
    }

    /// The flow's state, made if need be; its owner is refreshed when more becomes known.
    fn flow_state(&mut self, id: FlowId, record: &Record, owner: &Owner) -> &mut FlowState {
        let state =
            self.flows.entry(id, || FlowState::new(Arc::new(identity::flow(id, record, owner)), record));
        learn_owner(state, owner);
        state.last = record.time();
        state.sk = record.sk;
        if record.sock.state() != TcpState::Listen {
            state.last_total_retrans = record.sock.total_retrans;
        }
        state
    }

    fn retransmit(
        &mut self,
        attempt: Attempt,
        id: FlowId,
        record: &Record,
        owner: &Owner,
        events: &mut Vec<Event>,
    ) {
        let hz = self.config.hz();
        let Config { warn_at, request_rto_max, .. } = self.config;
        let state = self.flow_state(id, record, owner);
        let (mut event, view) = match attempt {
            // Of a request, the record shows the listener's sequence numbers.
            Attempt::SynAck => (retransmission::of_synack(record, hz, request_rto_max), None),
            Attempt::Segment => {
                // A recovery that showed nowhere else shows now: everything older is acknowledged.
                end_if_acknowledged(state, record, events);
                retransmission::of_skb(record, state.last_retransmits, hz)
            }
        };
        state.last_retransmits = Some(record.sock.icsk_retransmits);
        if event.err.is_none() {
            state.retransmissions += 1;
            state.segs = state.segs.saturating_add(event.segs);
        }
        fins::learn_from_retransmission(state, attempt, record, hz);
        state.predicted_at = expected_end(event.deadline.as_ref());
        let flow = state.flow.clone();
        let episode = state.episode_at(record);
        episode.add(event.ty, record, event.segs, event.retransmits);
        event.episode = episode.number;
        let thresholds = thresholds::passed(episode, view.as_ref(), event.deadline.as_ref(), warn_at);
        let mut push = |what| events.push(Event { mono_ns: record.mono_ns, flow: Some(flow.clone()), what });
        push(What::Retransmit(Box::new(event)));
        for threshold in thresholds {
            push(What::Threshold(threshold));
        }
        if identity::is_request(attempt.kind(), record) {
            self.request_lives(id, record);
        }
    }

    /// A flow that was in RTO backoff before the trace began: what was not seen of it is not guessed.
    fn seed(&mut self, id: FlowId, record: &Record, owner: &Owner, events: &mut Vec<Event>) {
        let hz = self.config.hz();
        let warn_at = self.config.warn_at;
        let sock = &record.sock;
        // The programs were attached first: its latest timeout may have been seen already.
        let was_seen = |state: &mut FlowState| {
            state.episode.is_some() && state.last_retransmits == Some(sock.icsk_retransmits)
        };
        if self.flows.get_mut(id).is_some_and(was_seen) {
            return;
        }
        let state = self.flow_state(id, record, owner);
        let counted = if state.episode.is_some() { state.last_retransmits.unwrap_or(0) } else { 0 };
        state.last_retransmits = Some(sock.icsk_retransmits);
        fins::learn_from_state(state, record);
        let view = TimerView::from_seed(record, hz);
        let deadline = view.as_ref().and_then(TimerView::forecast);
        state.predicted_at = expected_end(deadline.as_ref());
        // Each timeout that is unanswered repeated one segment: these belong to the episode that is taken over. Some
        // may have been seen, for the programs were attached before the sockets were read.
        let unanswered = u32::from(sock.icsk_retransmits.saturating_sub(counted));
        state.retransmissions = state.retransmissions.saturating_add(unanswered);
        state.segs = state.segs.saturating_add(unanswered);
        let flow = state.flow.clone();
        let episode = state.episode_at(record);
        episode.resume(record);
        let since = record.time() - episode.started;
        let in_backoff = InBackoff {
            state: sock.skc_state,
            retransmits: u32::from(sock.icsk_retransmits),
            backoff: u32::from(sock.icsk_backoff),
            rto_ms: hz.displayed(sock.rto()).0,
            since_ms: sock.is_stamped().then_some(since.cut_to_millis().0),
            total_retrans: sock.total_retrans,
            unacked_bytes: retransmission::unacked_bytes(record),
            deadline: deadline.clone(),
            episode: episode.number,
        };
        let mut push = |what| events.push(Event { mono_ns: record.mono_ns, flow: Some(flow.clone()), what });
        push(What::InBackoff(Box::new(in_backoff)));
        for threshold in thresholds::passed(episode, view.as_ref(), deadline.as_ref(), warn_at) {
            push(What::Threshold(threshold));
        }
    }

    fn cong_state(&mut self, id: FlowId, record: &Record, events: &mut Vec<Event>) {
        let Some(state) = self.flows.get_mut(id) else { return };
        if state.closing.is_some() {
            // tcp_disconnect clears the socket for its next connection: nothing recovered.
            return;
        }
        state.last = record.time();
        state.last_retransmits = Some(record.sock.icsk_retransmits);
        let Some(episode) = &mut state.episode else { return };
        episode.undo_marked |= record.sock.undo_marker != 0;
        let (old, new) = (CaState::from(record.old), CaState::from(record.new));
        let leaves_loss = old >= CaState::Recovery && new < CaState::Recovery;
        let answered_probe = new == CaState::Cwr && episode.only_tlp;
        let recovered = if leaves_loss {
            let handshake = record.sock.state().in_handshake();
            let by = if handshake { RecoveredBy::Established } else { RecoveredBy::CongState };
            episode.recovered(by, record.time(), episode.spurious_at_exit(record))
        } else if answered_probe {
            // tcp_process_tlp_ack: the ACK covers the probe and no DSACK came: the tail was lost.
            episode.recovered(RecoveredBy::TlpAck, record.time(), Some(false))
        } else {
            return;
        };
        state.episode = None;
        state.predicted_at = None;
        let flow = state.flow.clone();
        events.push(Event { mono_ns: record.mono_ns, flow: Some(flow), what: What::Recovered(recovered) });
    }

    /// Reports flows that were forgotten for lack of room.
    pub fn report_evictions(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        let records = self.flows.take_evicted();
        if records > 0 {
            if let Some(watch) = &mut self.watch {
                watch.forgot_flows(Nanos(now_ns));
            }
            let lost = Lost::counted(records, LostWhere::Map);
            events.push(Event { mono_ns: now_ns, flow: None, what: What::Lost(lost) });
        }
    }
}

fn expected_end(deadline: Option<&Deadline>) -> Option<Nanos> {
    deadline.map(|deadline| Nanos(deadline.expected_ns))
}

/// What was unknown of the flow's owner and is known now. What was known stays. Before a record makes any event:
/// a recording then has the owner wherever the live trace had it.
fn learn_owner(state: &mut FlowState, owner: &Owner) {
    let known = &state.flow;
    let pid_is_new = known.pid.is_none() && owner.pid.is_some();
    let cgroup_is_new = known.cgroup.is_none() && owner.cgroup.is_some();
    if !pid_is_new && !cgroup_is_new {
        return;
    }
    let mut flow = Flow::clone(known);
    if pid_is_new {
        flow.pid = owner.pid;
        flow.comm = owner.comm.clone();
    }
    if cgroup_is_new {
        flow.cgroup = owner.cgroup.clone();
    }
    state.flow = Arc::new(flow);
}

/// Ends an episode whose data turns out to be acknowledged. Where the kernel announces changes of the congestion
/// state, only episodes of nothing but probes end unseen.
fn end_if_acknowledged(state: &mut FlowState, record: &Record, events: &mut Vec<Event>) {
    let unseen =
        |episode: &super::episode::Episode| episode.only_tlp || record.sock.ca_state() < CaState::Recovery;
    let over =
        state.episode.as_ref().is_some_and(|episode| unseen(episode) && episode.is_acknowledged(record));
    if !over {
        return;
    }
    if let Some(episode) = state.episode.take() {
        let spurious = episode.spurious_by_dsack(record);
        let recovered = episode.recovered(RecoveredBy::Progress, record.time(), spurious);
        events.push(Event {
            mono_ns: record.mono_ns,
            flow: Some(state.flow.clone()),
            what: What::Recovered(recovered),
        });
    }
}

#[cfg(test)]
mod any_records;
#[cfg(test)]
mod ending_stories;
#[cfg(test)]
mod one_rto;
#[cfg(test)]
mod stories;
#[cfg(test)]
pub(super) mod story;
