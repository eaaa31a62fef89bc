//! Why a socket went to CLOSE, from its fields at that moment and from the resets around it.
//!
//! `sk_err` is set at CLOSE for every end by an error, and not for local closes and aborts (the kernel writes it
//! afterwards, or not at all). Which path writes what when: `docs/endings.md`.

use tcpretrans_ebpf::Record;

use super::{
    super::{
        correlator::Config,
        state::{Closing, FlowState, ResetSent},
    },
    conclusion::{Conclusion, How},
    local_close,
};
use crate::{
    event::{Cause, Knob, Who},
    socket::{Pending, RecordExt, SnapshotExt, TcpState},
};

/// The reset that this side sent as part of this ending, if any. One that answers no segment always ends its
/// connection (`tcp_send_active_reset`'s callers); one that answers a segment belongs to the end if it follows
/// CLOSE, and is an answer to a stray ACK otherwise.
fn reset_of_this_end<'a>(state: &'a FlowState, record: &Record) -> Option<&'a ResetSent> {
    state.reset_sent.as_ref().filter(|reset| !reset.answers_segment || reset.at >= record.time())
}

/// Why this socket went to CLOSE.
pub(super) fn of(state: &FlowState, closing: &Closing, config: &Config) -> Conclusion {
    let record = &closing.record;
    let reset = reset_of_this_end(state, record);
    let reason = reset.and_then(|reset| config.reset_reasons.get(&reset.reason)).map(String::as_str);
    let errno = record.sock.sk_err as i32;
    if was_reset(state, record, errno) {
        // tcp_rcv_state_process calls tcp_reset, too, for data after close(), and answers with a reset of its own.
        let data_after_close = reset.is_some_and(|reset| reset.answers_segment);
        return match record.old_state() {
            TcpState::SynSent => Conclusion::new(Cause::ConnectRefused, Who::Peer).error(),
            _ if data_after_close => {
                Conclusion::new(Cause::ResetByLocal, Who::Local).how(How::DataAfterClose).error()
            }
            _ => Conclusion::new(Cause::ResetByPeer, Who::Peer).error(),
        };
    }
    match errno {
        0 => None,
        libc::ECONNABORTED => Some(Conclusion::new(Cause::AdminKill, Who::Admin)),
        _ => by_error(record, errno, reset, reason),
    }
    .map_or_else(|| local_close::without_error(state, record, reset, reason), Conclusion::error)
}

/// Did a RST arrive? `tcp_reset` always closes the socket. Should the record of it be lost: nothing else leaves these
/// errors where the connection did not close in good order. (ECONNREFUSED may be an ICMP error's.)
fn was_reset(state: &FlowState, record: &Record, errno: i32) -> bool {
    let seen = state.reset_received.is_some_and(|at| at <= record.time());
    let resets =
        errno == libc::ECONNRESET || errno == libc::EPIPE && record.old_state() == TcpState::CloseWait;
    let all_acknowledged = record.sock.snd_una == record.sock.write_seq;
    let in_good_order = all_acknowledged
        && matches!(record.old_state(), TcpState::LastAck | TcpState::Closing | TcpState::FinWait2);
    seen || resets && !in_good_order && !local_close::is_in_close(record)
}

/// Was the timer's handler at work? It zeroes `icsk_pending` before it gives up.
fn in_timer(record: &Record) -> bool {
    record.sock.pending() == Pending::Nothing
}

