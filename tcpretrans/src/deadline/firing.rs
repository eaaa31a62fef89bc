//! From "the timer is armed for so long" to "its handler runs then", as a point or as honest bounds.

use super::wheel::{Reach, fires_at};
use crate::socket::jiffies::Kernel;

/// How late the timer softirq may be without the forecast being wrong. It covers a busy machine, not a stalled one.
const LATE_MS: u64 = 20;
/// Between the probe's reading of `jiffies` and of the clock.
const PROBE_NS: i64 = 100_000;
/// By how many jiffies `base->clk` may trail `jiffies` while expired timers wait for their softirq.
const CLK_BEHIND_JIFFIES: u64 = 2;

/// Bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span<T> {
    pub lo: T,
    pub hi: T,
}

impl<T: Copy> Span<T> {
    pub fn point(value: T) -> Self {
        Self { lo: value, hi: value }
    }
}

/// One expiry of a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Firing {
    /// What the timer was armed for (`timer->expires`), jiffies.
    pub expires: Span<u64>,
    /// When its handler runs, jiffies.
    pub runs: Span<u64>,
}

/// Do we want the likeliest course of events, or every possible one?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    Likeliest,
    Bounds,
}

/// Ties jiffies to nanoseconds through one moment at which both are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    pub kernel: Kernel,
    pub mono_ns: u64,
    pub jiffies: u64,
    pub jiffies_error: u64,
    /// The moment itself is a timer's firing, so it lies as close to its tick as the firings to come.
    pub on_tick: bool,
    pub aim: Aim,
}

impl Timeline {
    /// When a handler that runs in these jiffies reads the clock, ns.
    ///
    /// The tick that began the moment's jiffy is up to one tick back. A moment that is itself a timer's firing
    /// is a little after its tick, as later firings will be; any other is, on average, half a tick after.
    pub fn clock_ns(&self, runs: Span<u64>) -> Span<i64> {
        let tick = self.kernel.tick_ns() as i64;
        let at = |jiffies: u64| self.mono_ns as i64 + (jiffies as i64 - self.jiffies as i64) * tick;
        match self.aim {
            Aim::Likeliest => {
                let phase = if self.on_tick { 0 } else { tick / 2 };
                Span { lo: at(runs.lo) - phase, hi: at(runs.hi) - phase }
            }
            Aim::Bounds => {
                let error = self.jiffies_error as i64 * tick + PROBE_NS;
                Span { lo: at(runs.lo) - tick - error, hi: at(runs.hi) + tick + error }
            }
        }
    }

    /// The jiffies in which code runs that the probe saw a moment ago: the tick may come in between.
    pub fn just_now(&self) -> Span<u64> {
        match self.aim {
            Aim::Likeliest => Span::point(self.jiffies),
            Aim::Bounds => Span { lo: self.jiffies, hi: self.jiffies + 1 },
        }
    }

    /// A timer armed to expire within `expires`, for a delay within `delay`.
    pub fn fire(&self, expires: Span<u64>, delay: Span<u64>, in_handler: bool) -> Firing {
        let runs = match self.aim {
            Aim::Likeliest => {
                let reach =
                    if in_handler { Reach::from_handler(delay.lo) } else { Reach::from_elsewhere(delay.lo) };
                Span::point(fires_at(expires.lo, reach))
            }
            Aim::Bounds => {
                let late = self.kernel.ms_to_jiffies(LATE_MS);
                Span {
                    lo: fires_at(expires.lo, Reach::from_handler(delay.lo)),
                    hi: fires_at(expires.hi, Reach::from_elsewhere(delay.hi + CLK_BEHIND_JIFFIES)) + late,
                }
            }
        };
        // It may have expired before the moment, and wait for its bucket or for the softirq; but it still waits.
        let runs = Span { lo: runs.lo.max(self.jiffies), hi: runs.hi.max(self.jiffies) };
        Firing { expires, runs }
    }

    /// A timer armed `from` then for `delay` jiffies.
    pub fn arm(&self, from: Span<u64>, delay: u64, in_handler: bool) -> Firing {
        let expires = Span { lo: from.lo + delay, hi: from.hi + delay };
        self.fire(expires, Span::point(delay), in_handler)
    }
}
