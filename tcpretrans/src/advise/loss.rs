//! One loss that timers repaired, as it was, and as it would have been under another RTO floor.

use super::{
    distribution::signed_us,
    estimator::Estimator,
    expiries::{Waits, doubling},
};
use crate::socket::{Jiffies, Micros};

/// More timeouts than this within one recorded wait are counted as this many.
const MOST_TIMEOUTS: usize = 64;

/// A loss (or what the kernel took for one) after which a timer sent again: perhaps a tail loss probe first, then RTOs
/// until an answer came.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loss {
    /// The estimator at the first timeout. It explains the RTO that the kernel had.
    pub estimator: Estimator,
    /// When the first timer was armed: at the original transmission, or at the last ACK before it.
    pub armed: Jiffies,
    /// There was a tail loss probe first; was a single packet in flight?
    pub probe_of_one: Option<bool>,
    /// Backoff exponents of the RTOs that expired; empty: the probe repaired it.
    pub backoffs: Vec<u8>,
    /// When the last of these timers expired: its retransmission is the one that was answered.
    pub repaired: Jiffies,
    /// From the arming to that retransmission.
    pub recovery: Micros,
    /// From that retransmission to the first sign that it (or the original) had arrived; `None`: not seen.
    pub answer: Option<Micros>,
    /// Was all of it spurious? `None`: the kernel does not report it.
    pub spurious: Option<bool>,
}

/// What would have become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LossOutcome {
    /// The first RTO.
    pub rto: Jiffies,
    /// How much sooner it is repaired if the same transmissions get lost as did, us; negative: later.
    pub sooner_us: i64,
    /// Further retransmissions if not single packets got lost, but the path was dead until the recorded repair.
    pub more_at_most: u8,
    /// Further retransmissions that would have been spurious: sent while the ACK was on its way.
    pub more_in_vain: u8,
}

impl Loss {
    fn waits(&self, floor: Micros) -> Waits {
        let estimator = &self.estimator;
        Waits {
            probe: self.probe_of_one.map(|one_packet| estimator.probe_wait(floor, one_packet)),
            rto: estimator.rto(floor),
            rto_max: estimator.rto_max,
        }
    }

    /// Timers that expired.
    pub(super) fn timeouts(&self) -> usize {
        usize::from(self.probe_of_one.is_some()) + self.backoffs.len()
    }

    fn repaired_at(&self, floor: Micros) -> Jiffies {
        let expiries = self.waits(floor).expiries(self.armed, self.backoffs.iter().copied());
        expiries.last().unwrap_or(self.armed)
    }

    /// Timeouts strictly before a jiffy, if nothing is answered.
    fn timeouts_before(&self, floor: Micros, now: Jiffies) -> usize {
        let expiries = self.waits(floor).expiries(self.armed, doubling(MOST_TIMEOUTS));
        expiries.take_while(|&at| at < now).count()
    }

    /// With this floor instead of the one in force.
    pub(super) fn at_floor(&self, floor: Micros) -> LossOutcome {
        let now = self.repaired_at(self.estimator.floor);
        let then = self.repaired_at(floor);
        let us = |jiffies| signed_us(self.estimator.hz.jiffies_to_usecs(jiffies));
        // One of the two is zero.
        let sooner_us = us(now - then) - us(then - now);
        let vain = self.timeouts_in_vain(floor);
        let more_at_most = if self.spurious == Some(true) {
            vain
        } else {
            let before = self.timeouts_before(floor, self.repaired);
            let before_now = self.timeouts_before(self.estimator.floor, self.repaired);
            before.saturating_sub(before_now)
        };
        LossOutcome {
            rto: self.estimator.rto(floor),
            sooner_us,
            more_at_most: more_at_most.min(MOST_TIMEOUTS) as u8,
            more_in_vain: vain.min(MOST_TIMEOUTS) as u8,
        }
    }

    /// Further timeouts that expire while the answer is on its way, compared with the present floor.
    fn timeouts_in_vain(&self, floor: Micros) -> usize {
        let tick = self.estimator.hz.tick();
        let answer = Jiffies(self.answer.unwrap_or_default().to_nanos().0 / tick.0);
        let count = |floor: Micros| {
            let (expected, answered) = if self.spurious == Some(true) {
                // The original had arrived: the answer came when it came, whatever was sent again.
                (0, self.repaired + answer)
            } else {
                (self.timeouts(), self.repaired_at(floor) + answer)
            };
            self.timeouts_before(floor, answered).saturating_sub(expected)
        };
        count(floor).saturating_sub(count(self.estimator.floor))
    }

