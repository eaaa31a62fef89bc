//! What a timeout does to the socket: `tcp_write_timeout`, and `tcp_rtx_probe0_timed_out` for a closed window.

use tcpretrans_ebpf::tcp_state;

use super::{
    budget::{model_timeout_ms, orphan_retries},
    firing::{Aim, Firing, Span},
    ladder::Rung,
    view::TimerView,
};
use crate::event::Knob;

const NS_PER_MS: i64 = 1_000_000;

/// Does the socket survive this timeout?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Lives,
    /// Within the bounds of what we know both may happen.
    May,
    Dies,
}

/// What ends a connection whose peer closed its window with data in flight. No field of the socket tells the
/// older rules apart, and stable kernels mix them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProbeRule {
    /// No ACK, and retransmitting, for twice the largest RTO; or for TCP_USER_TIMEOUT.
    User,
    /// The same without TCP_USER_TIMEOUT.
    NoUser,
    /// No ACK for 120 s.
    Silence,
}

/// One timeout about to be judged.
pub(super) struct Hearing<'a> {
    pub view: &'a TimerView,
    pub rung: &'a Rung,
    pub probe_rule: ProbeRule,
    pub aim: Aim,
    pub firing: Firing,
    /// The clock at the handler, ns.
    pub clock_ns: Span<i64>,
    /// `retrans_stamp`, ns; none if nothing was retransmitted yet.
    pub start_ns: Option<Span<i64>>,
}

/// A limit that applies to a socket: whose it is, and the time it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    pub knob: Knob,
    pub value: Option<u32>,
    pub budget_ms: Option<u64>,
}

impl TimerView {
    /// The limit that decides at the next timeout; `None` if the kernel's arithmetic overflows.
    pub(super) fn limit(&self, knob: Knob, rto_jiffies: u64) -> Option<Limit> {
        let (value, budget_ms) = match knob {
            Knob::TcpUserTimeout => {
                let ms = self.user_timeout_ms.unwrap_or(0);
                (Some(ms), u64::from(ms))
            }
            Knob::TcpSynRetries | Knob::TcpSyncnt => {
                let retries = self.handshake_retries();
                (Some(retries), self.model_ms(retries, self.kernel.timeout_init_jiffies())?)
            }
            Knob::ZeroWindow => (None, self.kernel.jiffies_to_ms(2 * u64::from(self.rto_max_jiffies))),
            _ => {
                let retries = self.data_retries(rto_jiffies);
                (Some(retries), self.model_ms(retries, self.kernel.rto_min_jiffies())?)
            }
        };
        Some(Limit { knob, value, budget_ms: Some(budget_ms) })
    }

    fn model_ms(&self, retries: u32, base_jiffies: u32) -> Option<u64> {
        model_timeout_ms(self.kernel, retries, base_jiffies, self.rto_max_jiffies)
    }

    fn handshake_retries(&self) -> u32 {
        match self.syn_retries {
            0 => self.sysctls.syn_retries,
            own => u32::from(own),
        }
    }

    /// `retry_until` of `tcp_write_timeout` beyond the handshake.
    fn data_retries(&self, rto_jiffies: u64) -> u32 {
        if self.orphan {
            let alive = rto_jiffies < u64::from(self.rto_max_jiffies);
            orphan_retries(self.sysctls.orphan_retries, alive, self.soft_error)
        } else {
            self.sysctls.retries2
        }
    }
}

