//! The correlator: records in, events out.

use std::{collections::HashMap, sync::Arc};

use tcpretrans_ebpf::{Kind, Record, tcp_state};

use super::{
    classify::ca_state,
    identity::{self, Ends, Owner},
    ladder, obituary, retransmission,
    state::{Closing, FirstFin, FlowState, ResetSent, Side},
    table::FlowTable,
    thresholds,
};
use crate::deadline::{self, Kernel, TimerView};
use crate::event::{Event, FlowId, InBackoff, LostWhere, Observation, RecoveredBy, What, run::Lost};

/// How long after CLOSE a flow's last words (a reset sent, the socket's destruction) are waited for, ns. They
/// follow within microseconds; records are in order.
const LAST_WORDS_NS: u64 = 100_000_000;

/// Flows that are remembered at the same time by default.
pub const DEFAULT_MAX_FLOWS: usize = 131_072;

/// What the correlator must know beforehand.
#[derive(Debug, Clone)]
pub struct Config {
    /// Timer ticks a second.
    pub hz: u32,
    /// [`Kernel::request_rto_max`]
    pub request_rto_max: Option<bool>,
    /// Share of the death budget at which to warn, 0 to 1.
    pub warn_at: f64,
    /// Announce the end of flows that had no trouble, too.
    pub all_closes: bool,
    /// Does the kernel announce changes of the congestion state?
    pub cong_state: bool,
    /// `enum sk_rst_reason` of this kernel.
    pub reset_reasons: HashMap<u32, String>,
    /// Flows to remember at most.
    pub max_flows: usize,
}

impl Config {
    fn kernel(&self) -> Kernel {
        Kernel { request_rto_max: self.request_rto_max, ..Kernel::new(self.hz) }
    }
}

/// Turns records into events. Pure: the same records give the same events.
#[derive(Debug)]
pub struct Correlator {
    config: Config,
    flows: FlowTable,
    /// Flows that are closed and waiting for last words, oldest first: `(give up waiting at, id)`.
    closing: std::collections::VecDeque<(u64, FlowId)>,
}

impl Correlator {
    /// A correlator that has seen nothing yet.
    pub fn new(config: Config) -> Correlator {
        let flows = FlowTable::with_capacity(config.max_flows);
        Correlator { config, flows, closing: std::collections::VecDeque::new() }
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
        let id = identity::flow_id(kind, record);
        if !self.has_own_event(kind) {
            self.observation(kind, id, record, owner, events);
        }
        match kind {
            Kind::Retransmit | Kind::SynAck => self.retransmit(kind, id, record, owner, events),
            Kind::State => self.state_change(id, record, owner, events),
            Kind::CongState => self.cong_state(id, record, events),
            Kind::ReceiveReset => self.receive_reset(id, record, owner),
            Kind::SendReset => self.send_reset(id, record, owner),
            Kind::Destroy => self.destroy(id, events),
            Kind::Seed => self.seed(id, record, owner, events),
            Kind::ErrorReport | Kind::Calibrate => {}
        }
    }