/// Ends by an error; `None`: the error is an older one that nobody has fetched (with `IP_RECVERR` an ICMP message
/// leaves one without closing anything).
fn by_error(
    record: &Record,
    errno: i32,
    reset: Option<&ResetSent>,
    reason: Option<&str>,
) -> Option<Conclusion> {
    let sock = &record.sock;
    let own_time = sock.user_timeout().is_some();
    let timeout = |cause, knob| {
        Some(Conclusion::new(cause, Who::Kernel).knob(if own_time { Knob::TcpUserTimeout } else { knob }))
    };
    match record.old_state() {
        TcpState::SynSent => return Some(of_connect(record, errno)),
        TcpState::SynRecv => return Some(of_accept(record, errno)),
        TcpState::Established | TcpState::CloseWait if local_close::is_in_close(record) => return None,
        _ => {}
    }
    let in_flight = sock.in_flight() > 0;
    let unsent = sock.unsent();
    if !in_flight && unsent == 0 {
        // tcp_keepalive_timer, which alone ends an idle connection by an error, sends a reset first.
        let by_keepalive = match reason {
            Some(reason) => reason == "TCP_KEEPALIVE_TIMEOUT",
            None => sock.icsk_probes_out > 0 && reset.is_none_or(|reset| !reset.answers_segment),
        };
        return by_keepalive.then(|| timeout(Cause::KeepaliveTimeout, Knob::Keepalive)).flatten();
    }
    if !in_flight {
        return of_probes(record, unsent, timeout);
    }
    if sock.snd_wnd == 0 && !record.sock.is_orphan() {
        return Some(timeout(Cause::ZeroWindowTimeout, Knob::ZeroWindow)?.how(How::InFlight));
    }
    if own_time {
        return timeout(Cause::UserTimeout, Knob::TcpUserTimeout);
    }
    if record.sock.is_orphan() {
        return timeout(Cause::OrphanTimeout, Knob::TcpOrphanRetries);
    }
    timeout(Cause::RetransmitTimeout, Knob::TcpRetries2)
}

/// `tcp_probe_timer` gave up: nothing in flight, and something to send.
fn of_probes(
    record: &Record,
    unsent: u32,
    timeout: impl Fn(Cause, Knob) -> Option<Conclusion>,
) -> Option<Conclusion> {
    let sock = &record.sock;
    let orphan = record.sock.is_orphan();
    let knob = if orphan { Knob::TcpOrphanRetries } else { Knob::TcpRetries2 };
    // tcp_snd_wnd_test: less room than a segment is no room.
    if sock.snd_wnd < unsent.min(sock.mss_cache.max(1)) {
        return timeout(Cause::ZeroWindowTimeout, knob);
    }
    // There was room, and yet nothing is in flight: what this machine drops itself is probed for instead of
    // retransmitted (`tcp_write_wakeup`).
    let cause = match (sock.user_timeout(), orphan) {
        (Some(_), _) => Cause::UserTimeout,
        (None, true) => Cause::OrphanTimeout,
        (None, false) => Cause::RetransmitTimeout,
    };
    timeout(cause, knob).map(|conclusion| conclusion.how(How::NeverLeft))
}

/// A connect() that failed with an error.
fn of_connect(record: &Record, errno: i32) -> Conclusion {
    let sock = &record.sock;
    if errno != libc::ETIMEDOUT && !in_timer(record) {
        return Conclusion::new(Cause::IcmpError, Who::Network);
    }
    let own_limit = sock.own_syn_retries();
    let limit = own_limit.unwrap_or(sock.tcp_syn_retries);
    let linear = sock.syn_linear_timeouts().unwrap_or(0);
    let counted_out = u32::from(sock.icsk_retransmits) >= limit.saturating_add(linear);
    let knob = if sock.user_timeout().is_some() && !counted_out {
        Knob::TcpUserTimeout
    } else if own_limit.is_some() {
        Knob::TcpSyncnt
    } else {
        Knob::TcpSynRetries
    };
    Conclusion::new(Cause::ConnectTimeout, Who::Kernel).knob(knob)
}

/// A handshake of this side's listener (TCP Fast Open), or of two SYNs that crossed.
fn of_accept(record: &Record, errno: i32) -> Conclusion {
    if errno != libc::ETIMEDOUT && !in_timer(record) {
        return Conclusion::new(Cause::IcmpError, Who::Network);
    }
    let conclusion = Conclusion::new(Cause::ConnectTimeout, Who::Kernel);
    // Not accepted yet: tcp_fastopen_synack_timer. Else it may be either kind.
    if record.inode == 0 { conclusion.knob(Knob::TcpSynackRetries) } else { conclusion }
}