impl Hearing<'_> {
    /// The verdict, and the knob that it rests on.
    pub fn judge(&self) -> Option<(Verdict, Knob)> {
        if self.view.probes_window() { Some(self.judge_window_probe()) } else { self.judge_timeout() }
    }

    /// `tcp_write_timeout`
    fn judge_timeout(&self) -> Option<(Verdict, Knob)> {
        let view = self.view;
        let user_timeout_ms = view.user_timeout_ms.unwrap_or(0);
        if view.in_handshake() {
            let knob = if view.syn_retries == 0 { Knob::TcpSynRetries } else { Knob::TcpSyncnt };
            let retries = view.handshake_retries();
            let linear =
                if view.state == tcp_state::SYN_SENT { view.sysctls.syn_linear_timeouts } else { None };
            if self.rung.retransmits >= retries + linear.unwrap_or(0) {
                return Some((Verdict::Dies, knob));
            }
            if user_timeout_ms != 0 {
                return Some((self.timed_out(u64::from(user_timeout_ms)), Knob::TcpUserTimeout));
            }
            let limit = view.limit(knob, self.rung.rto)?;
            return Some((self.or_user_timeout(self.timed_out(limit.budget_ms?)), knob));
        }
        if user_timeout_ms != 0 {
            return Some((self.timed_out(u64::from(user_timeout_ms)), Knob::TcpUserTimeout));
        }
        let knob = if view.orphan { Knob::TcpOrphanRetries } else { Knob::TcpRetries2 };
        let limit = view.limit(knob, self.rung.rto)?;
        Some((self.or_user_timeout(self.timed_out(limit.budget_ms?)), knob))
    }

    /// A user timeout that we cannot read may strike at any timeout.
    fn or_user_timeout(&self, verdict: Verdict) -> Verdict {
        let hidden = self.view.user_timeout_ms.is_none() && self.aim == Aim::Bounds;
        if hidden { verdict.max(Verdict::May) } else { verdict }
    }

    /// `retransmits_timed_out(sk, boundary, timeout)`
    fn timed_out(&self, budget_ms: u64) -> Verdict {
        if self.rung.retransmits == 0 {
            return Verdict::Lives;
        }
        let slack_ns = if self.view.usec_ts { self.view.kernel.tick_ns() as i64 } else { 0 };
        self.elapsed_reaches(budget_ms as i64 * NS_PER_MS - slack_ns)
    }

    /// `tcp_rtx_probe0_timed_out` and its forebear.
    fn judge_window_probe(&self) -> (Verdict, Knob) {
        let view = self.view;
        let kernel = view.kernel;
        let silent_for = |at: Span<u64>, jiffies: u64| at_least(at, view.last_ack_jiffies + jiffies + 1);
        if self.probe_rule == ProbeRule::Silence {
            let verdict = silent_for(self.firing.runs, u64::from(kernel.rto_max_jiffies()));
            return (self.or_user_timeout(verdict), Knob::ZeroWindow);
        }
        let both = |limit_jiffies: u64| {
            // `rcv_delta` counts to the timer's expiry; `msecs_to_jiffies(rtx_delta) > limit`, in ms.
            let rtx_ms = (limit_jiffies * 1000 / u64::from(kernel.hz) + 1) as i64;
            silent_for(self.firing.expires, limit_jiffies).min(self.elapsed_reaches(rtx_ms * NS_PER_MS))
        };
        let cap = 2 * u64::from(view.rto_max_jiffies);
        let plain = both(cap);
        let user_timeout_ms = match self.probe_rule {
            ProbeRule::User => view.user_timeout_ms.unwrap_or(0),
            _ => 0,
        };
        if user_timeout_ms == 0 {
            return (self.or_user_timeout(plain), Knob::ZeroWindow);
        }
        let user = self
            .elapsed_reaches((i64::from(user_timeout_ms) + 1) * NS_PER_MS)
            .max(both(cap.min(kernel.ms_to_jiffies(u64::from(user_timeout_ms)))));
        (user.max(plain), if user > plain { Knob::TcpUserTimeout } else { Knob::ZeroWindow })
    }

    fn elapsed_reaches(&self, ns: i64) -> Verdict {
        match self.start_ns {
            Some(start) if self.clock_ns.lo - start.hi >= ns => Verdict::Dies,
            Some(start) if self.clock_ns.hi - start.lo >= ns => Verdict::May,
            _ => Verdict::Lives,
        }
    }
}

fn at_least(value: Span<u64>, limit: u64) -> Verdict {
    if value.lo >= limit {
        Verdict::Dies
    } else if value.hi >= limit {
        Verdict::May
    } else {
        Verdict::Lives
    }
}
