//! Connection requests: handshakes that a listener of this side has answered and that are not complete. They are
//! no sockets, and no tracepoint tells of their end.

use tcpretrans_ebpf::{Record, tcp_state};

use super::words;
use crate::{
    event::{Cause, Closed, Who},
    flow::{ladder, state::FlowState},
    words::{figures::count, time::millis},
};

/// `TCP_RTO_MAX`, seconds: no request waits longer for its timer.
const RTO_MAX_S: u64 = 120;
/// Timers are late on a busy machine, and their wheel is coarse: an eighth of the time, and a second.
const LATE_NS: u64 = 1_000_000_000;

/// When a request has ended for sure, mono ns, unless another SYN-ACK of it is seen: every timeout that it can
/// still live through is over. (`reqsk_timer_handler`; `rskq_defer_accept` lengthens it and sends nothing.)
pub fn over_ns(record: &Record, hz: u32) -> u64 {
    let hz = u64::from(hz.max(1));
    let sock = &record.sock;
    let base = match record.req_timeout {
        u32::MAX | 0 => hz,
        jiffies => u64::from(jiffies),
    };
    let own_limit = u32::from(sock.icsk_syn_retries);
    let limit = if own_limit != 0 { own_limit } else { sock.tcp_synack_retries };
    let timeouts = limit.max(u32::from(sock.rskq_defer_accept)).min(255);
    let first = u32::from(record.num_timeout);
    let jiffies: u64 = (first..=timeouts.max(first) + 1)
        .map(|timeout| base.saturating_mul(1 << timeout.min(20)).min(RTO_MAX_S * hz))
        .sum();
    let ns = ladder::jiffies_to_ms(jiffies, hz as u32).saturating_mul(1_000_000);
    record.mono_ns.saturating_add(ns).saturating_add(ns / 8).saturating_add(LATE_NS)
}

/// Its listener was closed; `record` is of that. The kernel drops the request with its next timeout, and answers
/// whatever the client sends with a RST.
pub fn listener_closed(state: &FlowState, record: &Record) -> Closed {
    let note = format!(
        "the listener was closed by {} (pid {}) before the handshake was complete: {} unanswered",
        words::comm(&record.current_comm),
        record.current_tgid,
        synacks(state)
    );
    obituary(state, Cause::ResetByLocal, Some(Who::Local), note)
}

/// Nothing was heard of it until it was over.
pub fn expired(state: &FlowState, silent_ms: u64) -> Closed {
    let note = format!(
        "the handshake was not completed: {} unanswered, and nothing more for {}; it ran out, or the client reset \
         it, which the kernel does not tell",
        synacks(state),
        millis(silent_ms)
    );
    obituary(state, Cause::Unknown, None, note)
}

fn synacks(state: &FlowState) -> String {
    count(u64::from(state.retransmissions) + 1, "SYN-ACK")
}

fn obituary(state: &FlowState, cause: Cause, who: Option<Who>, note: String) -> Closed {
    Closed {
        cause,
        who,
        error: None,
        knob: None,
        state: tcp_state::SYN_RECV,
        retransmissions: state.retransmissions,
        segs: state.segs,
        unacked_bytes: 0,
        unsent_bytes: 0,
        lifetime_ms: None,
        silent_ms: None,
        predicted_at_ns: state.predicted_at_ns,
        hung_up: None,
        killed_by: None,
        note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_outlives_all_its_timeouts() {
        let mut record = Record { mono_ns: 0, req_timeout: 250, num_timeout: 0, ..Record::default() };
        record.sock.tcp_synack_retries = 2;
        // 1 + 2 + 4 s until it is dropped; the SYN-ACK seen may be of the timeout after this one.
        let seconds = over_ns(&record, 250) / 1_000_000_000;
        assert!((7..20).contains(&seconds), "{seconds}");
        record.sock.rskq_defer_accept = 4;
        assert!(over_ns(&record, 250) / 1_000_000_000 > 31);
        record.num_timeout = 127;
        assert!(over_ns(&record, 250) / 1_000_000_000 > 240, "capped, and no overflow");
    }
}
