//! What a forecast of a TCP socket's retransmission timer starts from: the kernel's own variables, few as possible.

use tcpretrans_ebpf::Snapshot;

use super::firing::{Aim, Span};
use crate::socket::{Hz, Jiffies, Millis, Nanos, StampClock, TcpState, present};

/// Something that may be known only within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate<T> {
    /// Not before.
    pub earliest: T,
    /// Most likely.
    pub likely: T,
    /// Not after.
    pub latest: T,
}

impl<T: Copy> Estimate<T> {
    /// What is known.
    pub fn exactly(value: T) -> Self {
        Self { earliest: value, likely: value, latest: value }
    }

    pub(super) fn span(self, aim: Aim) -> Span<T> {
        match aim {
            Aim::Likeliest => Span::point(self.likely),
            Aim::Bounds => Span { lo: self.earliest, hi: self.latest },
        }
    }
}

/// The `tcp_*` sysctls of the socket's own network namespace that end connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sysctls {
    /// `tcp_retries1`
    pub retries1: u32,
    /// `tcp_retries2`
    pub retries2: u32,
    /// `tcp_syn_retries`
    pub syn_retries: u32,
    /// `tcp_syn_linear_timeouts`; `None` before Linux 6.5.
    pub syn_linear_timeouts: Option<u32>,
    /// `tcp_synack_retries`
    pub synack_retries: u32,
    /// `tcp_orphan_retries`
    pub orphan_retries: u32,
}

impl Sysctls {
    /// The sysctls of the socket's namespace; `None` if this kernel hides an indispensable one.
    pub(super) fn from_snapshot(sock: &Snapshot) -> Option<Self> {
        Some(Self {
            retries1: present(sock.tcp_retries1)?,
            retries2: present(sock.tcp_retries2)?,
            syn_retries: present(sock.tcp_syn_retries)?,
            syn_linear_timeouts: present(sock.tcp_syn_linear_timeouts),
            synack_retries: present(sock.tcp_synack_retries)?,
            orphan_retries: present(sock.tcp_orphan_retries)?,
        })
    }
}

/// What the retransmission timer is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// The RTO has just expired and this is its retransmission. `icsk_rto` is the RTO that expired; the handler
    /// has still to double it and to arm the timer.
    Expired {
        /// In the timer's own handler, as nearly always; not when an ICMP error ran the timeout.
        in_handler: bool,
        /// The local qdisc dropped the packet (`NET_XMIT_DROP`): the kernel then waits 500 ms
        /// (`TCP_RESOURCE_PROBE_INTERVAL`) and does not back off.
        dropped: bool,
    },
    /// The timer waits, or is about to be armed.
    Armed {
        /// Its next expiry.
        expires: Estimate<Jiffies>,
        /// For how long it was armed: this decides the timer wheel's granularity.
        delay: Jiffies,
        /// The least that the delay may have been.
        least_delay: Jiffies,
        /// Armed by its own handler, as after a timeout or a tail loss probe.
        in_handler: bool,
    },
}

/// Does the thin-stream rule hold (`tcp_stream_is_thin`), so that the first six RTOs are not doubled?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thin {
    /// No.
    No,
    /// Yes: the RTO is recomputed as `srtt + rttvar`, which is this.
    Yes(Jiffies),
    /// It depends on what the congestion control does to `snd_ssthresh` at the first RTO.
    Unsure(Jiffies),
}

/// A socket's retransmission timer at one moment, in the kernel's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerView {
    /// `CONFIG_HZ`
    pub hz: Hz,
    /// The moment, `ktime_get_ns`.
    pub time: Nanos,
    /// `jiffies64` at the moment.
    pub now: Jiffies,
    /// The moment is itself a timer's firing, so it lies as near to its tick as the firings to come.
    pub on_tick: bool,
    /// TCP state.
    pub state: TcpState,
    /// The timer.
    pub timer: Timer,
    /// `icsk_rto`
    pub rto: Jiffies,
    /// `icsk_rto_max`, or 120 s.
    pub rto_max: Jiffies,
    /// `icsk_retransmits`: RTOs since the peer last acknowledged something new.
    pub retransmits: u32,
    /// `total_rto`, or `icsk_backoff + 1` before that existed: which of a SYN's timeouts this is.
    pub timeouts: u32,
    /// `retrans_stamp`, the moment of the first retransmission: all budgets count from there. `None`: that is
    /// still to come.
    pub start: Option<Estimate<Nanos>>,
    /// The clock of `retrans_stamp`. With microseconds the kernel allows a jiffy for the timer.
    pub stamp_clock: StampClock,
    /// TCP_USER_TIMEOUT; `None`: not set.
    pub user_timeout: Option<Millis>,
    /// TCP_SYNCNT; `None`: not set.
    pub own_syn_retries: Option<u32>,
    /// SOCK_DEAD: no process holds the socket any more.
    pub orphan: bool,
    /// `sk_err_soft` is set: an ICMP error was seen.
    pub soft_error: bool,
    /// The thin-stream rule.
    pub thin: Thin,
    /// The peer's window is closed (`snd_wnd == 0`).
    pub window_closed: bool,
    /// `rcv_tstamp`: the last ACK; used with a closed window.
    pub last_ack: Jiffies,
    /// Does this kernel surely use `tcp_rtx_probe0_timed_out` with TCP_USER_TIMEOUT (Linux 6.8, 6.6.57)?
    /// Otherwise the forecast covers the older rules as well.
    pub modern_probe0: bool,
    /// The sysctls.
    pub sysctls: Sysctls,
}

impl TimerView {
    /// `tcp_retransmit_timer`'s first branch: retransmissions are window probes, for which other limits hold.
    pub(super) fn probes_window(&self) -> bool {
        self.window_closed && !self.orphan && !self.state.in_handshake()
    }

    /// How long it has been retransmitting.
    pub fn elapsed(&self) -> Millis {
        self.start.map_or(Millis(0), |start| (self.time - start.likely).cut_to_millis())
    }
}
