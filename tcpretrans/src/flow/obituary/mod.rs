//! The obituary: how a troubled connection ended, who ended it, and why.

pub mod note;
pub mod verdict;

use tcpretrans_ebpf::{Record, tcp_state};

use super::{
    correlator::Config,
    retransmission,
    state::{Closing, FlowState},
};
use crate::event::Closed;

/// Writes the obituary of a flow that has gone to CLOSE.
pub fn closed(state: &FlowState, closing: &Closing, config: &Config) -> Closed {
    let record = &closing.record;
    let verdict = verdict::of(state, closing, config);
    let lifetime_ms =
        (record.born_ns != 0).then(|| record.mono_ns.saturating_sub(record.born_ns) / 1_000_000);
    // Jiffies round: a connection that never heard anything was not silent longer than it lived.
    let silent_ms = silent_ms(record, config.hz).map(|ms| ms.min(lifetime_ms.unwrap_or(ms)));
    let mut closed = Closed {
        cause: verdict.cause,
        who: verdict.who,
        error: error(record),
        knob: verdict.knob,
        state: record.old,
        retransmissions: state.retransmissions,
        segs: state.segs,
        unacked_bytes: retransmission::unacked_bytes(record),
        unsent_bytes: retransmission::unsent_bytes(record),
        lifetime_ms,
        silent_ms,
        predicted_at_ns: state.predicted_at_ns,
        note: String::new(),
    };
    closed.note = note::sentence(state, record, &verdict, &closed);
    closed
}

/// Is this end worth telling without `--all-closes`? A retransmission, an unanswered SYN, an error, or a reset.
pub fn is_troubled(state: &FlowState, closing: &Closing) -> bool {
    let record = &closing.record;
    let syn_was_sent = record.old == tcp_state::SYN_SENT && record.sock.retrans_stamp != 0;
    let aborted = state.reset_sent.is_some() || state.reset_received_ns.is_some();
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
