//! One loss that timers repaired, as it was, and as it would have been under another RTO floor.

use super::{
    estimator::Estimator,
    ladder::{Waits, doubling},
};

/// More timeouts than this within one recorded wait are counted as this many.
const MOST_TIMEOUTS: usize = 64;

/// A loss (or what the kernel took for one) after which a timer sent again: perhaps a tail loss probe first, then RTOs
/// until an answer came.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The estimator at the first timeout. It explains the RTO that the kernel had.
    pub estimator: Estimator,
    /// When the first timer was armed, jiffies: at the original transmission, or at the last ACK before the silence.
    pub armed_jiffies: u64,
    /// There was a tail loss probe first; was a single packet in flight?
    pub probe_of_one: Option<bool>,
    /// Backoff exponents of the RTOs that expired; empty: the probe repaired it.
    pub backoffs: Vec<u8>,
    /// When the last of these timers expired, jiffies: its retransmission is the one that was answered.
    pub repaired_jiffies: u64,
    /// From the arming to that retransmission, us.
    pub recovery_us: i64,
    /// From that retransmission to the first sign that it (or the original) had arrived, us; `None`: not seen.
    pub answer_us: Option<i64>,
    /// Was all of it unnecessary? `None`: the kernel does not tell.
    pub spurious: Option<bool>,
}

/// What would have become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The first RTO, jiffies.
    pub rto_jiffies: u64,
    /// How much sooner it is repaired if the same transmissions get lost as did, us; negative: later.
    pub sooner_us: i64,
    /// Further retransmissions if not single packets got lost, but the path was dead until the recorded repair.
    pub more_at_most: u8,
    /// Further retransmissions that would have been in vain: on their way while the answer was, too.
    pub more_in_vain: u8,
}

impl Loss {
    fn waits(&self, floor_us: u64) -> Waits {
        let estimator = &self.estimator;
        Waits {
            probe: self.probe_of_one.map(|one_packet| estimator.probe_jiffies(floor_us, one_packet)),
            rto: estimator.rto_jiffies(floor_us),
            rto_max: estimator.rto_max_jiffies,
        }
    }

    fn tick_us(&self) -> i64 {
        (self.estimator.kernel.tick_ns() / 1000) as i64
    }

    /// Timers that expired.
    pub fn timeouts(&self) -> usize {
        usize::from(self.probe_of_one.is_some()) + self.backoffs.len()
    }

    fn repaired_at(&self, floor_us: u64) -> u64 {
        let expiries = self.waits(floor_us).expiries(self.armed_jiffies, self.backoffs.iter().copied());
        expiries.last().unwrap_or(self.armed_jiffies)
    }

    /// Timeouts strictly before a jiffy, if nothing is answered.
    fn timeouts_before(&self, floor_us: u64, jiffies: u64) -> usize {
        let expiries = self.waits(floor_us).expiries(self.armed_jiffies, doubling(MOST_TIMEOUTS));
        expiries.take_while(|&at| at < jiffies).count()
    }

    /// With this floor instead of the one in force.
    pub fn at_floor(&self, floor_us: u64) -> Outcome {
        let now = self.repaired_at(self.estimator.floor_us);
        let then = self.repaired_at(floor_us);
        let sooner_us = (now as i64 - then as i64) * self.tick_us();
        let vain = self.timeouts_in_vain(floor_us);
        let more_at_most = if self.spurious == Some(true) {
            vain
        } else {
            let before = self.timeouts_before(floor_us, self.repaired_jiffies);
            let before_now = self.timeouts_before(self.estimator.floor_us, self.repaired_jiffies);
            before.saturating_sub(before_now)
        };
        Outcome {
            rto_jiffies: self.estimator.rto_jiffies(floor_us),
            sooner_us,
            more_at_most: more_at_most.min(MOST_TIMEOUTS) as u8,
            more_in_vain: vain.min(MOST_TIMEOUTS) as u8,
        }
    }

    /// Further timeouts that expire while the answer is on its way, compared with the present floor.
    fn timeouts_in_vain(&self, floor_us: u64) -> usize {
        let answer_jiffies = (self.answer_us.unwrap_or(0).max(0) / self.tick_us().max(1)) as u64;
        let count = |floor_us: u64| {
            let (expected, answered) = if self.spurious == Some(true) {
                // The original had arrived: the answer came when it came, whatever was sent again.
                (0, self.repaired_jiffies + answer_jiffies)
            } else {
                (self.timeouts(), self.repaired_at(floor_us) + answer_jiffies)
            };
            self.timeouts_before(floor_us, answered).saturating_sub(expected)
        };
        count(floor_us).saturating_sub(count(self.estimator.floor_us))
    }

