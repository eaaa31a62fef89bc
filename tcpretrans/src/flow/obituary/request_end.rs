//! Connection requests: handshakes that a listener of this side has answered and that are not complete. They are
//! no sockets, and no tracepoint shows their end.

use tcpretrans_ebpf::{Record, tcp_state};

use super::process;
use crate::{
    deadline::request_wait,
    event::{Cause, Closed, Who},
    flow::state::FlowState,
    socket::{Hz, Jiffies, Millis, Nanos, RecordExt, SnapshotExt},
    words::{figures::count, time::millis},
};

/// Timers are late on a busy machine, and their wheel is coarse: an eighth of the time, and a second.
const LATE: Nanos = Nanos::from_secs(1);

/// When a request has ended for sure, unless another SYN-ACK of it is seen: every timeout that it can
/// still live through is over. (`reqsk_timer_handler`; `rskq_defer_accept` lengthens it and sends nothing.)
pub(in crate::flow) fn over_by(record: &Record, hz: Hz) -> Nanos {
    let sock = &record.sock;
    let limit = sock.own_syn_retries().unwrap_or(sock.tcp_synack_retries);
    let timeouts = limit.max(u32::from(sock.rskq_defer_accept)).min(255);
    let first = u32::from(record.num_timeout);
    let first_wait = record.request_timeout(hz);
    let waits =
        (first..=timeouts.max(first) + 1).map(|timeout| request_wait(first_wait, timeout, hz.rto_max()));
    let ahead = hz.jiffies_to_msecs(waits.sum::<Jiffies>()).to_nanos();
    record.time() + ahead + ahead / 8 + LATE
}

/// Its listener was closed; `record` is of that. The kernel drops the request with its next timeout, and answers
/// whatever the client sends with a RST.
pub(in crate::flow) fn listener_closed(state: &FlowState, record: &Record) -> Closed {
    let note = format!(
        "the listener was closed by {} (pid {}) before the handshake was complete: {} unanswered",
        process::comm(&record.current_comm),
        record.current_tgid,
        synacks(state)
    );
    end(state, Cause::ResetByLocal, Some(Who::Local), note)
}

/// Nothing was heard of it until it was over.
pub(in crate::flow) fn expired(state: &FlowState, silent: Millis) -> Closed {
    let note = format!(
        "the handshake was not completed: {} unanswered, and nothing more for {}; it timed out, or the client \
         reset it: the kernel does not report which",
        synacks(state),
        millis(silent.0)
    );
    end(state, Cause::Unknown, None, note)
}

fn synacks(state: &FlowState) -> String {
    count(u64::from(state.retransmissions) + 1, "SYN-ACK")
}

fn end(state: &FlowState, cause: Cause, who: Option<Who>, note: String) -> Closed {
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
        predicted_at_ns: state.predicted_at.map(|at| at.0),
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
        let seconds = |record: &Record| over_by(record, Hz::new(250)).0 / Nanos::from_secs(1).0;
        let of_two = seconds(&record);
        assert!((7..20).contains(&of_two), "{of_two}");
        record.sock.rskq_defer_accept = 4;
        assert!(seconds(&record) > 31);
        record.num_timeout = 127;
        assert!(seconds(&record) > 240, "capped, and no overflow");
    }
}
