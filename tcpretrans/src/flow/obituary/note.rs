//! The sentence for people: what happened, in which situation, and the knob that has the figure.

use std::fmt::Write;

use tcpretrans_ebpf::Record;

use super::{
    conclusion::{Conclusion, How},
    process, situation,
};
use crate::{
    event::{Cause, Closed, HungUpSide, Knob},
    flow::state::FlowState,
    socket::{Hz, Jiffies, RecordExt, TcpState},
    words::{errno, figures::count, signal, time::millis},
};

/// One sentence that says how the flow ended. [`Closed::sentence`] adds until when TCP would have tried.
pub(super) fn sentence(
    state: &FlowState,
    record: &Record,
    conclusion: &Conclusion,
    closed: &Closed,
    hz: Hz,
) -> String {
    let what = match conclusion.cause {
        Cause::RetransmitTimeout | Cause::UserTimeout | Cause::ZeroWindowTimeout | Cause::OrphanTimeout => {
            gave_up(state, conclusion, closed)
        }
        Cause::KeepaliveTimeout => {
            format!(
                "the idle peer did not answer {}",
                count(record.sock.icsk_probes_out.into(), "keepalive probe")
            )
        }
        Cause::ConnectTimeout if record.old_state() == TcpState::SynSent => {
            let mut text = format!("no answer to {}", count(u64::from(closed.retransmissions) + 1, "SYN"));
            if let Some(ms) = closed.lifetime_ms {
                let _ = write!(text, " in {}", millis(ms));
            }
            text
        }
        Cause::ConnectTimeout => "the client did not complete the handshake".to_owned(),
        Cause::ConnectRefused => "the peer refused the connection with a RST: nobody listens there, or its \
                                  firewall rejects"
            .to_owned(),
        Cause::ConnectAbandoned => situation::of_abandoned_connect(state, closed),
        Cause::ResetByPeer => match earlier(state, closed) {
            Some(before) => format!("{before}, then reset by the peer"),
            None => format!("reset by the peer{}", situation::of(closed)),
        },
        Cause::ResetByLocal => reset_by_local(state, record, conclusion, closed),
        Cause::ClosedByLocal => format!("{}{}", closed_by_local(state, closed), situation::of(closed)),
        Cause::ClosedByPeer => format!("closed by the peer{}", situation::of(closed)),
        Cause::SimultaneousClose => format!("both ends closed at the same time{}", situation::of(closed)),
        Cause::AdminKill => {
            let before = earlier(state, closed).map(|before| format!("{before}, then ")).unwrap_or_default();
            let unacked = situation::unacked(closed);
            format!("{before}killed by {}, with `ss -K` or the like{unacked}", current(record))
        }
        Cause::IcmpError => {
            // A host that does not answer to ARP or ND counts as unreachable (ipv4_link_failure).
            let or_arp = match closed.error {
                Some(libc::EHOSTUNREACH) => ", or nobody answered to ARP",
                _ => "",
            };
            format!("the network refused the connection: {}; an ICMP message said so{or_arp}", error(closed))
        }
        Cause::OutOfMemory => format!(
            "dropped by the kernel for lack of memory: tcp_mem or tcp_max_orphans was exceeded{}",
            situation::unacked(closed)
        ),
        Cause::Unknown => unknown(conclusion).to_owned(),
    };
    let mut text = what;
    if let Some(knob) = conclusion.knob {
        let _ = write!(text, " ({})", knob_with_value(knob, record, hz));
    }
    if conclusion.cause.is_give_up()
        && let Some(errno) = closed.error
        && errno != libc::ETIMEDOUT
    {
        let _ = write!(text, "; the network had reported {}", errno::described(errno));
    }
    situation::afterwards(closed, &mut text);
    text
}

/// The kernel's own timers.
fn gave_up(state: &FlowState, conclusion: &Conclusion, closed: &Closed) -> String {
    let before = earlier(state, closed).map(|before| format!("{before}, then ")).unwrap_or_default();
    let silence = closed.silent_ms.map(|ms| format!(", silent for {}", millis(ms))).unwrap_or_default();
    let reason = match (conclusion.cause, conclusion.how) {
        (_, How::NeverLeft) => {
            ": nothing left this machine: it has no route, or its own firewall or queueing discipline dropped it"
                .to_owned()
        }
        (Cause::ZeroWindowTimeout, How::InFlight) => {
            format!(": the peer had closed its window with data in flight{silence}")
        }
        (Cause::ZeroWindowTimeout, _) if conclusion.knob == Some(Knob::TcpUserTimeout) => {
            ": the peer kept its window closed for too long".to_owned()
        }
        (Cause::ZeroWindowTimeout, _) => {
            format!(": the peer had closed its window and did not answer window probes{silence}")
        }
        // Those before the trace, and those that could not be sent, are not counted.
        _ if closed.retransmissions == 0 => format!(": the peer did not answer{silence}"),
        _ => {
            let retransmissions = count(closed.retransmissions.into(), "retransmission");
            format!(" after {retransmissions}: the peer did not answer{silence}")
        }
    };
    let undelivered = match u64::from(closed.unacked_bytes) + u64::from(closed.unsent_bytes) {
        0 => "nothing but its FIN".to_owned(),
        bytes => count(bytes, "byte"),
    };
    format!("{before}the kernel gave up{reason}; {undelivered} undelivered")
}

