//! Why a socket went to CLOSE, from its fields at that moment and from the resets around it.
//!
//! `sk_err` is set at CLOSE for every death by error, and 0 for local closes and aborts (the kernel writes it
//! afterwards, or not at all). Which path wrote what when: `docs/endings.md`.

use tcpretrans_ebpf::{Record, tcp_state};

use super::super::{
    classify::is_orphan,
    correlator::Config,
    state::{Closing, FlowState, ResetSent, Side},
};
use crate::event::{Cause, Knob, Who};

/// Records of one ending lie within microseconds of each other; on a loaded machine a little more.
const TOGETHER_NS: u64 = 10_000_000;

/// `SOCK_LINGER` in `sk_flags`.
const SOCK_LINGER: u64 = 1 << 4;
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
    /// How, in a few words, where the cause alone does not say it.
    pub how: Option<&'static str>,
}

impl Verdict {
    fn new(cause: Cause, who: Who) -> Verdict {
        Verdict { cause, who: Some(who), knob: None, how: None }
    }

    fn knob(self, knob: Knob) -> Verdict {
        Verdict { knob: Some(knob), ..self }
    }

    fn how(self, how: &'static str) -> Verdict {
        Verdict { how: Some(how), ..self }
    }

    fn unknown(how: &'static str) -> Verdict {
        Verdict { cause: Cause::Unknown, who: None, knob: None, how: Some(how) }
    }
}

/// The reset that this side sent as part of this ending, if any.
fn reset_of_this_end<'a>(state: &'a FlowState, record: &Record) -> Option<&'a ResetSent> {
    state.reset_sent.as_ref().filter(|reset| reset.at_ns.abs_diff(record.mono_ns) <= TOGETHER_NS)
}

/// Judges.
pub fn of(state: &FlowState, closing: &Closing, config: &Config) -> Verdict {
    let record = &closing.record;
    let reset_sent = reset_of_this_end(state, record);
    let reason = reset_sent.and_then(|reset| config.reset_reasons.get(&reset.reason)).map(String::as_str);
    let reset_received =
        state.reset_received_ns.is_some_and(|at_ns| record.mono_ns.saturating_sub(at_ns) <= TOGETHER_NS);

    if reset_received {
        // tcp_rcv_state_process also calls tcp_reset for data after close(), and answers with a reset of its own.
        return if reset_sent.is_some_and(|reset| reset.answers_segment && reset.at_ns >= record.mono_ns) {
            Verdict::new(Cause::ResetByLocal, Who::Local).how("data arrived after the application had closed")
        } else if record.old == tcp_state::SYN_SENT {
            Verdict::new(Cause::ConnectRefused, Who::Peer)
        } else {
            Verdict::new(Cause::ResetByPeer, Who::Peer)
        };
    }
    let errno = record.sock.sk_err as i32;
    if errno == libc::ECONNABORTED {
        return Verdict::new(Cause::AdminKill, Who::Admin);
    }
    if errno != 0 { by_error(record, errno, reset_sent, reason) } else { in_order(state, record, reason) }
}

/// Ends that raise an error.
fn by_error(record: &Record, errno: i32, reset_sent: Option<&ResetSent>, reason: Option<&str>) -> Verdict {
    let sock = &record.sock;
    let user_timeout = sock.icsk_user_timeout != 0;
    let timeout_knob = |knob| if user_timeout { Knob::TcpUserTimeout } else { knob };
    if record.old == tcp_state::SYN_SENT {
        return of_connect(record, errno);
    }
    let nothing_in_flight = sock.snd_una == sock.snd_nxt;
    let active_reset = reset_sent.is_some_and(|reset| !reset.answers_segment);
    let by_keepalive = match reason {
        Some(reason) => reason == "TCP_KEEPALIVE_TIMEOUT",
        None => active_reset && nothing_in_flight && sock.icsk_probes_out > 0,
    };
    if by_keepalive {
        return Verdict::new(Cause::KeepaliveTimeout, Who::Kernel).knob(timeout_knob(Knob::Keepalive));
    }
    if record.old == tcp_state::SYN_RECV && errno != libc::ETIMEDOUT && sock.icsk_retransmits == 0 {
        return Verdict::new(Cause::IcmpError, Who::Network);
    }
    if nothing_in_flight {
        return if sock.write_seq != sock.snd_nxt {
            // tcp_probe_timer counts probes against tcp_retries2 (orphans: tcp_orphan_retries).
            let knob = if is_orphan(record) { Knob::TcpOrphanRetries } else { Knob::TcpRetries2 };
            Verdict::new(Cause::ZeroWindowTimeout, Who::Kernel).knob(timeout_knob(knob))
        } else if errno == libc::ETIMEDOUT {
            Verdict::unknown("timed out with nothing in flight")
        } else {
            Verdict::new(Cause::IcmpError, Who::Network)
        };
    }
    if sock.snd_wnd == 0 && !is_orphan(record) {
        return Verdict::new(Cause::ZeroWindowTimeout, Who::Kernel).knob(timeout_knob(Knob::ZeroWindow));
    }
    if user_timeout {
        return Verdict::new(Cause::UserTimeout, Who::Kernel).knob(Knob::TcpUserTimeout);
    }
    if is_orphan(record) {
        return Verdict::new(Cause::OrphanTimeout, Who::Kernel).knob(Knob::TcpOrphanRetries);
    }
    Verdict::new(Cause::RetransmitTimeout, Who::Kernel).knob(Knob::TcpRetries2)
}

