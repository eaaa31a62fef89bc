//! From "the timer is armed for so long" to "its handler runs then", as a point or as honest bounds.

use super::wheel::{Reach, fires_at};
use crate::socket::{Hz, Jiffies, Micros, Millis, Nanos};

/// How late the timer softirq may be without the forecast being wrong. It covers a busy machine, not a stalled one.
const LATE: Millis = Millis(20);
/// Between the probe's reading of `jiffies` and of the clock.
const PROBE: Nanos = Micros(100).to_nanos();
/// By how much `base->clk` may trail `jiffies` while expired timers wait for their softirq.
const CLK_BEHIND: Jiffies = Jiffies(2);

/// Bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span<T> {
    pub lo: T,
    pub hi: T,
}

impl<T: Copy> Span<T> {
    pub(super) fn point(value: T) -> Self {
        Self { lo: value, hi: value }
    }
}

/// One expiry of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Firing {
    /// What the timer was armed for (`timer->expires`).
    pub expires: Span<Jiffies>,
    /// When its handler runs.
    pub runs: Span<Jiffies>,
}

/// Do we want the likeliest course of events, or every possible one?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Likeliest,
    Bounds,
}

/// Ties jiffies to the clock through one moment at which both are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    pub hz: Hz,
    pub time: Nanos,
    pub now: Jiffies,
    /// The moment itself is a timer's firing, so it lies as close to its tick as the firings to come.
    pub on_tick: bool,
    pub aim: Aim,
}

impl Timeline {
    /// When a handler that runs in these jiffies reads the clock.
    ///
    /// The tick that began the moment's jiffy is up to one tick back. A moment that is itself a timer's firing
    /// is a little after its tick, as later firings will be; any other is, on average, half a tick after.
    pub(super) fn clock(&self, runs: Span<Jiffies>) -> Span<Nanos> {
        let tick = self.hz.tick();
        let at = |jiffies: Jiffies| self.time + tick * (jiffies - self.now).0;
        match self.aim {
            Aim::Likeliest => {
                let phase = if self.on_tick { Nanos(0) } else { tick / 2 };
                Span { lo: at(runs.lo) - phase, hi: at(runs.hi) - phase }
            }
            Aim::Bounds => {
                let error = tick + PROBE;
                Span { lo: at(runs.lo) - error, hi: at(runs.hi) + error }
            }
        }
    }

    /// The jiffies in which code runs that the probe saw a moment ago: the tick may come in between.
    pub(super) fn just_now(&self) -> Span<Jiffies> {
        match self.aim {
            Aim::Likeliest => Span::point(self.now),
            Aim::Bounds => Span { lo: self.now, hi: self.now + Jiffies(1) },
        }
    }

    /// A timer armed to expire within `expires`, for a delay within `delay`.
    pub(super) fn fire(&self, expires: Span<Jiffies>, delay: Span<Jiffies>, in_handler: bool) -> Firing {
        let runs = match self.aim {
            Aim::Likeliest => {
                let reach =
                    if in_handler { Reach::from_handler(delay.lo) } else { Reach::from_elsewhere(delay.lo) };
                Span::point(fires_at(expires.lo, reach))
            }
            Aim::Bounds => Span {
                lo: fires_at(expires.lo, Reach::from_handler(delay.lo)),
                hi: fires_at(expires.hi, Reach::from_elsewhere(delay.hi + CLK_BEHIND))
                    + self.hz.msecs_to_jiffies(LATE),
            },
        };
        // It may have expired before the moment, and wait for its bucket or for the softirq; but it still waits.
        let runs = Span { lo: runs.lo.max(self.now), hi: runs.hi.max(self.now) };
        Firing { expires, runs }
    }

    /// A timer armed `from` then for `delay`.
    pub(super) fn arm(&self, from: Span<Jiffies>, delay: Jiffies, in_handler: bool) -> Firing {
        let expires = Span { lo: from.lo + delay, hi: from.hi + delay };
        self.fire(expires, Span::point(delay), in_handler)
    }
}
