//! When a row of retransmission timers expires, with the timer wheel's rounding.

use crate::deadline::wheel::{Reach, fires_at};

/// Waits of one loss, one after another: perhaps that of a tail loss probe, then RTOs, each backed off by its exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Before the tail loss probe, jiffies; `None`: there was none.
    pub probe: Option<u64>,
    /// The RTO without backoff, jiffies.
    pub rto: u64,
    /// The most that it is backed off to, jiffies.
    pub rto_max: u64,
}

impl Waits {
    /// When the probe goes out, and each RTO of these backoff exponents expires, in jiffies. The first timer is armed in
    /// the jiffy `armed` by the sender, each further one by the handler of the one before (`tcp_rearm_rto`,
    /// `tcp_retransmit_timer`).
    pub fn expiries(self, armed: u64, backoffs: impl IntoIterator<Item = u8>) -> impl Iterator<Item = u64> {
        let (rto, rto_max) = (self.rto, self.rto_max.max(1));
        let doubled = |backoff: u8| 1_u64.checked_shl(backoff.into()).unwrap_or(u64::MAX);
        let backed_off = move |backoff: u8| rto.saturating_mul(doubled(backoff)).min(rto_max);
        let waits = self.probe.into_iter().chain(backoffs.into_iter().map(backed_off));
        waits.enumerate().scan(armed, |now, (at, wait)| {
            let wait = wait.max(1);
            let reach = if at == 0 { Reach::from_elsewhere(wait) } else { Reach::from_handler(wait) };
            *now = fires_at(*now + wait, reach);
            Some(*now)
        })
    }
}

/// The jiffy in which a timer was armed for `wait` that fired in `fired`: the likeliest, in the middle of those that the
/// wheel rounds to the same bucket.
pub fn armed_at(fired: u64, wait: u64) -> u64 {
    let fires_after = |armed: u64| fires_at(armed + wait, Reach::from_elsewhere(wait));
    let latest = fired.saturating_sub(wait + 1);
    let granularity = fires_after(latest + 1).saturating_sub(fired).max(1);
    latest.saturating_sub((granularity - 1) / 2)
}

/// Backoff exponents of RTOs in a row.
pub fn doubling(count: usize) -> impl Iterator<Item = u8> {
    (0..count).map(|n| u8::try_from(n).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = 30_000;

    #[test]
    fn an_observed_ladder() {
        // HZ 250: 51 jiffies fire a tick late, 102 at the next multiple of 8 (see `deadline::wheel`).
        let waits = Waits { probe: None, rto: 51, rto_max: MAX };
        assert_eq!(waits.expiries(1000, [0, 1]).collect::<Vec<_>>(), [1052, 1160]);
        let probed = Waits { probe: Some(51), ..waits };
        assert_eq!(probed.expiries(1000, [0]).collect::<Vec<_>>(), [1052, 1104]);
    }

    #[test]
    fn thin_streams_do_not_double_and_nothing_exceeds_the_maximum() {
        let waits = Waits { probe: None, rto: 20, rto_max: 50 };
        assert_eq!(waits.expiries(0, [0, 0, 0]).collect::<Vec<_>>(), [21, 42, 63]);
        assert_eq!(waits.expiries(0, [0, 1, 2, 200]).collect::<Vec<_>>(), [21, 62, 113, 164]);
    }

    proptest! {
        #[test]
        fn the_arming_is_found_again(armed in 10_000u64..1 << 40, wait in 1u64..40_000) {
            let waits = Waits { probe: None, rto: wait, rto_max: u64::MAX };
            let fired = waits.expiries(armed, [0]).next().expect("one");
            let found = armed_at(fired, wait);
            // To the wheel's granularity, which is an eighth at worst.
            prop_assert!(found.abs_diff(armed) <= wait / 8 + 1, "{found} for {armed}");
            if wait < 60 {
                prop_assert_eq!(found, armed);
            }
        }

        #[test]
        fn a_shorter_rto_is_never_later(armed in 0u64..1 << 40, rto in 1u64..5000, more in 0u64..5000, count in 1usize..12) {
            let last = |rto| Waits { probe: None, rto, rto_max: MAX }.expiries(armed, doubling(count)).last();
            prop_assert!(last(rto) <= last(rto + more));
        }
    }
}