    fn has_own_event(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Retransmit | Kind::SynAck)
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
        let known = &state.flow;
        let learned =
            known.pid.is_none() && owner.pid.is_some() || known.cgroup.is_none() && owner.cgroup.is_some();
        if learned {
            state.flow = Arc::new(identity::flow(id, record, owner));
        }
        state.last_ns = record.mono_ns;
        state.sk = record.sk;
        state
    }

    fn retransmit(
        &mut self,
        kind: Kind,
        id: FlowId,
        record: &Record,
        owner: &Owner,
        events: &mut Vec<Event>,
    ) {
        let kernel = self.config.kernel();
        let warn_at = self.config.warn_at;
        let state = self.flow_state(id, record, owner);
        // A recovery that showed nowhere else shows now: everything older is acknowledged. (Of a request, the
        // record shows the listener's sequence numbers.)
        if kind == Kind::Retransmit {
            end_if_acknowledged(state, record, events);
        }

        let mut event = if kind == Kind::SynAck {
            retransmission::of_synack(record, kernel)
        } else {
            retransmission::of_skb(record, state.last_retransmits, kernel)
        };
        state.last_retransmits = Some(record.sock.icsk_retransmits);
        state.last_total_retrans = record.sock.total_retrans;
        if event.err.is_none() {
            state.retransmissions += 1;
            state.segs = state.segs.saturating_add(event.segs);
        }
        learn_first_fin(state, record);
        event.deadline = deadline::of_record(event.ty, record, kernel);
        state.predicted_at_ns = event.deadline.as_ref().map(|deadline| deadline.expected_ns);
        let flow = state.flow.clone();
        let episode = state.episode_at(record);
        episode.add(event.ty, record, event.segs, event.retransmits);
        event.episode = episode.number;
        let view = TimerView::from_record(event.ty, record, kernel);
        let thresholds = thresholds::passed(episode, view.as_ref(), event.deadline.as_ref(), warn_at);
        let mut push = |what| events.push(Event { mono_ns: record.mono_ns, flow: Some(flow.clone()), what });
        push(What::Retransmit(Box::new(event)));
        for threshold in thresholds {
            push(What::Threshold(threshold));
        }
    }

    /// A flow that was in trouble before the trace began: what was not seen of it is not made up.
    fn seed(&mut self, id: FlowId, record: &Record, owner: &Owner, events: &mut Vec<Event>) {
        let kernel = self.config.kernel();
        let warn_at = self.config.warn_at;
        let sock = &record.sock;
        // The programs were attached first: its latest timeout may have been told already.
        let told = |state: &mut FlowState| {
            state.episode.is_some() && state.last_retransmits == Some(sock.icsk_retransmits)
        };
        if self.flows.get_mut(id).is_some_and(told) {
            return;
        }
        let state = self.flow_state(id, record, owner);
        state.last_retransmits = Some(sock.icsk_retransmits);
        state.last_total_retrans = sock.total_retrans;
        learn_first_fin(state, record);
        let deadline = deadline::of_seed(record, kernel);
        state.predicted_at_ns = deadline.as_ref().map(|deadline| deadline.expected_ns);
        let flow = state.flow.clone();
        let episode = state.episode_at(record);
        episode.resume(record);
        let since_ns = record.mono_ns - episode.started_ns.min(record.mono_ns);
        let in_backoff = InBackoff {
            state: sock.skc_state,
            retransmits: u32::from(sock.icsk_retransmits),
            backoff: u32::from(sock.icsk_backoff),
            rto_ms: ladder::jiffies_to_ms(u64::from(sock.icsk_rto), kernel.hz),
            since_ms: (sock.retrans_stamp != 0).then_some(since_ns / 1_000_000),
            total_retrans: sock.total_retrans,
            unacked_bytes: retransmission::unacked_bytes(record),
            deadline: deadline.clone(),
            episode: episode.number,
        };
        let mut push = |what| events.push(Event { mono_ns: record.mono_ns, flow: Some(flow.clone()), what });
        push(What::InBackoff(Box::new(in_backoff)));
        let view = TimerView::from_seed(record, kernel);
        for threshold in thresholds::passed(episode, view.as_ref(), deadline.as_ref(), warn_at) {
            push(What::Threshold(threshold));
        }
    }

    fn cong_state(&mut self, id: FlowId, record: &Record, events: &mut Vec<Event>) {
        let Some(state) = self.flows.get_mut(id) else { return };
        state.last_ns = record.mono_ns;
        state.last_retransmits = Some(record.sock.icsk_retransmits);
        let Some(episode) = &mut state.episode else { return };
        episode.undo_marked |= record.sock.undo_marker != 0;
        let leaves_loss = record.old >= ca_state::RECOVERY && record.new < ca_state::RECOVERY;
        let answered_probe = record.new == ca_state::CWR && episode.only_tlp;
        let recovered = if leaves_loss {
            let by = match record.sock.skc_state {
                tcp_state::SYN_SENT | tcp_state::SYN_RECV => RecoveredBy::Established,
                _ => RecoveredBy::CongState,
            };
            episode.recovered(by, record.mono_ns, episode.spurious_at_exit(record))
        } else if answered_probe {
            // tcp_process_tlp_ack: the ACK covers the probe and no DSACK came: the tail was lost.
            episode.recovered(RecoveredBy::TlpAck, record.mono_ns, Some(false))
        } else {
            return;
        };
        state.episode = None;
        state.predicted_at_ns = None;
        let flow = state.flow.clone();
        events.push(Event { mono_ns: record.mono_ns, flow: Some(flow), what: What::Recovered(recovered) });
    }

    fn receive_reset(&mut self, id: FlowId, record: &Record, owner: &Owner) {
        self.flow_state(id, record, owner).reset_received_ns = Some(record.mono_ns);
    }

    fn send_reset(&mut self, id: FlowId, record: &Record, owner: &Owner) {
        self.flow_state(id, record, owner).reset_sent = Some(ResetSent {
            at_ns: record.mono_ns,
            reason: record.rst_reason,
            answers_segment: record.has_skb != 0,
        });
    }

    fn state_change(&mut self, id: FlowId, record: &Record, owner: &Owner, events: &mut Vec<Event>) {
        if record.old == tcp_state::LISTEN {
            return;
        }
        let state = self.flow_state(id, record, owner);
        if record.new == tcp_state::ESTABLISHED {
            let ends = state.ends;
            self.established(id, ends, record, events);
            return;
        }
        learn_fin(state, record);
        if record.new == tcp_state::CLOSE {
            let reset_received = state.reset_received_ns.is_some();
            state.closing = Some(Box::new(Closing { record: *record, reset_received }));
            self.closing.push_back((record.mono_ns + LAST_WORDS_NS, id));
        }
    }

    /// A handshake that needed retransmissions is complete.
    fn established(&mut self, id: FlowId, ends: Ends, record: &Record, events: &mut Vec<Event>) {
        // The request's SYN-ACKs are the child's past.
        if let Some(mut request) = self.flows.remove(identity::request_id(ends))
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
        state.predicted_at_ns = None;
        if let Some(episode) = state.episode.take() {
            let recovered = episode.recovered(RecoveredBy::Established, record.mono_ns, None);
            let flow = state.flow.clone();
            events.push(Event {
                mono_ns: record.mono_ns,
                flow: Some(flow),
                what: What::Recovered(recovered),
            });
        }
    }

    fn destroy(&mut self, id: FlowId, events: &mut Vec<Event>) {
        // A socket whose CLOSE was lost (or happened before the trace) must not stay.
        if self.flows.get_mut(id).is_some_and(|state| state.closing.is_none()) {
            self.flows.remove(id);
            return;
        }
        self.bury(id, events);
    }

    /// Lets time pass: flows whose last words have been waited for are done.
    pub fn advance(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        while let Some(&(until_ns, id)) = self.closing.front() {
            if until_ns > now_ns {
                break;
            }
            self.closing.pop_front();
            self.bury(id, events);
        }
    }

    /// The trace ends: nothing more will be heard.
    pub fn finish(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        self.advance(now_ns.saturating_add(2 * LAST_WORDS_NS), events);
        self.report_evictions(now_ns, events);
    }

    /// Reports flows that were forgotten for lack of room.
    pub fn report_evictions(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        let records = self.flows.take_evicted();
        if records > 0 {
            let lost = Lost { records, place: LostWhere::Map };
            events.push(Event { mono_ns: now_ns, flow: None, what: What::Lost(lost) });
        }
    }

    /// Writes a closed flow's obituary and forgets it.
    fn bury(&mut self, id: FlowId, events: &mut Vec<Event>) {
        let Some(mut state) = self.flows.remove(id) else { return };
        let Some(closing) = state.closing.take() else { return };
        let record = closing.record;
        let flow = state.flow.clone();
        let mut push = |what| events.push(Event { mono_ns: record.mono_ns, flow: Some(flow.clone()), what });
        let all_acknowledged = record.sock.snd_una == record.sock.snd_nxt;
        if all_acknowledged
            && record.sock.sk_err == 0
            && record.old != tcp_state::SYN_SENT
            && let Some(episode) = state.episode.take()
        {
            push(What::Recovered(episode.recovered(RecoveredBy::Close, record.mono_ns, None)));
        }
        if self.config.all_closes || obituary::is_troubled(&state, &closing) {
            push(What::Closed(Box::new(obituary::closed(&state, &closing, &self.config))));
        }
    }
}

