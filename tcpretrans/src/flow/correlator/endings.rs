//! How flows leave: resets, state changes up to CLOSE, the socket's destruction, and silence.

use tcpretrans_ebpf::{Kind, Record, tcp_state};

use super::{
    Correlator, fins,
    schedule::{Due, LAST_WORDS_NS},
};
use crate::{
    event::{Event, FlowId, RecoveredBy, What},
    flow::{
        classify::is_orphan,
        identity::Owner,
        obituary::{self, expiry, words},
        state::{Closing, ResetSent},
    },
};

impl Correlator {
    pub(super) fn receive_reset(&mut self, id: FlowId, record: &Record, owner: &Owner) {
        // tcp_reset does nothing to a socket that is closed already.
        if record.sock.skc_state != tcp_state::CLOSE {
            self.flow_state(id, record, owner).reset_received_ns = Some(record.mono_ns);
        }
    }

    pub(super) fn send_reset(&mut self, id: FlowId, record: &Record, owner: &Owner) {
        let answers_segment = record.has_skb != 0;
        let closed = record.sock.skc_state == tcp_state::CLOSE;
        let state = self.flow_state(id, record, owner);
        let ends = ResetSent { at_ns: record.mono_ns, reason: record.rst_reason, answers_segment };
        // The one that ended the connection is not the one that answers a stray segment.
        if state.reset_sent.is_none_or(|known| known.answers_segment || !answers_segment) {
            state.reset_sent = Some(ends);
        }
        if closed && state.closing.is_none() {
            // Gone from FIN_WAIT2 to CLOSE, as after an ordinary close, it had no record: only the reset tells that
            // data was unread (tcp_close), or came with the ACK of our FIN when nobody was left to read it
            // (tcp_rcv_state_process).
            if !answers_segment && !is_orphan(record) {
                state.closer = Some(fins::current(record));
            }
            let record = Record { old: tcp_state::FIN_WAIT2, new: tcp_state::CLOSE, ..*record };
            state.closing = Some(Box::new(Closing { record }));
            self.schedule.await_last_words(record.mono_ns, id);
        }
    }

    pub(super) fn state_change(
        &mut self,
        id: FlowId,
        record: &Record,
        owner: &Owner,
        events: &mut Vec<Event>,
    ) {
        if record.old == tcp_state::LISTEN {
            if record.new == tcp_state::CLOSE {
                self.listener_closed(record, events);
            }
            return;
        }
        let hz = self.config.hz;
        let closes_here = closes_here(record);
        let closer = Owner {
            pid: Some(record.current_tgid),
            comm: Some(words::comm(&record.current_comm).into()),
            cgroup: owner.cgroup.clone(),
        };
        // Nobody holds the socket any more whom a search could find, but whoever closes it has held it.
        let unknown = owner.pid.is_none() && closes_here && record.current_tgid != 0;
        let state = self.flow_state(id, record, if unknown { &closer } else { owner });
        match record.new {
            tcp_state::ESTABLISHED => {
                let ends = state.ends;
                self.established(id, ends, record, events);
            }
            tcp_state::CLOSE => {
                if closes_here {
                    state.closer = Some(fins::current(record));
                } else {
                    fins::learn_from_state(state, record);
                }
                state.closing = Some(Box::new(Closing { record: *record }));
                self.schedule.await_last_words(record.mono_ns, id);
            }
            _ => fins::learn_from_transition(state, record, hz),
        }
    }

    pub(super) fn destroy(&mut self, id: FlowId, record: &Record, events: &mut Vec<Event>) {
        // After CLOSE there may still be last words: a reset that answers data comes after the destruction.
        if self.flows.get_mut(id).is_none_or(|state| state.closing.is_some()) {
            return;
        }
        // A socket whose CLOSE was lost must not stay.
        let Some(state) = self.flows.remove(id) else { return };
        let closed = obituary::closed_unseen(&state, record, &self.config);
        events.push(Event {
            mono_ns: record.mono_ns,
            flow: Some(state.flow),
            what: What::Closed(Box::new(closed)),
        });
    }

    /// The socket of a closed flow can be connected again: what is not its last words belongs to its next life.
    pub(super) fn bury_before(&mut self, kind: Kind, id: FlowId, events: &mut Vec<Event>) {
        let next_life = match kind {
            Kind::Retransmit | Kind::SynAck | Kind::State | Kind::Seed => true,
            Kind::ReceiveReset
            | Kind::SendReset
            | Kind::CongState
            | Kind::Destroy
            | Kind::ErrorReport
            | Kind::Calibrate => false,
        };
        if next_life && self.flows.get_mut(id).is_some_and(|state| state.closing.is_some()) {
            self.bury(id, events);
        }
    }