    /// Does the RTO under this floor leave a peer that delays its ACK by so much no time?
    pub(super) fn outrun_by_delayed_ack(&self, floor: Micros, delay: Micros) -> bool {
        let estimator = &self.estimator;
        estimator.rto(floor) <= estimator.hz.usecs_to_jiffies(estimator.srtt + delay)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{advise::estimator::FloorSource, socket::Hz};

    fn estimator() -> Estimator {
        Estimator {
            hz: Hz::new(250),
            srtt: Micros(300),
            rttvar: Micros(200_000),
            mdev: Micros(100),
            floor: Micros(200_000),
            source: FloorSource::Shown,
            rto_max: Jiffies(30_000),
        }
    }

    /// As many RTOs, at HZ 250, of a connection without variance.
    fn loss(timeouts: u8) -> Loss {
        let waits = Waits { probe: None, rto: Jiffies(51), rto_max: Jiffies(30_000) };
        let repaired = waits.expiries(Jiffies(1000), 0..timeouts).last().expect("one");
        Loss {
            estimator: estimator(),
            armed: Jiffies(1000),
            probe_of_one: None,
            backoffs: (0..timeouts).collect(),
            repaired,
            recovery: Micros((repaired.0 - 1000) * 4000 - 2000),
            answer: Some(Micros(300)),
            spurious: Some(false),
        }
    }

    #[test]
    fn the_present_floor_changes_nothing() {
        for timeouts in 1..5 {
            let loss = loss(timeouts);
            let outcome = loss.at_floor(Micros(200_000));
            let same = LossOutcome { rto: Jiffies(51), sooner_us: 0, more_at_most: 0, more_in_vain: 0 };
            assert_eq!(outcome, same);
        }
    }

    #[test]
    fn a_quarter_of_the_floor_repairs_sooner() {
        // 51+1 jiffies become 14+1.
        let once = loss(1).at_floor(Micros(52_000));
        assert_eq!((once.rto, once.sooner_us), (Jiffies(14), 37 * 4000));
        // At 15 and 44 jiffies of the 52 that the path may have been dead for; a third repairs it.
        assert_eq!((once.more_at_most, once.more_in_vain), (2, 0));
        let twice = loss(2);
        assert_eq!(twice.recovery, Micros(638_000));
        // 15, then 28 + 1 from the handler, not 160.
        assert_eq!(twice.at_floor(Micros(52_000)).sooner_us, (160 - 44) * 4000);
    }

    #[test]
    fn a_higher_floor_repairs_later() {
        let outcome = loss(1).at_floor(Micros(400_000));
        assert!(outcome.sooner_us < 0 && outcome.more_at_most == 0 && outcome.more_in_vain == 0);
    }

    #[test]
    fn a_late_answer_makes_retransmissions_in_vain() {
        let late = Loss { answer: Some(Micros(190_000)), ..loss(1) };
        assert_eq!(late.at_floor(Micros(200_000)).more_in_vain, 0, "the next RTO is 408 ms away");
        // Repaired at 15; the next RTOs expire at 44 and 104; the answer comes at 15 + 47.
        assert_eq!(late.at_floor(Micros(52_000)).more_in_vain, 1);
        let spurious = Loss { spurious: Some(true), ..late };
        // The answer comes after 52 + 47 jiffies whatever happens: one in vain now, then two (15, 44).
        assert_eq!(spurious.at_floor(Micros(52_000)).more_in_vain, 1);
        assert_eq!(
            spurious.at_floor(Micros(12_000)).more_in_vain,
            3,
            "at 5, 14, 32 and 72 (wheel's rounding included)"
        );
    }

    #[test]
    fn a_probe_waits_for_the_floor_too() {
        let probe =
            Loss { probe_of_one: Some(true), backoffs: Vec::new(), repaired: Jiffies(1052), ..loss(1) };
        assert_eq!(probe.at_floor(Micros(52_000)).sooner_us, 37 * 4000);
        let of_many = Loss { probe_of_one: Some(false), ..probe };
        assert_eq!(of_many.at_floor(Micros(52_000)).sooner_us, 0);
    }

    #[test]
    fn delayed_acks() {
        let delay = Micros(40_000);
        assert!(!loss(1).outrun_by_delayed_ack(Micros(200_000), delay));
        assert!(!loss(1).outrun_by_delayed_ack(Micros(52_000), delay));
        assert!(loss(1).outrun_by_delayed_ack(delay, delay));
    }

    proptest! {
        #[test]
        fn the_lower_the_sooner_and_the_more(timeouts in 1u8..6, low in 1u64..400_000, more in 0u64..400_000, answer_us in 0u64..2_000_000, spurious in any::<bool>()) {
            let loss = Loss { answer: Some(Micros(answer_us)), spurious: Some(spurious), ..loss(timeouts) };
            let (lower, higher) = (loss.at_floor(Micros(low)), loss.at_floor(Micros(low + more)));
            prop_assert!(lower.sooner_us >= higher.sooner_us);
            prop_assert!(lower.more_at_most >= higher.more_at_most);
            prop_assert!(lower.more_in_vain >= higher.more_in_vain || !spurious);
            prop_assert!(lower.sooner_us < signed_us(loss.recovery), "not before it was sent");
        }
    }
}
