//! Diagnosis: how a connection with losses ended, who ended it, and why.

mod cause;
#[cfg(test)]
mod cause_rows;
mod conclusion;
pub(super) mod expiry;
pub(super) mod hang_up;
mod local_close;
mod note;
pub(super) mod process;
pub(super) mod request_end;
mod situation;

use conclusion::{Conclusion, How};
use hang_up::Meaning;
use tcpretrans_ebpf::{Record, tcp_state};

use super::{
    correlator::Config,
    retransmission,
    state::{Closing, FlowState},
};
use crate::{
    event::{Cause, Closed, HungUp, HungUpSide},
    socket::{Hz, Millis, RecordExt, SnapshotExt, TcpState},
};

/// How a flow ended that has gone to CLOSE.
pub(super) fn closed(state: &FlowState, closing: &Closing, config: &Config) -> Closed {
    event(state, &closing.record, &cause::of(state, closing, config), config.hz())
}

/// How a flow ended whose socket is gone (`record` is of its destruction) and whose CLOSE was lost.
pub(super) fn closed_unseen(state: &FlowState, record: &Record, config: &Config) -> Closed {
    event(state, record, &Conclusion::unknown(How::RecordLost), config.hz())
}

fn event(state: &FlowState, record: &Record, conclusion: &Conclusion, hz: Hz) -> Closed {
    let lifetime = record.lifetime().map(|lifetime| lifetime.cut_to_millis());
    // Jiffies round: a connection that never heard anything was not silent longer than it lived.
    let silent = silent_for(record, hz).map(|silent| silent.min(lifetime.unwrap_or(silent)));
    let mut closed = Closed {
        cause: conclusion.cause,
        who: conclusion.who,
        error: record.sock.error().filter(|_| conclusion.by_error),
        knob: conclusion.knob,
        state: if record.new == tcp_state::CLOSE { record.old } else { record.sock.skc_state },
        retransmissions: state.retransmissions,
        segs: state.segs,
        unacked_bytes: retransmission::unacked_bytes(record),
        unsent_bytes: retransmission::unsent_bytes(record),
        lifetime_ms: lifetime.map(|lifetime| lifetime.0),
        silent_ms: silent.map(|silent| silent.0),
        predicted_at_ns: state.predicted_at.map(|at| at.0),
        hung_up: hung_up(state, record, conclusion.cause, hz),
        killed_by: process::killed_by(state.closer.as_ref()),
        note: String::new(),
    };
    closed.note = note::sentence(state, record, conclusion, &closed, hz);
    closed
}

/// Who closed while TCP was retransmitting: at a FIN, which was seen before, or with this end.
fn hung_up(state: &FlowState, record: &Record, cause: Cause, hz: Hz) -> Option<HungUp> {
    if let Some(hung_up) = &state.hung_up {
        return Some((**hung_up).clone());
    }
    let side = match cause {
        Cause::ConnectAbandoned => return Some(hang_up::of_connect(state, record, hz)),
        Cause::ResetByLocal => HungUpSide::Local,
        Cause::ResetByPeer => HungUpSide::Peer,
        // A FIN was seen when it went; the others are nobody's who could have waited.
        Cause::ClosedByLocal
        | Cause::ClosedByPeer
        | Cause::SimultaneousClose
        | Cause::RetransmitTimeout
        | Cause::UserTimeout
        | Cause::ConnectTimeout
        | Cause::ConnectRefused
        | Cause::KeepaliveTimeout
        | Cause::ZeroWindowTimeout
        | Cause::OrphanTimeout
        | Cause::AdminKill
        | Cause::IcmpError
        | Cause::OutOfMemory
        | Cause::Unknown => return None,
    };
    match hang_up::meaning(state, record, side, hz) {
        Meaning::HungUp(hung_up) | Meaning::Early(hung_up) => Some(hung_up),
        Meaning::None => None,
    }
}

/// Is this end announced without `--all-closes`? A retransmission, an unanswered SYN, an error, or a reset.
pub(super) fn is_troubled(state: &FlowState, closing: &Closing) -> bool {
    let record = &closing.record;
    let syn_was_sent = record.old_state() == TcpState::SynSent && record.sock.is_stamped();
    // tcp_reset and tcp_send_active_reset only ever end a connection; a reset that answers a segment may not.
    let aborted = state.reset_received.is_some()
        || state.reset_sent.is_some_and(|reset| !reset.answers_segment || reset.at >= record.time());
    state.retransmissions > 0
        || record.sock.total_retrans > 0
        || record.sock.sk_err != 0
        || syn_was_sent
        || aborted
}

/// Since anything last arrived: an ACK (`rcv_tstamp`) or data (`lrcvtime`), both low halves of jiffies.
fn silent_for(record: &Record, hz: Hz) -> Option<Millis> {
    let stamps = [record.sock.rcv_tstamp, record.sock.lrcvtime].into_iter().filter(|&stamp| stamp != 0);
    stamps.map(|stamp| record.jiffies_since(stamp)).min().map(|silent| hz.displayed(silent))
}
