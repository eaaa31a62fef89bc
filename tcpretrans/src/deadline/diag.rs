//! A socket that was in backoff before the tracer came, as `sock_diag` shows it.
//!
//! The netlink answer has no `retrans_stamp`, no TCP_USER_TIMEOUT and no thin-stream flag. When the first
//! retransmission was is computed back from the ladder (each wait is half the next), and bounded by what the
//! answer has: the last ACK's age, and `tcpi_total_rto_time` where this is the socket's first recovery. What
//! stays open widens `earliest..latest`; the first event of the socket replaces the forecast by an exact one.

use super::{
    kernel_clock::Kernel,
    view::{Moment, Sysctls, Thin, Timer, TimerView},
};
use tcpretrans_ebpf::tcp_state;

const NS_PER_MS: u64 = 1_000_000;
/// `tcp_rto_min` where nobody changed it: the least that `rttvar` is.
const RTO_MIN_US: u64 = 200_000;

/// What `sock_diag` (`inet_diag_msg`, `tcp_info`) and /proc say of one socket whose retransmission timer waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiagView {
    /// HZ and the like.
    pub kernel: Kernel,
    /// When the answer was read, `CLOCK_MONOTONIC`.
    pub mono_ns: u64,
    /// `jiffies64` then, computed from a record that has both clocks.
    pub jiffies: u64,
    /// `idiag_state`
    pub state: u8,
    /// `idiag_expires` of timer 1 (retransmission), ms.
    pub expires_ms: u64,
    /// `tcpi_rto`: the wait that runs now.
    pub rto_us: u32,
    /// The namespace's `tcp_rto_max_ms` (the socket's own TCP_RTO_MAX_MS is not shown); `None`: 120 s.
    pub rto_max_ms: Option<u32>,
    /// `tcpi_retransmits`
    pub retransmits: u8,
    /// `tcpi_backoff`
    pub backoff: u8,
    /// `tcpi_rtt`
    pub rtt_us: u32,
    /// `tcpi_rttvar`
    pub rttvar_us: u32,
    /// `tcpi_last_data_sent`: when the last timeout was, unless this is a SYN, which carries no data.
    pub last_sent_ms: u32,
    /// `tcpi_last_ack_recv`
    pub last_ack_ms: u32,
    /// `tcpi_snd_wnd`
    pub snd_wnd: u32,
    /// `tcpi_total_rto_time` if `tcpi_total_rto_recoveries` is 1, for then it is the age of this recovery.
    pub recovery_ms: Option<u32>,
    /// `idiag_inode == 0`: nobody holds the socket.
    pub orphan: bool,
    /// TCP_USER_TIMEOUT, if the caller could ask the socket itself. `None`: the forecast's `expected` and `latest` hold
    /// for a socket without one, and `earliest` is the next timeout, for any of them may be its end.
    pub user_timeout_ms: Option<u32>,
    /// TCP_SYNCNT, likewise; `None` is taken as unset.
    pub syn_retries: Option<u8>,
    /// The namespace's sysctls.
    pub sysctls: Sysctls,
}

impl DiagView {
    /// The timer's view; `None` unless the socket is in backoff.
    pub fn view(&self) -> Option<TimerView> {
        if self.retransmits == 0 {
            return None;
        }
        let kernel = self.kernel;
        let rto_jiffies = (kernel.us_to_jiffies(u64::from(self.rto_us)) as u32).max(1);
        let rto_max_jiffies = match self.rto_max_ms {
            Some(ms) if ms > 0 => kernel.ms_to_jiffies(u64::from(ms)) as u32,
            _ => kernel.rto_max_jiffies(),
        };
        let expires = self.jiffies + kernel.ms_to_jiffies(self.expires_ms);
        let (delay, least_delay) = self.armed_for(u64::from(rto_jiffies));
        Some(TimerView {
            kernel,
            mono_ns: self.mono_ns,
            jiffies: self.jiffies,
            jiffies_error: 1,
            on_tick: false,
            state: self.state,
            // `jiffies_delta_to_msecs` cuts off, and the answer is a little old: a jiffy either way.
            timer: Timer::Armed {
                earliest: expires.saturating_sub(1),
                likely: expires,
                latest: expires + 1,
                delay,
                least_delay,
                in_handler: true,
            },
            rto_jiffies,
            rto_max_jiffies,
            retransmits: u32::from(self.retransmits),
            timeouts: u32::from(self.retransmits),
            start: Some(self.start(rto_jiffies, rto_max_jiffies)),
            usec_ts: false,
            user_timeout_ms: self.user_timeout_ms,
            syn_retries: self.syn_retries.unwrap_or(0),
            orphan: self.orphan,
            soft_error: false,
            thin: Thin::No,
            window_closed: self.snd_wnd == 0,
            last_ack_jiffies: self.jiffies.saturating_sub(kernel.ms_to_jiffies(u64::from(self.last_ack_ms))),
            modern_probe0: false,
            sysctls: self.sysctls,
        })
    }

