//! How flows end: resets, state changes up to CLOSE, the socket's destruction, and no record for a long time.

use tcpretrans_ebpf::{Kind, Record, tcp_state};

use super::{
    Correlator, fins,
    schedule::{Due, SETTLE},
};
use crate::{
    event::{Event, FlowId, RecoveredBy, What},
    flow::{
        identity::Owner,
        obituary::{self, expiry, process},
        state::{Closing, ResetSent},
    },
    socket::{Nanos, RecordExt, SnapshotExt, TcpState},
};

impl Correlator {
    pub(super) fn receive_reset(&mut self, id: FlowId, record: &Record, owner: &Owner) {
        // tcp_reset does nothing to a socket that is closed already.
        if record.sock.state() != TcpState::Close {
            self.flow_state(id, record, owner).reset_received = Some(record.time());
        }
    }

    pub(super) fn send_reset(&mut self, id: FlowId, record: &Record, owner: &Owner) {
        let answers_segment = record.has_skb != 0;
        let closed = record.sock.state() == TcpState::Close;
        let state = self.flow_state(id, record, owner);
        let ends = ResetSent { at: record.time(), reason: record.rst_reason, answers_segment };
        // The one that ended the connection is not the one that answers a stray segment.
        if state.reset_sent.is_none_or(|known| known.answers_segment || !answers_segment) {
            state.reset_sent = Some(ends);
        }
        if closed && state.closing.is_none() {
            // Gone from FIN_WAIT2 to CLOSE, as after an ordinary close, it had no record: only the reset shows that
            // data was unread (tcp_close), or came with the ACK of our FIN when nobody was left to read it
            // (tcp_rcv_state_process).
            if !answers_segment && !record.sock.is_orphan() {
                state.closer = Some(fins::current(record));
            }
            let record = Record { old: tcp_state::FIN_WAIT2, new: tcp_state::CLOSE, ..*record };
            state.closing = Some(Box::new(Closing { record }));
            self.schedule.settle(record.time(), id);
        }
    }

    pub(super) fn state_change(
        &mut self,
        id: FlowId,
        record: &Record,
        owner: &Owner,
        events: &mut Vec<Event>,
    ) {
        if record.old_state() == TcpState::Listen {
            if record.new_state() == TcpState::Close {
                self.listener_closed(record, events);
            }
            return;
        }
        let hz = self.config.hz();
        let closes_here = closes_here(record);
        let closer = Owner {
            pid: Some(record.current_tgid),
            comm: Some(process::comm(&record.current_comm).into()),
            cgroup: owner.cgroup.clone(),
        };
        // Nobody holds the socket any more whom a search could find, but whoever closes it has held it.
        let unknown = owner.pid.is_none() && closes_here && record.current_tgid != 0;
        let state = self.flow_state(id, record, if unknown { &closer } else { owner });
        match record.new_state() {
            TcpState::Established => {
                let ends = state.ends;
                self.established(id, ends, record, events);
            }
            TcpState::Close => {
                if closes_here {
                    state.closer = Some(fins::current(record));
                } else {
                    fins::learn_from_state(state, record);
                }
                state.closing = Some(Box::new(Closing { record: *record }));
                self.schedule.settle(record.time(), id);
            }
            _ => fins::learn_from_transition(state, record, hz),
        }
    }

