//! Why a socket went to CLOSE, from its fields at that moment and from the resets around it.
//!
//! `sk_err` is set at CLOSE for every death by error, and not for local closes and aborts (the kernel writes it
//! afterwards, or not at all). Which path writes what when: `docs/endings.md`.

use tcpretrans_ebpf::{Record, tcp_state};

use super::{
    super::{
        classify::is_orphan,
        correlator::Config,
        state::{Closing, FlowState, ResetSent},
    },
    local_end,
};
use crate::event::{Cause, Knob, Who};

/// `SHUTDOWN_MASK`: both directions.
const SHUTDOWN_MASK: u8 = 3;

/// The reasoning's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Why.
    pub cause: Cause,
    /// Who.
    pub who: Option<Who>,
    /// The knob that ended it.
    pub knob: Option<Knob>,
    /// How, where the cause alone does not say it.
    pub how: How,
    /// `sk_err` is this end's, and not an older one that nobody fetched.
    pub by_error: bool,
}

/// How, within a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As the cause says.
    Plainly,
    /// `SO_LINGER` with zero seconds.
    LingerZero,
    /// So many bytes in the receive buffer were not read.
    Unread(u32),
    /// `connect(AF_UNSPEC)`.
    Disconnected,
    /// The listener closed before accept().
    NotAccepted,
    /// Data arrived that nobody is left to read.
    DataAfterClose,
    /// `TCP_LINGER2` is negative.
    NegativeLinger2,
    /// An orphan waited for the peer's FIN in vain (`tcp_fin_timeout`, `TCP_LINGER2`).
    FinTimeout,
    /// Nothing ever left this machine: its firewall or queueing discipline dropped it.
    NeverLeft,
    /// The zero window had data in flight.
    InFlight,
    /// connect() failed before a SYN was sent.
    NoSyn,
    /// The kernel dropped it without a word.
    Dropped,
    /// The record of the end was lost.
    RecordLost,
}

impl Verdict {
    pub(super) fn new(cause: Cause, who: Who) -> Verdict {
        Verdict { cause, who: Some(who), knob: None, how: How::Plainly, by_error: false }
    }

    pub(super) fn how(self, how: How) -> Verdict {
        Verdict { how, ..self }
    }

    pub(super) fn unknown(how: How) -> Verdict {
        Verdict { who: None, ..Verdict::new(Cause::Unknown, Who::Kernel).how(how) }
    }

    fn knob(self, knob: Knob) -> Verdict {
        Verdict { knob: Some(knob), ..self }
    }

    fn error(self) -> Verdict {
        Verdict { by_error: true, ..self }
    }
}

/// The reset that this side sent as part of this ending, if any. One that answers no segment always ends its
/// connection (`tcp_send_active_reset`'s callers); one that answers a segment belongs to the end if it follows
/// CLOSE, and is an answer to a stray ACK otherwise.
fn reset_of_this_end<'a>(state: &'a FlowState, record: &Record) -> Option<&'a ResetSent> {
    state.reset_sent.as_ref().filter(|reset| !reset.answers_segment || reset.at_ns >= record.mono_ns)
}

/// Judges.
pub fn of(state: &FlowState, closing: &Closing, config: &Config) -> Verdict {
    let record = &closing.record;
    let reset = reset_of_this_end(state, record);
    let reason = reset.and_then(|reset| config.reset_reasons.get(&reset.reason)).map(String::as_str);
    let errno = record.sock.sk_err as i32;
    if was_reset(state, record, errno) {
        // tcp_rcv_state_process calls tcp_reset, too, for data after close(), and answers with a reset of its own.
        let data_after_close = reset.is_some_and(|reset| reset.answers_segment);
        return match record.old {
            tcp_state::SYN_SENT => Verdict::new(Cause::ConnectRefused, Who::Peer).error(),
            _ if data_after_close => {
                Verdict::new(Cause::ResetByLocal, Who::Local).how(How::DataAfterClose).error()
            }
            _ => Verdict::new(Cause::ResetByPeer, Who::Peer).error(),
        };
    }
    match errno {
        0 => None,
        libc::ECONNABORTED => Some(Verdict::new(Cause::AdminKill, Who::Admin)),
        _ => by_error(record, errno, reset, reason),
    }
    .map_or_else(|| local_end::without_error(state, record, reset, reason), Verdict::error)
}

/// Did a RST arrive? `tcp_reset` always closes the socket. Should the record of it be lost: nothing else leaves these
/// errors where the connection did not close in good order. (ECONNREFUSED may be an ICMP error's.)
fn was_reset(state: &FlowState, record: &Record, errno: i32) -> bool {
    let seen = state.reset_received_ns.is_some_and(|at_ns| at_ns <= record.mono_ns);
    let resets = errno == libc::ECONNRESET || errno == libc::EPIPE && record.old == tcp_state::CLOSE_WAIT;
    let all_acknowledged = record.sock.snd_una == record.sock.write_seq;
    let in_good_order = all_acknowledged
        && matches!(record.old, tcp_state::LAST_ACK | tcp_state::CLOSING | tcp_state::FIN_WAIT2);
    seen || resets && !in_good_order && !in_close(record)
}