/// Ends an episode whose data turns out to be acknowledged. Where the kernel announces changes of the congestion
/// state, only episodes of nothing but probes end unseen.
fn end_if_acknowledged(state: &mut FlowState, record: &Record, events: &mut Vec<Event>) {
    let unseen =
        |episode: &super::episode::Episode| episode.only_tlp || record.sock.ca_state < ca_state::RECOVERY;
    let over =
        state.episode.as_ref().is_some_and(|episode| unseen(episode) && episode.is_acknowledged(record));
    if !over {
        return;
    }
    if let Some(episode) = state.episode.take() {
        let spurious = episode.spurious_by_dsack(record);
        let recovered = episode.recovered(RecoveredBy::Progress, record.mono_ns, spurious);
        events.push(Event {
            mono_ns: record.mono_ns,
            flow: Some(state.flow.clone()),
            what: What::Recovered(recovered),
        });
    }
}

/// Whose FIN came first, from a state change.
fn learn_fin(state: &mut FlowState, record: &Record) {
    let side = match (record.old, record.new) {
        (tcp_state::ESTABLISHED | tcp_state::SYN_RECV, tcp_state::FIN_WAIT1) => Side::Local,
        (tcp_state::ESTABLISHED | tcp_state::SYN_RECV, tcp_state::CLOSE_WAIT) => Side::Peer,
        (tcp_state::FIN_WAIT1, tcp_state::CLOSING) => Side::Both,
        _ => return learn_first_fin(state, record),
    };
    if side != Side::Both && state.first_fin.is_some() {
        return;
    }
    let closer = (side == Side::Local && record.current_tgid != 0)
        .then_some((record.current_tgid, record.current_comm));
    let into_episode_ms =
        state.episode.as_ref().map(|episode| record.mono_ns.saturating_sub(episode.started_ns) / 1_000_000);
    state.first_fin = Some(FirstFin {
        side,
        at_ns: Some(record.mono_ns),
        closer,
        unacked_bytes: retransmission::unacked_bytes(record),
        retransmits: record.sock.icsk_retransmits,
        into_episode_ms,
    });
}

/// The same, from the state that the socket is in: the FIN went before the flow was in trouble.
fn learn_first_fin(state: &mut FlowState, record: &Record) {
    if state.first_fin.is_some() {
        return;
    }
    let side = match record.sock.skc_state {
        tcp_state::FIN_WAIT1 | tcp_state::FIN_WAIT2 => Side::Local,
        tcp_state::CLOSING => Side::Both,
        tcp_state::CLOSE_WAIT | tcp_state::LAST_ACK => Side::Peer,
        _ => return,
    };
    state.first_fin = Some(FirstFin {
        side,
        at_ns: (record.fin_ns != 0).then_some(record.fin_ns),
        closer: None,
        unacked_bytes: retransmission::unacked_bytes(record),
        retransmits: 0,
        into_episode_ms: None,
    });
}

#[cfg(test)]
mod stories;