    pub(super) fn destroy(&mut self, id: FlowId, record: &Record, events: &mut Vec<Event>) {
        // After CLOSE there may be more to come: a reset that answers data comes after the destruction.
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

    /// The socket of a closed flow can be connected again: what does not belong to its end belongs to the next connection.
    pub(super) fn finish_earlier_life(&mut self, kind: Kind, id: FlowId, events: &mut Vec<Event>) {
        let next_life = match kind {
            Kind::Retransmit | Kind::SynAck | Kind::State | Kind::Seed => true,
            Kind::ReceiveReset | Kind::SendReset | Kind::Destroy | Kind::ErrorReport => false,
            Kind::CongState | Kind::Calibrate => false,
        };
        if next_life && self.flows.get_mut(id).is_some_and(|state| state.closing.is_some()) {
            self.announce_end(id, events);
        }
    }

    /// Records were lost up to now: flows may have ended without our knowing.
    pub fn records_were_lost(&mut self, now_ns: u64) {
        self.doubtful = Some(Nanos(now_ns));
        self.schedule.sweep_after(Nanos(now_ns));
    }

    /// Lets time pass: closed flows of which nothing more is to come are done.
    pub fn advance(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        while let Some(due) = self.schedule.take_due(Nanos(now_ns)) {
            match due {
                Due::Settled(until, id) => {
                    // A later end of the same socket has a time of its own.
                    let due = |closing: &Closing| closing.record.time() + SETTLE <= until;
                    if self.flows.get_mut(id).is_some_and(|state| state.closing.as_deref().is_some_and(due)) {
                        self.announce_end(id, events);
                    }
                }
                Due::RequestOver(over, id) => self.request_is_over(id, over, events),
                Due::Sweep(at) => self.sweep(at),
            }
        }
    }

    /// A recording says that this flow's end at `closed_ns` was announced at this point: that by now the live trace had
    /// waited long enough for what belongs to it. If it is waiting, it is announced here, too.
    pub fn end_was_announced(&mut self, id: FlowId, closed_ns: u64, events: &mut Vec<Event>) {
        let Some(state) = self.flows.get_mut(id) else { return };
        match &state.closing {
            Some(closing) if closing.record.mono_ns == closed_ns => self.announce_end(id, events),
            None if state.request_over == Some(Nanos(closed_ns)) => {
                self.schedule.request_ended(id, state.request_over);
                self.request_is_over(id, Nanos(closed_ns), events);
            }
            _ => {}
        }
    }

    /// Forgets flows that are gone without a record.
    fn sweep(&mut self, now: Nanos) {
        let doubtful = self.doubtful;
        let mut next = None;
        let mut forgot = false;
        self.flows.retain(|state| match expiry::gone_after(state, doubtful) {
            Some(after) if after < now => {
                forgot |= state.last_total_retrans > 0;
                false
            }
            after => {
                next = next.into_iter().chain(after).min();
                true
            }
        });
        if let Some(next) = next {
            self.schedule.sweep_after(next);
        }
        if let Some(watch) = self.watch.as_mut().filter(|_| forgot) {
            watch.forgot_flows(now);
        }
    }

    /// The trace ends: nothing more will be heard.
    pub fn finish(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        self.advance((Nanos(now_ns) + SETTLE * 2).0, events);
        self.report_evictions(now_ns, events);
    }

    /// Announces how a closed flow ended, and forgets it.
    fn announce_end(&mut self, id: FlowId, events: &mut Vec<Event>) {
        let Some(mut state) = self.flows.remove(id) else { return };
        let Some(closing) = state.closing.take() else { return };
        let record = &closing.record;
        let flow = state.flow.clone();
        let mut push = |what| events.push(Event { mono_ns: record.mono_ns, flow: Some(flow.clone()), what });
        let recovered = state
            .episode
            .take_if(|episode| record.old_state() != TcpState::SynSent && episode.is_acknowledged(record));
        if let Some(episode) = recovered {
            let spurious = episode.spurious_by_dsack(record);
            push(What::Recovered(episode.recovered(RecoveredBy::Close, record.time(), spurious)));
            state.predicted_at = None;
        }
        if self.config.all_closes || obituary::is_troubled(&state, &closing) {
            push(What::Closed(Box::new(obituary::closed(&state, &closing, &self.config))));
        }
    }
}

/// Is the current task the one that closes? At a FIN of ours, and at an abort without an error: by close(),
/// connect(AF_UNSPEC) or the task's exit. A kernel-made end of an orphan happens in whatever task was interrupted.
fn closes_here(record: &Record) -> bool {
    use TcpState::*;
    match (record.old_state(), record.new_state()) {
        (Established | SynRecv, FinWait1) | (CloseWait, LastAck) => true,
        (Established | SynRecv | CloseWait | SynSent, Close) => record.sock.sk_err == 0 && record.inode != 0,
        (FinWait1, Close) => record.sock.sk_err == 0 && !record.sock.is_orphan(),
        _ => false,
    }
}
