//! Runs the retransmission timer ahead until the kernel gives up: fire, decide, retransmit, back off, arm again
//! (`tcp_retransmit_timer`).

use super::{
    backoff::Backoff,
    firing::{Aim, Firing, Span, Timeline},
    view::{Thin, Timer, TimerView},
    write_timeout::{ProbeRule, TimedOut, Timeout},
};
use crate::{
    event::Knob,
    socket::{Jiffies, Nanos, StampClock},
};

/// A connection that retransmits more often than this (for days, every second) gets no forecast.
const MAX_RETRANSMISSIONS: u32 = 10_000;

/// After so many timeouts of which each may or may not be past TCP_USER_TIMEOUT we stop looking at each jiffy.
const MAX_DOUBTS: u32 = 3;

/// The end that the kernel makes.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenUp {
    /// When the handler that gives up runs.
    pub at: Span<Nanos>,
    /// What it gives up for.
    pub knob: Knob,
    /// Retransmissions before that.
    pub retransmissions: u32,
    /// The RTO of the next timeout.
    pub next_rto: Jiffies,
}

/// What the view leaves open, assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assumptions {
    pub thin: bool,
    pub probe_rule: ProbeRule,
}

struct Projection<'a> {
    view: &'a TimerView,
    assumptions: Assumptions,
    thin_rto: Option<Jiffies>,
    line: Timeline,
    /// `retrans_stamp`
    start: Option<Span<Nanos>>,
}

/// Runs until the kernel gives up; `None` if it never does, or beyond what can be computed.
pub(super) fn run(view: &TimerView, aim: Aim, assumptions: Assumptions) -> Option<GivenUp> {
    let line = Timeline { hz: view.hz, time: view.time, now: view.now, on_tick: view.on_tick, aim };
    let thin_rto = match view.thin {
        Thin::Yes(rto) | Thin::Unsure(rto) if assumptions.thin => Some(rto),
        _ => None,
    };
    let start = view.start.map(|start| start.span(aim));
    Projection { view, assumptions, thin_rto, line, start }.run()
}

impl Projection<'_> {
    fn run(&mut self) -> Option<GivenUp> {
        let view = self.view;
        let mut backoff = Backoff::of(view);
        backoff.rto = backoff.rto.max(Jiffies(1));
        let mut firing = self.first(&mut backoff);
        let next_rto = backoff.rto;
        let mut earliest = None;
        let mut doubts = 0;
        for retransmissions in 0..MAX_RETRANSMISSIONS {
            let clock = self.line.clock(firing.runs);
            let timeout = Timeout {
                view,
                backoff,
                probe_rule: self.assumptions.probe_rule,
                firing,
                clock,
                start: self.start,
            };
            let (timed_out, knob) = timeout.decide()?;
            if timed_out > TimedOut::No {
                earliest.get_or_insert(clock.lo);
            }
            let given_up_until = |hi| {
                let at = Span { lo: earliest.unwrap_or(clock.lo), hi };
                Some(GivenUp { at, knob, retransmissions, next_rto })
            };
            if timed_out == TimedOut::Yes {
                return given_up_until(clock.hi);
            }
            doubts += u32::from(timed_out == TimedOut::Maybe && knob == Knob::TcpUserTimeout);
            if doubts > MAX_DOUBTS {
                return given_up_until(self.user_timeout_ends(backoff.rto)?.max(clock.hi));
            }
            if self.start.is_none() {
                let stamp = |time| view.stamp_clock.cut(time);
                self.start = Some(Span { lo: stamp(clock.lo), hi: stamp(clock.hi) });
            }
            backoff.count(view);
            backoff.back_off(view, self.thin_rto);
            firing = self.arm(firing.runs, clock, backoff.rto, true);
        }
        None
    }

    /// The first timeout to come.
    fn first(&self, backoff: &mut Backoff) -> Firing {
        match self.view.timer {
            Timer::Expired { in_handler, dropped } => {
                let from = self.line.just_now();
                if dropped {
                    return self.line.arm(from, self.view.wait_after_drop(), in_handler);
                }
                backoff.back_off(self.view, self.thin_rto);
                self.arm(from, Span::point(self.view.time), backoff.rto, in_handler)
            }
            Timer::Armed { expires, delay, least_delay, in_handler } => {
                let delay = match self.line.aim {
                    Aim::Likeliest => Span::point(delay),
                    Aim::Bounds => Span { lo: least_delay, hi: delay },
                };
                self.line.fire(expires.span(self.line.aim), delay, in_handler)
            }
        }
    }

    /// The last moment at which TCP_USER_TIMEOUT can strike: every wait is cut to end there, so only the wheel's
    /// rounding of one RTO comes on top.
    fn user_timeout_ends(&self, rto: Jiffies) -> Option<Nanos> {
        let end = self.start?.hi + self.view.user_timeout?.to_nanos();
        let ahead = Jiffies((end - self.line.time).0 / self.line.hz.tick().0);
        let expires = self.line.now + ahead + Jiffies(3);
        let firing = self.line.fire(Span::point(expires), Span::point(rto), true);
        Some(self.line.clock(firing.runs).hi)
    }

    /// `tcp_reset_xmit_timer(sk, ICSK_TIME_RETRANS, tcp_clamp_rto_to_user_timeout(sk), false)`
    fn arm(&self, from: Span<Jiffies>, clock: Span<Nanos>, rto: Jiffies, in_handler: bool) -> Firing {
        let rto = rto.min(self.view.rto_max).max(Jiffies(1));
        let user_timeout = match self.view.user_timeout {
            // Rules that ignore it would have the timer fire in each jiffy once it has passed; the end is the same.
            Some(user_timeout) if self.assumptions.probe_rule == ProbeRule::User => user_timeout,
            _ => return self.line.arm(from, rto, in_handler),
        };
        let Some(start) = self.start else { return self.line.arm(from, rto, in_handler) };
        let delay = |clock: Nanos, start: Nanos| {
            // The kernel cuts what has elapsed to whole ms, of a stamp in ms both times before.
            let remaining = match self.view.stamp_clock {
                StampClock::Micros => (start + user_timeout.to_nanos() - clock).ceil_to_millis(),
                StampClock::Millis => start.cut_to_millis() + user_timeout - clock.cut_to_millis(),
            };
            rto.min(self.view.hz.msecs_to_jiffies(remaining)).max(Jiffies(1))
        };
        if self.line.aim == Aim::Likeliest {
            let delay = delay(clock.lo, start.lo);
            return self.line.fire(Span::point(from.lo + delay), Span::point(delay), in_handler);
        }
        // The later it is armed the shorter it is, so all of `from` leads to about one expiry; its ends, each
        // with the clock that fits it, bound that. A ms against a jiffy may cut off one more.
        let two_ticks = self.view.hz.tick() * 2;
        let one = Jiffies(1);
        let soonest = from.lo + delay(clock.lo + two_ticks, start.lo);
        let last = from.hi + delay(clock.hi - two_ticks, start.hi);
        let expires = Span { lo: (soonest - one).max(from.lo + one), hi: last.max(soonest) + one };
        let delays = Span { lo: delay(clock.hi, start.lo), hi: delay(clock.lo, start.hi) };
        self.line.fire(expires, delays, in_handler)
    }
}