/// An end had closed before the kernel or the other one finished it: who, and in which situation.
fn earlier(state: &FlowState, closed: &Closed) -> Option<String> {
    let hung_up_side = closed.hung_up.as_ref().map(|hung_up| hung_up.side);
    if hung_up_side == Some(HungUpSide::Peer) && state.hung_up.is_some() {
        return Some(format!("closed by the peer{}", situation::of(closed)));
    }
    let closed_here = state.closer.is_some() && state.first_fin.is_some();
    closed_here.then(|| format!("{}{}", closed_by_local(state, closed), situation::in_trouble_only(closed)))
}

/// `closed by the local application (java, pid 123)`, or how its process ended.
fn closed_by_local(state: &FlowState, closed: &Closed) -> String {
    by_local(state, closed, "closed")
}

fn by_local(state: &FlowState, closed: &Closed, done: &str) -> String {
    let process = process::in_brackets(state);
    match closed.killed_by {
        Some(signal) => {
            let signal = signal::described(signal);
            format!("{done} by the kernel as {signal} killed the local application{process}")
        }
        None if state.closer.is_some_and(|closer| closer.exit != 0) => {
            format!("{done} by the kernel as the local application{process} exited")
        }
        None => format!("{done} by the local application{process}"),
    }
}

fn reset_by_local(state: &FlowState, record: &Record, conclusion: &Conclusion, closed: &Closed) -> String {
    let by = by_local(state, closed, "reset");
    let situation = situation::of(closed);
    match conclusion.how {
        How::Unread(0) => format!("{by}, which closed with unread data in the receive buffer{situation}"),
        How::Unread(bytes) => {
            format!("{by}, which closed with {} unread{situation}", count(bytes.into(), "byte"))
        }
        How::LingerZero => format!("{by}, which closed with SO_LINGER 0{situation}"),
        How::Disconnected => format!("{by} with connect(AF_UNSPEC){situation}"),
        How::NotAccepted => {
            format!("its listener was closed by {} before the connection was accepted", current(record))
        }
        How::DataAfterClose => format!(
            "{}{}, then reset by the kernel: data arrived after the application had closed",
            closed_by_local(state, closed),
            situation::in_trouble_only(closed)
        ),
        How::NegativeLinger2 => format!("{by}, which closed with a negative TCP_LINGER2{situation}"),
        How::FinTimeout => format!(
            "{}; the peer did not close in time (tcp_fin_timeout, TCP_LINGER2), and the kernel reset it",
            closed_by_local(state, closed)
        ),
        How::Plainly | How::NeverLeft | How::InFlight | How::NoSyn | How::Dropped | How::RecordLost => {
            format!("{by}{situation}")
        }
    }
}

fn unknown(conclusion: &Conclusion) -> &'static str {
    match conclusion.how {
        How::NoSyn => {
            "connect() failed before a SYN was sent: no route, no free port, or a local policy forbids it"
        }
        How::Dropped => {
            "dropped by the kernel without an error: lack of memory, or its network namespace was deleted"
        }
        How::RecordLost => "how it ended is not known: the record of its end did not reach tcpretrans",
        How::Plainly
        | How::LingerZero
        | How::Unread(_)
        | How::Disconnected
        | How::NotAccepted
        | How::DataAfterClose
        | How::NegativeLinger2
        | How::FinTimeout
        | How::NeverLeft
        | How::InFlight => "how it ended is not known: this kernel's state allows no answer",
    }
}

/// `ss (pid 7)`: the task that did it in its own system call.
fn current(record: &Record) -> String {
    match record.current_tgid {
        0 => "an unknown process".to_owned(),
        tgid => format!("{} (pid {tgid})", process::comm(&record.current_comm)),
    }
}

fn error(closed: &Closed) -> String {
    closed.error.map_or_else(|| "no errno".to_owned(), errno::described)
}

fn knob_with_value(knob: Knob, record: &Record, hz: Hz) -> String {
    let sock = &record.sock;
    let value = match knob {
        Knob::TcpRetries2 => sock.tcp_retries2,
        Knob::TcpUserTimeout => return format!("TCP_USER_TIMEOUT={} ms", sock.icsk_user_timeout),
        Knob::TcpSynRetries => sock.tcp_syn_retries,
        Knob::TcpSyncnt => u32::from(sock.icsk_syn_retries),
        Knob::TcpSynackRetries => sock.tcp_synack_retries,
        // tcp_orphan_retries()
        Knob::TcpOrphanRetries if sock.tcp_orphan_retries == 0 => {
            return "tcp_orphan_retries=0, which stands for 8".to_owned();
        }
        Knob::TcpOrphanRetries => sock.tcp_orphan_retries,
        Knob::ZeroWindow => return "a closed window is given twice the longest RTO".to_owned(),
        Knob::Keepalive => {
            let or = |own: u32, sysctl: u32| if own != 0 { own } else { sysctl };
            let time = |jiffies: u32| millis(hz.displayed(Jiffies::from(jiffies)).0);
            return format!(
                "keepalive: idle for {}, then {} every {}",
                time(or(sock.keepalive_time, sock.tcp_keepalive_time)),
                count(or(sock.keepalive_probes.into(), sock.tcp_keepalive_probes).into(), "probe"),
                time(or(sock.keepalive_intvl, sock.tcp_keepalive_intvl))
            );
        }
    };
    format!("{}={value}", knob.name())
}
