//! The timer wheel's rounding (`kernel/time/timer.c`, `calc_wheel_index` and `calc_index`), exact in jiffies.
//!
//! A timer is put into one of 64 buckets of a level that is as coarse as the timer is far away: one jiffy up to
//! 62 jiffies ahead, then 8, 64, 512, 4096. It fires when its bucket does, and is never moved to a finer level
//! on the way. Buckets are multiples of the granularity on the absolute jiffies scale, so with `jiffies` at
//! the moment of arming the firing is a point and no guess. The rounding is always up, by up to an eighth.
//!
//! "How far away" counts from `base->clk`, not from `jiffies`. While timers run, `base->clk` is one ahead of
//! the jiffy that is being processed (`__run_timers` increments it before it calls the handlers), so a handler
//! that re-arms its own timer is one jiffy nearer. Elsewhere `forward_timer_base` brings `base->clk` up to
//! `jiffies`, or only up to the oldest timer that is due and has not run yet. Both matter only when the
//! distance is at a level's edge (63, 504, 4032, ... jiffies); [`Reach`] carries the difference.

use crate::socket::Jiffies;

/// `LVL_BITS`-wide levels: 64 buckets each, of which one is never used ahead.
const LEVEL_BUCKETS_AHEAD: u64 = 63;
/// `LVL_CLK_SHIFT`: each level is eight times as coarse as the one below.
const LEVEL_SHIFT: u32 = 3;
/// `LVL_DEPTH - 1` where HZ <= 100; deeper levels begin at 36 hours, beyond every TCP timer.
const TOP_LEVEL: u32 = 7;

/// How far ahead of `base->clk` a timer expires when it is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reach(Jiffies);

impl Reach {
    /// A timer armed for `delay` jiffies by its own handler: `base->clk` is `jiffies + 1`.
    pub(crate) fn from_handler(delay: Jiffies) -> Self {
        Self(delay - Jiffies(1))
    }

    /// A timer armed for `delay` jiffies from anywhere else: `base->clk` is `jiffies`.
    pub(crate) fn from_elsewhere(delay: Jiffies) -> Self {
        Self(delay)
    }

    fn level(self) -> u32 {
        (0..TOP_LEVEL)
            .find(|level| self.0.0 < LEVEL_BUCKETS_AHEAD << (level * LEVEL_SHIFT))
            .unwrap_or(TOP_LEVEL)
    }
}

/// The jiffy in which a timer fires that was armed to expire at `expires`.
pub(crate) fn fires_at(expires: Jiffies, reach: Reach) -> Jiffies {
    let shift = reach.level() * LEVEL_SHIFT;
    Jiffies(((expires.0 >> shift) + 1) << shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Reach;
    use crate::socket::Jiffies;

    fn fires_at(expires: u64, reach: Reach) -> u64 {
        super::fires_at(Jiffies(expires), reach).0
    }

    #[test]
    fn levels_begin_where_the_kernel_says() {
        // calc_wheel_index: delta < LVL_START(n) = 63 << (3 * (n - 1))
        for (delta, gran) in [
            (0, 1),
            (62, 1),
            (63, 8),
            (503, 8),
            (504, 64),
            (4031, 64),
            (4032, 512),
            (32_255, 512),
            (32_256, 4096),
        ] {
            let now = 4096 * 1000;
            let fires = fires_at(now + delta, Reach(Jiffies(delta)));
            assert_eq!(fires % gran, 0, "delta {delta}");
            assert!(fires > now + delta && fires - (now + delta) <= gran, "delta {delta}");
        }
    }

    #[test]
    fn an_observed_socket_at_hz_250() {
        // RTO of 51 jiffies fires one jiffy late; 102 is rounded to the next multiple of 8.
        assert_eq!(fires_at(1000 + 51, Reach::from_handler(Jiffies(51))), 1052);
        assert_eq!(fires_at(1052 + 102, Reach::from_handler(Jiffies(102))), 1160);
        // 63 from the handler is still within level 0, from elsewhere no more.
        assert_eq!(fires_at(1000 + 63, Reach::from_handler(Jiffies(63))), 1064);
        assert_eq!(fires_at(1001 + 63, Reach::from_elsewhere(Jiffies(63))), 1072);
    }

    proptest! {
        #[test]
        fn never_early_and_monotonic(now in 0u64..1 << 40, delay in 1u64..200_000, later in 0u64..5000) {
            let fires = fires_at(now + delay, Reach(Jiffies(delay)));
            prop_assert!(fires > now + delay);
            prop_assert!(fires_at(now + later + delay, Reach(Jiffies(delay))) >= fires);
            prop_assert!(fires_at(now + delay, Reach(Jiffies(delay + later))) >= fires);
            prop_assert!((fires - now - delay) * 7 <= delay.max(7) + 7, "{delay} -> {}", fires - now);
        }
    }
}
