//! What a forecast of a TCP socket's retransmission timer starts from: the kernel's own variables, few as possible.

use tcpretrans_ebpf::tcp_state;

use crate::socket::jiffies::Kernel;

/// A moment that may be known only within bounds, mono ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Not before.
    pub earliest_ns: u64,
    /// Most likely.
    pub likely_ns: u64,
    /// Not after.
    pub latest_ns: u64,
}

impl Moment {
    /// A moment that is known.
    pub fn at(ns: u64) -> Self {
        Self { earliest_ns: ns, likely_ns: ns, latest_ns: ns }
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

/// Where the socket is on its ladder of timeouts.
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
    /// The timer waits, or is about to be armed, and its next expiry is known within bounds (jiffies).
    Armed {
        /// Not before.
        earliest: u64,
        /// Most likely.
        likely: u64,
        /// Not after.
        latest: u64,
        /// For how many jiffies it was armed: this decides the timer wheel's granularity.
        delay: u64,
        /// The least that the delay may have been.
        least_delay: u64,
        /// Armed by its own handler, as after a timeout or a tail loss probe.
        in_handler: bool,
    },
}

/// Does the thin-stream rule hold (`tcp_stream_is_thin`), so that the first six RTOs are not doubled?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thin {
    /// No.
    No,
    /// Yes: the RTO is recomputed as `srtt + rttvar`, these many jiffies.
    Yes(u32),
    /// It depends on what the congestion control does to `snd_ssthresh` at the first RTO.
    Unsure(u32),
}

/// A socket's retransmission timer at one moment, in the kernel's names and units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerView {
    /// HZ and the like.
    pub kernel: Kernel,
    /// The moment, `ktime_get_ns`.
    pub mono_ns: u64,
    /// `jiffies64` at the moment.
    pub jiffies: u64,
    /// By how much `jiffies` may be off (0 where a probe read it).
    pub jiffies_error: u64,
    /// The moment is itself a timer's firing, so it lies as near to its tick as the firings to come.
    pub on_tick: bool,
    /// TCP state.
    pub state: u8,
    /// Where on the ladder.
    pub timer: Timer,
    /// `icsk_rto`, jiffies.
    pub rto_jiffies: u32,
    /// `icsk_rto_max`, or 120 s.
    pub rto_max_jiffies: u32,
    /// `icsk_retransmits`: RTOs since the peer last acknowledged something new.
    pub retransmits: u32,
    /// `total_rto`, or `icsk_backoff + 1` before that existed: which of a SYN's timeouts this is.
    pub timeouts: u32,
    /// `retrans_stamp`, the moment of the first retransmission: all budgets count from there. `None`: that is
    /// still to come.
    pub start: Option<Moment>,
    /// `tcp_usec_ts`: the kernel compares microseconds, and allows a jiffy for the timer.
    pub usec_ts: bool,
    /// TCP_USER_TIMEOUT; 0 unset, `None` unknown: it may then strike at each timeout (a long one may also grant more
    /// time than `tcp_retries2`, which the forecast leaves out).
    pub user_timeout_ms: Option<u32>,
    /// TCP_SYNCNT; 0 unset.
    pub syn_retries: u8,
    /// SOCK_DEAD: no process holds the socket any more.
    pub orphan: bool,
    /// `sk_err_soft` is set: an ICMP error was seen.
    pub soft_error: bool,
    /// The thin-stream rule.
    pub thin: Thin,
    /// The peer's window is closed (`snd_wnd == 0`).
    pub window_closed: bool,
    /// `rcv_tstamp`: jiffies at the last ACK; used with a closed window.
    pub last_ack_jiffies: u64,
    /// Does this kernel surely use `tcp_rtx_probe0_timed_out` with TCP_USER_TIMEOUT (Linux 6.8, 6.6.57)?
    /// Otherwise the forecast covers the older rules as well.
    pub modern_probe0: bool,
    /// The sysctls.
    pub sysctls: Sysctls,
}

impl TimerView {
    /// SYN_SENT or SYN_RECV: other limits and another base.
    pub(super) fn in_handshake(&self) -> bool {
        matches!(self.state, tcp_state::SYN_SENT | tcp_state::SYN_RECV)
    }

    /// `tcp_retransmit_timer`'s first branch: retransmissions are window probes, for which other limits hold.
    pub(super) fn probes_window(&self) -> bool {
        self.window_closed && !self.orphan && !self.in_handshake()
    }

    /// How long it has been retransmitting, ms.
    pub fn elapsed_ms(&self) -> u64 {
        self.start.map_or(0, |start| self.mono_ns.saturating_sub(start.likely_ns) / 1_000_000)
    }

    /// Has it passed `tcp_retries1`? From then on the kernel doubts the path at each RTO: it probes for a smaller
    /// MTU where allowed, looks its route up again, and lets go of a redirected or expiring one
    /// (`tcp_write_timeout`).
    pub fn past_retries1(&self) -> bool {
        !self.in_handshake()
            && self.retransmits > 0
            && super::budget::model_timeout_ms(
                self.kernel,
                self.sysctls.retries1,
                self.kernel.rto_min_jiffies(),
                self.rto_max_jiffies,
            )
            .is_some_and(|budget_ms| self.start.is_some() && self.elapsed_ms() >= budget_ms)
    }
}