    /// Records were lost up to now: flows may have ended without our knowing.
    pub fn records_were_lost(&mut self, now_ns: u64) {
        self.doubtful_ns = Some(now_ns);
        self.schedule.sweep_after(now_ns);
    }

    /// Lets time pass: flows whose last words have been waited for are done.
    pub fn advance(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        while let Some(due) = self.schedule.take_due(now_ns) {
            match due {
                Due::LastWords(until_ns, id) => {
                    // A later end of the same socket has a time of its own.
                    let due =
                        |closing: &Closing| closing.record.mono_ns.saturating_add(LAST_WORDS_NS) <= until_ns;
                    if self.flows.get_mut(id).is_some_and(|state| state.closing.as_deref().is_some_and(due)) {
                        self.bury(id, events);
                    }
                }
                Due::RequestOver(over_ns, id) => self.request_is_over(id, over_ns, events),
                Due::Sweep(at_ns) => self.sweep(at_ns),
            }
        }
    }

    /// A recording says that this flow's end at `closed_ns` was told at this point: that by now the live trace had
    /// waited long enough for its last words. If it is waiting, it is told here, too.
    pub fn end_was_told(&mut self, id: FlowId, closed_ns: u64, events: &mut Vec<Event>) {
        let Some(state) = self.flows.get_mut(id) else { return };
        match &state.closing {
            Some(closing) if closing.record.mono_ns == closed_ns => self.bury(id, events),
            None if state.request_over_ns == Some(closed_ns) => {
                self.schedule.request_ended(id, Some(closed_ns));
                self.request_is_over(id, closed_ns, events);
            }
            _ => {}
        }
    }

    /// Forgets flows that are gone without a word.
    fn sweep(&mut self, now_ns: u64) {
        let doubtful_ns = self.doubtful_ns;
        let mut next_ns = None;
        let mut forgot = false;
        self.flows.retain(|state| match expiry::gone_after_ns(state, doubtful_ns) {
            Some(after_ns) if after_ns < now_ns => {
                forgot |= state.last_total_retrans > 0;
                false
            }
            after_ns => {
                next_ns = next_ns.into_iter().chain(after_ns).min();
                true
            }
        });
        if let Some(next_ns) = next_ns {
            self.schedule.sweep_after(next_ns);
        }
        if let Some(watch) = self.watch.as_mut().filter(|_| forgot) {
            watch.forgot_flows(now_ns);
        }
    }

    /// The trace ends: nothing more will be heard.
    pub fn finish(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        self.advance(now_ns.saturating_add(2 * LAST_WORDS_NS), events);
        self.report_evictions(now_ns, events);
    }

    /// Writes a closed flow's obituary and forgets it.
    fn bury(&mut self, id: FlowId, events: &mut Vec<Event>) {
        let Some(mut state) = self.flows.remove(id) else { return };
        let Some(closing) = state.closing.take() else { return };
        let record = &closing.record;
        let flow = state.flow.clone();
        let mut push = |what| events.push(Event { mono_ns: record.mono_ns, flow: Some(flow.clone()), what });
        let recovered = state
            .episode
            .take_if(|episode| record.old != tcp_state::SYN_SENT && episode.is_acknowledged(record));
        if let Some(episode) = recovered {
            let spurious = episode.spurious_by_dsack(record);
            push(What::Recovered(episode.recovered(RecoveredBy::Close, record.mono_ns, spurious)));
            state.predicted_at_ns = None;
        }
        if self.config.all_closes || obituary::is_troubled(&state, &closing) {
            push(What::Closed(Box::new(obituary::closed(&state, &closing, &self.config))));
        }
    }
}

/// Is the current task the one that closes? At a FIN of ours, and at an abort without an error: by close(),
/// connect(AF_UNSPEC) or the task's death. A kernel-made end of an orphan happens in whatever task was interrupted.
fn closes_here(record: &Record) -> bool {
    use tcpretrans_ebpf::tcp_state::*;
    match (record.old, record.new) {
        (ESTABLISHED | SYN_RECV, FIN_WAIT1) | (CLOSE_WAIT, LAST_ACK) => true,
        (ESTABLISHED | SYN_RECV | CLOSE_WAIT | SYN_SENT, CLOSE) => {
            record.sock.sk_err == 0 && record.inode != 0
        }
        (FIN_WAIT1, CLOSE) => record.sock.sk_err == 0 && !is_orphan(record),
        _ => false,
    }
}