/// Was the timer's handler at work? It zeroes `icsk_pending` before it gives up.
fn in_timer(record: &Record) -> bool {
    record.sock.icsk_pending == 0
}

/// Is the application inside close(), which shuts both directions down before it resets? In the FIN states this is
/// so after an ordinary shutdown(), too.
pub(super) fn in_close(record: &Record) -> bool {
    record.sock.sk_shutdown == SHUTDOWN_MASK && !is_orphan(record)
}

/// Ends by an error; `None`: the error is an older one that nobody has fetched (with `IP_RECVERR` an ICMP message
/// leaves one without closing anything).
fn by_error(record: &Record, errno: i32, reset: Option<&ResetSent>, reason: Option<&str>) -> Option<Verdict> {
    let sock = &record.sock;
    let own_time = sock.icsk_user_timeout != 0;
    let timeout = |cause, knob| {
        Some(Verdict::new(cause, Who::Kernel).knob(if own_time { Knob::TcpUserTimeout } else { knob }))
    };
    match record.old {
        tcp_state::SYN_SENT => return Some(of_connect(record, errno)),
        tcp_state::SYN_RECV => return Some(of_accept(record, errno)),
        tcp_state::ESTABLISHED | tcp_state::CLOSE_WAIT if in_close(record) => return None,
        _ => {}
    }
    let in_flight = sock.snd_una != sock.snd_nxt;
    let unsent = sock.write_seq.wrapping_sub(sock.snd_nxt);
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
    if sock.snd_wnd == 0 && !is_orphan(record) {
        let verdict = timeout(Cause::ZeroWindowTimeout, Knob::ZeroWindow)?;
        return Some(verdict.how(How::InFlight));
    }
    if own_time {
        return timeout(Cause::UserTimeout, Knob::TcpUserTimeout);
    }
    if is_orphan(record) {
        return timeout(Cause::OrphanTimeout, Knob::TcpOrphanRetries);
    }
    timeout(Cause::RetransmitTimeout, Knob::TcpRetries2)
}

/// `tcp_probe_timer` gave up: nothing in flight, and something to send.
fn of_probes(
    record: &Record,
    unsent: u32,
    timeout: impl Fn(Cause, Knob) -> Option<Verdict>,
) -> Option<Verdict> {
    let sock = &record.sock;
    let orphan = is_orphan(record);
    let knob = if orphan { Knob::TcpOrphanRetries } else { Knob::TcpRetries2 };
    // tcp_snd_wnd_test: less room than a segment is no room.
    if sock.snd_wnd < unsent.min(sock.mss_cache.max(1)) {
        return timeout(Cause::ZeroWindowTimeout, knob);
    }
    // There was room, and yet nothing is in flight: what this machine drops itself is probed for instead of
    // retransmitted (`tcp_write_wakeup`).
    let cause = match (sock.icsk_user_timeout, orphan) {
        (1.., _) => Cause::UserTimeout,
        (0, true) => Cause::OrphanTimeout,
        (0, false) => Cause::RetransmitTimeout,
    };
    timeout(cause, knob).map(|verdict| verdict.how(How::NeverLeft))
}

/// A connect() that failed with an error.
fn of_connect(record: &Record, errno: i32) -> Verdict {
    let sock = &record.sock;
    if errno != libc::ETIMEDOUT && !in_timer(record) {
        return Verdict::new(Cause::IcmpError, Who::Network);
    }
    let own_limit = u32::from(sock.icsk_syn_retries);
    let limit = if own_limit != 0 { own_limit } else { sock.tcp_syn_retries };
    let linear = match sock.tcp_syn_linear_timeouts {
        u32::MAX => 0,
        linear => linear,
    };
    let counted_out = u32::from(sock.icsk_retransmits) >= limit.saturating_add(linear);
    let knob = if sock.icsk_user_timeout != 0 && !counted_out {
        Knob::TcpUserTimeout
    } else if own_limit != 0 {
        Knob::TcpSyncnt
    } else {
        Knob::TcpSynRetries
    };
    Verdict::new(Cause::ConnectTimeout, Who::Kernel).knob(knob)
}

/// A handshake of this side's listener (TCP Fast Open), or of two SYNs that crossed.
fn of_accept(record: &Record, errno: i32) -> Verdict {
    if errno != libc::ETIMEDOUT && !in_timer(record) {
        return Verdict::new(Cause::IcmpError, Who::Network);
    }
    let verdict = Verdict::new(Cause::ConnectTimeout, Who::Kernel);
    // Not accepted yet: tcp_fastopen_synack_timer. Else it may be either kind.
    if record.inode == 0 { verdict.knob(Knob::TcpSynackRetries) } else { verdict }
}