/// A connect() that failed with an error.
fn of_connect(record: &Record, errno: i32) -> Verdict {
    let sock = &record.sock;
    let own_limit = u32::from(sock.icsk_syn_retries);
    let knob = if sock.icsk_user_timeout != 0 {
        Knob::TcpUserTimeout
    } else if own_limit != 0 {
        Knob::TcpSyncnt
    } else {
        Knob::TcpSynRetries
    };
    // ETIMEDOUT is written by tcp_write_err alone; another errno may be a soft error that it reports instead.
    let limit = if own_limit != 0 { own_limit } else { sock.tcp_syn_retries };
    if errno == libc::ETIMEDOUT || u32::from(sock.icsk_retransmits) >= limit {
        return Verdict::new(Cause::ConnectTimeout, Who::Kernel).knob(knob);
    }
    Verdict::new(Cause::IcmpError, Who::Network)
}

/// Ends without an error.
fn in_order(state: &FlowState, record: &Record, reason: Option<&str>) -> Verdict {
    let sock = &record.sock;
    let local_reset = |how| Verdict::new(Cause::ResetByLocal, Who::Local).how(how);
    match record.old {
        tcp_state::SYN_SENT if sock.retrans_stamp == 0 => {
            Verdict::new(Cause::ConnectAbandoned, Who::Local).how("before a SYN was sent")
        }
        tcp_state::SYN_SENT => Verdict::new(Cause::ConnectAbandoned, Who::Local),
        tcp_state::LAST_ACK => Verdict::new(Cause::ClosedByPeer, Who::Peer),
        tcp_state::CLOSING => Verdict { who: None, ..Verdict::new(Cause::SimultaneousClose, Who::Local) },
        tcp_state::FIN_WAIT2 | tcp_state::TIME_WAIT => match &state.first_fin {
            Some(fin) if fin.side == Side::Both => {
                Verdict { who: None, ..Verdict::new(Cause::SimultaneousClose, Who::Local) }
            }
            _ => Verdict::new(Cause::ClosedByLocal, Who::Local),
        },
        _ if reason == Some("TCP_ABORT_ON_MEMORY") => Verdict::new(Cause::OutOfMemory, Who::Kernel),
        _ if reason == Some("TCP_ABORT_ON_LINGER") => local_reset("TCP_LINGER2 is negative"),
        tcp_state::FIN_WAIT1 if is_orphan(record) => {
            Verdict::unknown("dropped by the kernel: memory pressure, or its network namespace was deleted")
        }
        _ if sock.sk_flags & SOCK_LINGER != 0 && sock.sk_lingertime == 0 => local_reset("SO_LINGER 0"),
        _ if record.inode == 0 && !is_orphan(record) && sock.sk_shutdown != SHUTDOWN_MASK => {
            local_reset("its listener closed before the connection was accepted")
        }
        _ if sock.sk_shutdown == SHUTDOWN_MASK && !is_orphan(record) => {
            local_reset("closed with unread data in the receive buffer")
        }
        _ if sock.sk_shutdown != SHUTDOWN_MASK && !is_orphan(record) => {
            local_reset("disconnected, connect(AF_UNSPEC)")
        }
        _ => Verdict::unknown("closed by the kernel for a reason that it does not show"),
    }
}
