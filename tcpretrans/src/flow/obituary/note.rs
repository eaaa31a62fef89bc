//! The sentence for people.

use std::fmt::Write;

use tcpretrans_ebpf::Record;

use super::{
    super::state::{FlowState, Side},
    verdict::Verdict,
};
use crate::event::{Cause, Closed, Knob};

/// One sentence that says how the flow ended.
pub fn sentence(state: &FlowState, record: &Record, verdict: &Verdict, closed: &Closed) -> String {
    let mut text = String::new();
    let process = process(state);
    match verdict.cause {
        Cause::RetransmitTimeout | Cause::UserTimeout => {
            let _ = write!(text, "the kernel gave up: the peer acknowledged nothing for {}", silence(closed));
        }
        Cause::ConnectTimeout => {
            let _ = write!(text, "no answer to {} SYNs", closed.retransmissions + 1);
        }
        Cause::ConnectRefused => text.push_str("the peer refused the connection with a reset"),
        Cause::ConnectAbandoned if verdict.how.is_some() => {
            text.push_str("connect() failed before a SYN was sent");
        }
        Cause::ConnectAbandoned => {
            let _ = write!(text, "the application{process} gave up connecting");
            if let Some(ms) = closed.lifetime_ms {
                let _ = write!(text, " after {}", seconds(ms));
            }
            let _ = write!(text, "; {} SYNs were unanswered", closed.retransmissions + 1);
            if closed.retransmissions == 0 {
                text.push_str(", and it did not wait for the first retransmission");
            }
        }
        Cause::KeepaliveTimeout => text.push_str("the peer did not answer keepalive probes"),
        Cause::ZeroWindowTimeout => text.push_str("the peer kept its window closed and stopped answering"),
        Cause::OrphanTimeout => {
            let _ = write!(
                text,
                "closed by the application{process}, then the peer did not acknowledge for {}",
                silence(closed)
            );
        }
        Cause::ResetByPeer => text.push_str("the peer reset the connection"),
        Cause::ResetByLocal => text.push_str("this side reset the connection"),
        Cause::ClosedByLocal => {
            let _ = write!(text, "closed by the local application{}", closer(state));
        }
        Cause::ClosedByPeer => text.push_str("the peer closed first"),
        Cause::SimultaneousClose => text.push_str("both sides closed at the same time"),
        Cause::AdminKill => text.push_str("killed administratively (ss -K or the like)"),
        Cause::IcmpError => text.push_str("the network reported it unreachable (ICMP)"),
        Cause::OutOfMemory => text.push_str("dropped by the kernel for lack of memory"),
        Cause::Unknown => text.push_str("it is not known why"),
    }
    if let Some(how) = verdict.how.filter(|_| verdict.cause != Cause::ConnectAbandoned) {
        let _ = write!(text, ": {how}");
    }
    if let Some(knob) = verdict.knob {
        let _ = write!(text, " ({})", knob_with_value(knob, record));
    }
    hung_up_first(state, verdict, &mut text);
    text
}

/// The application closed while TCP was still trying: say so, with figures.
fn hung_up_first(state: &FlowState, verdict: &Verdict, text: &mut String) {
    let Some(fin) = &state.first_fin else { return };
    if fin.unacked_bytes == 0 || fin.retransmits == 0 || verdict.cause == Cause::OrphanTimeout {
        return;
    }
    let who = match fin.side {
        Side::Local => format!("the local application{}", closer(state)),
        Side::Peer => "the peer".to_owned(),
        Side::Both => return,
    };
    let _ = write!(text, "; {who} closed");
    if let Some(ms) = fin.into_episode_ms {
        let _ = write!(text, " {} into an RTO backoff", seconds(ms));
    }
    let _ = write!(text, " with {} bytes unacknowledged", fin.unacked_bytes);
}

/// The task that called close(), or else the owner.
fn closer(state: &FlowState) -> String {
    match state.first_fin.as_ref().and_then(|fin| fin.closer) {
        Some((pid, comm)) => {
            let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
            format!(" ({}, pid {pid})", String::from_utf8_lossy(&comm[..end]))
        }
        None => process(state),
    }
}

/// ` (comm, pid N)`, or nothing.
fn process(state: &FlowState) -> String {
    match (&state.flow.comm, state.flow.pid) {
        (Some(comm), Some(pid)) => format!(" ({comm}, pid {pid})"),
        (None, Some(pid)) => format!(" (pid {pid})"),
        _ => String::new(),
    }
}

fn silence(closed: &Closed) -> String {
    closed.silent_ms.map_or_else(|| "an unknown time".to_owned(), seconds)
}

/// `3.2 s`, `4 m 43 s`.
pub fn seconds(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => format!("{} m {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

fn knob_with_value(knob: Knob, record: &Record) -> String {
    let sock = &record.sock;
    let value = match knob {
        Knob::TcpRetries2 => Some(sock.tcp_retries2),
        Knob::TcpUserTimeout => return format!("TCP_USER_TIMEOUT={} ms", sock.icsk_user_timeout),
        Knob::TcpSynRetries => Some(sock.tcp_syn_retries),
        Knob::TcpSyncnt => Some(u32::from(sock.icsk_syn_retries)),
        Knob::TcpSynackRetries => Some(sock.tcp_synack_retries),
        Knob::TcpOrphanRetries => Some(sock.tcp_orphan_retries),
        Knob::ZeroWindow | Knob::Keepalive => None,
    };
    match value {
        Some(value) => format!("{}={value}", knob.name()),
        None => knob.name().to_owned(),
    }
}