    /// Does the RTO under this floor leave a peer that delays its ACK by so much no time?
    pub fn outrun_by_delayed_ack(&self, floor_us: u64, delay_us: u64) -> bool {
        let estimator = &self.estimator;
        estimator.rto_jiffies(floor_us) <= estimator.kernel.us_to_jiffies(estimator.srtt_us + delay_us)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{advise::estimator::FloorSource, socket::jiffies::Kernel};

    fn estimator() -> Estimator {
        Estimator {
            kernel: Kernel::new(250),
            srtt_us: 300,
            rttvar_us: 200_000,
            mdev_us: 100,
            floor_us: 200_000,
            source: FloorSource::Shown,
            rto_max_jiffies: 30_000,
        }
    }

    /// As many RTOs, at HZ 250, of a connection without variance.
    fn loss(timeouts: u8) -> Loss {
        let waits = Waits { probe: None, rto: 51, rto_max: 30_000 };
        let repaired_jiffies = waits.expiries(1000, 0..timeouts).last().expect("one");
        Loss {
            estimator: estimator(),
            armed_jiffies: 1000,
            probe_of_one: None,
            backoffs: (0..timeouts).collect(),
            repaired_jiffies,
            recovery_us: (repaired_jiffies as i64 - 1000) * 4000 - 2000,
            answer_us: Some(300),
            spurious: Some(false),
        }
    }

    #[test]
    fn the_present_floor_changes_nothing() {
        for timeouts in 1..5 {
            let loss = loss(timeouts);
            let outcome = loss.at_floor(200_000);
            let same = Outcome { rto_jiffies: 51, sooner_us: 0, more_at_most: 0, more_in_vain: 0 };
            assert_eq!(outcome, same);
        }
    }

    #[test]
    fn a_quarter_of_the_floor_repairs_sooner() {
        // 51+1 jiffies become 14+1.
        let once = loss(1).at_floor(52_000);
        assert_eq!((once.rto_jiffies, once.sooner_us), (14, 37 * 4000));
        // At 15 and 44 jiffies of the 52 that the path may have been dead for; a third repairs it.
        assert_eq!((once.more_at_most, once.more_in_vain), (2, 0));
        let twice = loss(2);
        assert_eq!(twice.recovery_us, 638_000);
        // 15, then 28 + 1 from the handler, not 160.
        assert_eq!(twice.at_floor(52_000).sooner_us, (160 - 44) * 4000);
    }

    #[test]
    fn a_higher_floor_repairs_later() {
        let outcome = loss(1).at_floor(400_000);
        assert!(outcome.sooner_us < 0 && outcome.more_at_most == 0 && outcome.more_in_vain == 0);
    }

    #[test]
    fn a_late_answer_makes_retransmissions_in_vain() {
        let late = Loss { answer_us: Some(190_000), ..loss(1) };
        assert_eq!(late.at_floor(200_000).more_in_vain, 0, "the next RTO is 408 ms away");
        // Repaired at 15; the next RTOs expire at 44 and 104; the answer comes at 15 + 47.
        assert_eq!(late.at_floor(52_000).more_in_vain, 1);
        let spurious = Loss { spurious: Some(true), ..late };
        // The answer comes after 52 + 47 jiffies whatever happens: one in vain now, then two (15, 44).
        assert_eq!(spurious.at_floor(52_000).more_in_vain, 1);
        assert_eq!(
            spurious.at_floor(12_000).more_in_vain,
            3,
            "at 5, 14, 32 and 72 (wheel's rounding included)"
        );
    }

    #[test]
    fn a_probe_waits_for_the_floor_too() {
        let probe =
            Loss { probe_of_one: Some(true), backoffs: Vec::new(), repaired_jiffies: 1052, ..loss(1) };
        assert_eq!(probe.at_floor(52_000).sooner_us, 37 * 4000);
        let of_many = Loss { probe_of_one: Some(false), ..probe };
        assert_eq!(of_many.at_floor(52_000).sooner_us, 0);
    }

    #[test]
    fn delayed_acks() {
        assert!(!loss(1).outrun_by_delayed_ack(200_000, 40_000));
        assert!(!loss(1).outrun_by_delayed_ack(52_000, 40_000));
        assert!(loss(1).outrun_by_delayed_ack(40_000, 40_000));
    }

    proptest! {
        #[test]
        fn the_lower_the_sooner_and_the_more(timeouts in 1u8..6, low in 1u64..400_000, more in 0u64..400_000, answer_us in 0i64..2_000_000, spurious in any::<bool>()) {
            let loss = Loss { answer_us: Some(answer_us), spurious: Some(spurious), ..loss(timeouts) };
            let (lower, higher) = (loss.at_floor(low), loss.at_floor(low + more));
            prop_assert!(lower.sooner_us >= higher.sooner_us);
            prop_assert!(lower.more_at_most >= higher.more_at_most);
            prop_assert!(lower.more_in_vain >= higher.more_in_vain || !spurious);
            prop_assert!(lower.sooner_us < loss.recovery_us, "not before it was sent");
        }
    }
}