    /// For how many jiffies the timer was armed, and the least that it may have been: TCP_USER_TIMEOUT shortens a wait.
    fn armed_for(&self, rto_jiffies: u64) -> (u64, u64) {
        if self.user_timeout_ms == Some(0) {
            return (rto_jiffies, rto_jiffies);
        }
        if self.state == tcp_state::SYN_SENT {
            return (rto_jiffies, 1);
        }
        let shown = self.kernel.ms_to_jiffies(u64::from(self.last_sent_ms) + self.expires_ms);
        let delay = shown.clamp(1, rto_jiffies);
        (delay, delay.saturating_sub(3).max(1))
    }

    /// `retrans_stamp`, computed back.
    fn start(&self, rto_jiffies: u32, rto_max_jiffies: u32) -> Moment {
        let kernel = self.kernel;
        let handshake = self.state == tcp_state::SYN_SENT;
        let (low, likely, high) = self.climbed(u64::from(rto_jiffies), u64::from(rto_max_jiffies));
        // What has run of the current wait. A SYN does not show it, and TCP_USER_TIMEOUT may have cut the wait.
        let rest_of_rto = kernel.jiffies_to_ms(u64::from(rto_jiffies)).saturating_sub(self.expires_ms);
        let waited_ms = if handshake { rest_of_rto } else { u64::from(self.last_sent_ms) };
        let waited_least = if handshake && self.user_timeout_ms != Some(0) { 0 } else { waited_ms };
        let slack_ms = kernel.jiffies_to_ms(2) + 1;
        let mut longest_ms = waited_ms + high + slack_ms;
        let mut likely_ms = waited_ms + likely;
        let mut shortest_ms = (waited_least + low).saturating_sub(slack_ms);
        if let Some(recovery_ms) = self.recovery_ms {
            // `rto_stamp` is the first timeout; a SYN's stamp is its first sending, one wait before that.
            let (first, rounding) = if handshake { (1000, 130) } else { (0, 0) };
            likely_ms = u64::from(recovery_ms) + first;
            (shortest_ms, longest_ms) = (likely_ms.saturating_sub(slack_ms), likely_ms + rounding + slack_ms);
        } else if !handshake {
            // The last ACK came before the first timeout, unless a window probe or a duplicate was acknowledged.
            longest_ms = longest_ms.min(u64::from(self.last_ack_ms).max(likely_ms + slack_ms));
        }
        let ago = |ms: u64| self.mono_ns.saturating_sub(ms * NS_PER_MS);
        Moment { earliest_ns: ago(longest_ms), likely_ns: ago(likely_ms), latest_ns: ago(shortest_ms) }
    }

    /// The waits between the first retransmission (a SYN's first sending) and the current wait, ms: least, likely,
    /// most.
    fn climbed(&self, rto: u64, rto_max: u64) -> (u64, u64, u64) {
        let kernel = self.kernel;
        let retransmits = u32::from(self.retransmits);
        let backoff = u32::from(self.backoff);
        // The timer wheel adds up to an eighth, and a jiffy; half of that on average.
        let total = |waits: &dyn Fn(u32) -> u64, from: u32| -> (u64, u64, u64) {
            let plain: u64 = (from..retransmits).map(waits).sum();
            let count = u64::from(retransmits - from.min(retransmits));
            let ms = |jiffies| kernel.jiffies_to_ms(jiffies);
            (ms(plain), ms(plain + plain / 16 + count), ms(plain + plain / 7 + 8 * count))
        };
        if self.state == tcp_state::SYN_SENT {
            let linear = self.sysctls.syn_linear_timeouts.unwrap_or(0);
            let first = u64::from(kernel.timeout_init_jiffies());
            return total(&|n| (first << n.saturating_sub(linear).min(31)).min(rto_max), 0);
        }
        let rung = |base: u64| move |n: u32| (base << n.min(31)).min(rto_max);
        let base = (rto >> backoff.min(31)).max(1);
        if backoff != retransmits {
            // An ICMP error took steps back (RFC 6069), so the waits were anything from the first to the current.
            let (least, most) = (total(&|_| base, 1), total(&|_| rto, 1));
            return (least.0, total(&rung(base), 1).1.clamp(least.0, most.2), most.2);
        }
        // `icsk_rto` is `base << backoff` up to the maximum; at the maximum the base shows no more.
        if rto < rto_max {
            return total(&rung(base), 1);
        }
        let variance_us = (u64::from(self.rttvar_us) * 4).max(RTO_MIN_US);
        let guess = kernel.us_to_jiffies(u64::from(self.rtt_us) + variance_us).max(base).min(rto_max);
        (total(&rung(base), 1).0, total(&rung(guess), 1).1, total(&rung(rto_max), 1).2)
    }
}
