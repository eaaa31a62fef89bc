//! The obituary: how a troubled connection ended, who ended it, and why.

pub mod expiry;
pub mod hang_up;
mod local_end;
pub mod note;
pub mod of_request;
mod situation;
pub mod verdict;
#[cfg(test)]
mod verdict_rows;
pub mod words;

use hang_up::Meaning;
use tcpretrans_ebpf::{Record, tcp_state};
use verdict::{How, Verdict};

use super::{
    correlator::Config,
    retransmission,
    state::{Closing, FlowState},
};
use crate::event::{Cause, Closed, HungUp, HungUpSide};

/// Writes the obituary of a flow that has gone to CLOSE.
pub fn closed(state: &FlowState, closing: &Closing, config: &Config) -> Closed {
    write(state, &closing.record, &verdict::of(state, closing, config), config.hz)
}

/// Writes the obituary of a flow whose socket is gone (`record` is of its destruction) and whose CLOSE was lost.
pub fn closed_unseen(state: &FlowState, record: &Record, config: &Config) -> Closed {
    write(state, record, &Verdict::unknown(How::RecordLost), config.hz)
}

fn write(state: &FlowState, record: &Record, verdict: &Verdict, hz: u32) -> Closed {
    let lifetime_ms =
        (record.born_ns != 0).then(|| record.mono_ns.saturating_sub(record.born_ns) / 1_000_000);
    // Jiffies round: a connection that never heard anything was not silent longer than it lived.
    let silent_ms = silent_ms(record, hz).map(|ms| ms.min(lifetime_ms.unwrap_or(ms)));
    let mut closed = Closed {
        cause: verdict.cause,
        who: verdict.who,
        error: error(record).filter(|_| verdict.by_error),
        knob: verdict.knob,
        state: if record.new == tcp_state::CLOSE { record.old } else { record.sock.skc_state },
        retransmissions: state.retransmissions,
        segs: state.segs,
        unacked_bytes: retransmission::unacked_bytes(record),
        unsent_bytes: retransmission::unsent_bytes(record),
        lifetime_ms,
        silent_ms,
        predicted_at_ns: state.predicted_at_ns,
        hung_up: hung_up(state, record, verdict.cause, hz),
        killed_by: words::killed_by(state.closer.as_ref()),
        note: String::new(),
    };
    closed.note = note::sentence(state, record, verdict, &closed, hz);
    closed
}

/// Who hung up: at a FIN, which was seen before, or with this end.
fn hung_up(state: &FlowState, record: &Record, cause: Cause, hz: u32) -> Option<HungUp> {
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

/// Is this end worth telling without `--all-closes`? A retransmission, an unanswered SYN, an error, or a reset.
pub fn is_troubled(state: &FlowState, closing: &Closing) -> bool {
    let record = &closing.record;
    let syn_was_sent = record.old == tcp_state::SYN_SENT && record.sock.retrans_stamp != 0;
    // tcp_reset and tcp_send_active_reset only ever end a connection; a reset that answers a segment may not.
    let aborted = state.reset_received_ns.is_some()
        || state.reset_sent.is_some_and(|reset| !reset.answers_segment || reset.at_ns >= record.mono_ns);
    state.retransmissions > 0
        || record.sock.total_retrans > 0
        || record.sock.sk_err != 0
        || syn_was_sent
        || aborted
}

/// errno that the application gets.
fn error(record: &Record) -> Option<i32> {
    i32::try_from(record.sock.sk_err).ok().filter(|&errno| errno != 0)
}

/// Since anything last arrived, ms: an ACK (`rcv_tstamp`) or data (`lrcvtime`), both low halves of jiffies.
fn silent_ms(record: &Record, hz: u32) -> Option<u64> {
    [record.sock.rcv_tstamp, record.sock.lrcvtime]
        .into_iter()
        .filter(|&stamp| stamp != 0)
        .map(|stamp| (record.jiffies as u32).wrapping_sub(stamp))
        .min()
        .map(|jiffies| super::ladder::jiffies_to_ms(u64::from(jiffies), hz))
}
