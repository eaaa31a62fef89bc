//! Does a timeout end the connection? `tcp_write_timeout`, and `tcp_rtx_probe0_timed_out` for a closed window.

use super::{
    backoff::Backoff,
    budget::{model_timeout, orphan_retries},
    firing::{Firing, Span},
    view::TimerView,
};
use crate::{
    event::Knob,
    socket::{Jiffies, Millis, Nanos, StampClock, TcpState},
};

/// Has the connection timed out?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimedOut {
    No,
    /// Within the bounds of what we know both may be so.
    Maybe,
    Yes,
}

/// What ends a connection whose peer closed its window with data in flight. No field of the socket shows the
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

/// One timeout that is to be decided.
pub(super) struct Timeout<'a> {
    pub view: &'a TimerView,
    pub backoff: Backoff,
    pub probe_rule: ProbeRule,
    pub firing: Firing,
    /// The clock at the handler.
    pub clock: Span<Nanos>,
    /// `retrans_stamp`; none if nothing was retransmitted yet.
    pub start: Option<Span<Nanos>>,
}

/// The limit behind a knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit {
    /// The knob's value; `None`: it is no number.
    pub value: Option<u32>,
    /// The time that it stands for.
    pub budget: Millis,
}

impl TimerView {
    /// The limit that decides at the next timeout; `None` if the kernel's arithmetic overflows.
    pub(super) fn limit(&self, knob: Knob, rto: Jiffies) -> Option<Limit> {
        let (value, budget) = match knob {
            Knob::TcpUserTimeout => {
                let timeout = self.user_timeout?;
                (u32::try_from(timeout.0).ok(), timeout)
            }
            Knob::TcpSynRetries | Knob::TcpSyncnt => {
                let retries = self.handshake_retries();
                (Some(retries), self.model_timeout(retries, self.hz.timeout_init())?)
            }
            Knob::ZeroWindow => (None, self.hz.jiffies_to_msecs(self.rto_max * 2)),
            _ => {
                let retries = self.data_retries(rto);
                (Some(retries), self.model_timeout(retries, self.hz.rto_min())?)
            }
        };
        Some(Limit { value, budget })
    }

    fn model_timeout(&self, retries: u32, base: Jiffies) -> Option<Millis> {
        model_timeout(self.hz, retries, base, self.rto_max)
    }

    fn handshake_retries(&self) -> u32 {
        self.own_syn_retries.unwrap_or(self.sysctls.syn_retries)
    }

    /// `retry_until` of `tcp_write_timeout` beyond the handshake.
    fn data_retries(&self, rto: Jiffies) -> u32 {
        if self.orphan {
            orphan_retries(self.sysctls.orphan_retries, rto < self.rto_max, self.soft_error)
        } else {
            self.sysctls.retries2
        }
    }

    /// Has it passed `tcp_retries1`? From then on the kernel doubts the path at each RTO: it probes for a smaller
    /// MTU where allowed, looks its route up again, and lets go of a redirected or expiring one
    /// (`tcp_write_timeout`).
    pub fn past_retries1(&self) -> bool {
        !self.state.in_handshake()
            && self.retransmits > 0
            && self.start.is_some()
            && self
                .model_timeout(self.sysctls.retries1, self.hz.rto_min())
                .is_some_and(|budget| self.elapsed() >= budget)
    }
}

impl Timeout<'_> {
    /// The decision, and the knob that it rests on.
    pub(super) fn decide(&self) -> Option<(TimedOut, Knob)> {
        if self.view.probes_window() { Some(self.rtx_probe0_timed_out()) } else { self.write_timeout() }
    }

    /// `tcp_write_timeout`
    fn write_timeout(&self) -> Option<(TimedOut, Knob)> {
        let view = self.view;
        let knob = match (view.state.in_handshake(), view.own_syn_retries) {
            (true, None) => Knob::TcpSynRetries,
            (true, Some(_)) => Knob::TcpSyncnt,
            (false, _) if view.orphan => Knob::TcpOrphanRetries,
            (false, _) => Knob::TcpRetries2,
        };
        if view.state.in_handshake() {
            let linear = match view.state {
                TcpState::SynSent => view.sysctls.syn_linear_timeouts.unwrap_or(0),
                _ => 0,
            };
            if self.backoff.retransmits >= view.handshake_retries() + linear {
                return Some((TimedOut::Yes, knob));
            }
        }
        match view.user_timeout {
            Some(user_timeout) => Some((self.retransmits_timed_out(user_timeout), Knob::TcpUserTimeout)),
            None => Some((self.retransmits_timed_out(view.limit(knob, self.backoff.rto)?.budget), knob)),
        }
    }

    /// `retransmits_timed_out(sk, boundary, timeout)`
    fn retransmits_timed_out(&self, budget: Millis) -> TimedOut {
        if self.backoff.retransmits == 0 {
            return TimedOut::No;
        }
        let slack = match self.view.stamp_clock {
            StampClock::Micros => self.view.hz.tick(),
            StampClock::Millis => Nanos(0),
        };
        self.elapsed_reaches(budget.to_nanos(), slack)
    }

    /// `tcp_rtx_probe0_timed_out`, and what was there before it.
    fn rtx_probe0_timed_out(&self) -> (TimedOut, Knob) {
        let view = self.view;
        let silent_for = |at: Span<Jiffies>, wait: Jiffies| at_least(at, view.last_ack + wait + Jiffies(1));
        if self.probe_rule == ProbeRule::Silence {
            return (silent_for(self.firing.runs, view.hz.rto_max()), Knob::ZeroWindow);
        }
        let both = |limit: Jiffies| {
            // `rcv_delta` counts to the timer's expiry; `msecs_to_jiffies(rtx_delta) > limit`.
            let beyond = view.hz.jiffies_to_usecs(limit).cut_to_millis() + Millis(1);
            silent_for(self.firing.expires, limit).min(self.elapsed_reaches(beyond.to_nanos(), Nanos(0)))
        };
        let cap = view.rto_max * 2;
        let plain = both(cap);
        let user_timeout = match view.user_timeout {
            Some(user_timeout) if self.probe_rule == ProbeRule::User => user_timeout,
            _ => return (plain, Knob::ZeroWindow),
        };
        let user = self
            .elapsed_reaches((user_timeout + Millis(1)).to_nanos(), Nanos(0))
            .max(both(cap.min(view.hz.msecs_to_jiffies(user_timeout))));
        (user.max(plain), if user > plain { Knob::TcpUserTimeout } else { Knob::ZeroWindow })
    }

    /// Since `retrans_stamp`, with so much slack in favour of the timeout.
    fn elapsed_reaches(&self, limit: Nanos, slack: Nanos) -> TimedOut {
        match self.start {
            Some(start) if self.clock.lo + slack >= start.hi + limit => TimedOut::Yes,
            Some(start) if self.clock.hi + slack >= start.lo + limit => TimedOut::Maybe,
            _ => TimedOut::No,
        }
    }
}

fn at_least(value: Span<Jiffies>, limit: Jiffies) -> TimedOut {
    if value.lo >= limit {
        TimedOut::Yes
    } else if value.hi >= limit {
        TimedOut::Maybe
    } else {
        TimedOut::No
    }
}
