//! When a row of retransmission timers expires, with the timer wheel's rounding.

use crate::{
    deadline::wheel::{Reach, fires_at},
    socket::Jiffies,
};

/// Waits of one loss, one after another: perhaps that of a tail loss probe, then RTOs, each backed off by its exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waits {
    /// Before the tail loss probe; `None`: there was none.
    pub probe: Option<Jiffies>,
    /// The RTO without backoff.
    pub rto: Jiffies,
    /// The most that it is backed off to.
    pub rto_max: Jiffies,
}

impl Waits {
    /// When the probe goes out, and each RTO of these backoff exponents expires. The first timer is armed in
    /// the jiffy `armed` by the sender, each further one by the handler of the one before (`tcp_rearm_rto`,
    /// `tcp_retransmit_timer`).
    pub(super) fn expiries(
        self,
        armed: Jiffies,
        backoffs: impl IntoIterator<Item = u8>,
    ) -> impl Iterator<Item = Jiffies> {
        let (rto, rto_max) = (self.rto, self.rto_max.max(Jiffies(1)));
        let doubled = |backoff: u8| 1_u64.checked_shl(backoff.into()).unwrap_or(u64::MAX);
        let backed_off = move |backoff: u8| (rto * doubled(backoff)).min(rto_max);
        let waits = self.probe.into_iter().chain(backoffs.into_iter().map(backed_off));
        waits.enumerate().scan(armed, |now, (at, wait)| {
            let wait = wait.max(Jiffies(1));
            let reach = if at == 0 { Reach::from_elsewhere(wait) } else { Reach::from_handler(wait) };
            *now = fires_at(*now + wait, reach);
            Some(*now)
        })
    }
}

/// The jiffy in which a timer was armed for `wait` that fired in `fired`: the likeliest, in the middle of those that the
/// wheel rounds to the same bucket.
pub(super) fn armed_at(fired: Jiffies, wait: Jiffies) -> Jiffies {
    let one = Jiffies(1);
    let fires_after = |armed: Jiffies| fires_at(armed + wait, Reach::from_elsewhere(wait));
    let latest = fired - (wait + one);
    let granularity = (fires_after(latest + one) - fired).max(one);
    latest - (granularity - one) / 2
}

/// Backoff exponents of RTOs in a row.
pub(super) fn doubling(count: usize) -> impl Iterator<Item = u8> {
    (0..count).map(|n| u8::try_from(n).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: u64 = 30_000;

    fn waits(probe: Option<u64>, rto: u64, rto_max: u64) -> Waits {
        Waits { probe: probe.map(Jiffies), rto: Jiffies(rto), rto_max: Jiffies(rto_max) }
    }

    fn expiries(waits: Waits, armed: u64, backoffs: impl IntoIterator<Item = u8>) -> Vec<u64> {
        waits.expiries(Jiffies(armed), backoffs).map(|at| at.0).collect()
    }

    #[test]
    fn observed_expiries() {
        // HZ 250: 51 jiffies fire a tick late, 102 at the next multiple of 8 (see `deadline::wheel`).
        let waits = waits(None, 51, MAX);
        assert_eq!(expiries(waits, 1000, [0, 1]), [1052, 1160]);
        let probed = Waits { probe: Some(Jiffies(51)), ..waits };
        assert_eq!(expiries(probed, 1000, [0]), [1052, 1104]);
    }

    #[test]
    fn thin_streams_do_not_double_and_nothing_exceeds_the_maximum() {
        let waits = waits(None, 20, 50);
        assert_eq!(expiries(waits, 0, [0, 0, 0]), [21, 42, 63]);
        assert_eq!(expiries(waits, 0, [0, 1, 2, 200]), [21, 62, 113, 164]);
    }

    proptest! {
        #[test]
        fn the_arming_is_found_again(armed in 10_000u64..1 << 40, wait in 1u64..40_000) {
            let waits = waits(None, wait, u64::MAX);
            let fired = expiries(waits, armed, [0])[0];
            let found = armed_at(Jiffies(fired), Jiffies(wait)).0;
            // To the wheel's granularity, which is an eighth at worst.
            prop_assert!(found.abs_diff(armed) <= wait / 8 + 1, "{found} for {armed}");
            if wait < 60 {
                prop_assert_eq!(found, armed);
            }
        }

        #[test]
        fn a_shorter_rto_is_never_later(armed in 0u64..1 << 40, rto in 1u64..5000, more in 0u64..5000, count in 1usize..12) {
            let last = |rto| expiries(waits(None, rto, MAX), armed, doubling(count)).pop();
            prop_assert!(last(rto) <= last(rto + more));
        }
    }
}
