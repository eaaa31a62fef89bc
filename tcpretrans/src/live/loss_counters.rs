//! What did not reach us: the programs' own counts, turned into `lost` events.

use tcpretrans_ebpf::Kind;

use crate::{
    event::{Lost, LostWhere},
    kernel::programs::{AttachError, KindCounts, Programs},
};

/// Counts that were already reported.
#[derive(Debug, Default)]
pub(super) struct LossCounters {
    ring: u64,
    recursion: u64,
    retransmissions: u64,
}

/// What is new.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NewLosses {
    /// To be reported.
    pub lost: Vec<Lost>,
    /// There may be retransmissions among it.
    pub retransmissions: bool,
}

impl LossCounters {
    /// What was lost since the last call.
    ///
    /// # Errors
    /// If the kernel's counters cannot be read.
    pub(super) fn check(&mut self, programs: &Programs) -> Result<NewLosses, AttachError> {
        let of_retransmissions =
            |name: &str| Kind::ALL.iter().any(|kind| kind.is_retransmission() && kind.name() == name);
        let mut recursion = [0; 2];
        for (name, misses) in programs.recursion_misses() {
            recursion[0] += misses;
            recursion[1] += if of_retransmissions(name) { misses } else { 0 };
        }
        Ok(self.since_last(&programs.lost()?, recursion))
    }

    /// The counts now; `recursion`: of all programs, and of those that report retransmissions.
    fn since_last(&mut self, ring: &KindCounts, recursion: [u64; 2]) -> NewLosses {
        let mut found = NewLosses::default();
        let mut note = |place, seen: &mut u64, now: u64| {
            let records = now.saturating_sub(*seen);
            *seen = now;
            if records > 0 {
                found.lost.push(Lost::counted(records, place));
            }
        };
        note(LostWhere::Ring, &mut self.ring, ring.iter().sum());
        note(LostWhere::Recursion, &mut self.recursion, recursion[0]);
        let retransmissions = Kind::ALL
            .iter()
            .filter(|kind| kind.is_retransmission())
            .map(|&kind| ring[kind as usize])
            .sum::<u64>()
            + recursion[1];
        found.retransmissions = retransmissions > self.retransmissions;
        self.retransmissions = retransmissions;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(retransmissions: u64, states: u64) -> KindCounts {
        let mut counts = KindCounts::default();
        counts[Kind::Retransmit as usize] = retransmissions;
        counts[Kind::State as usize] = states;
        counts
    }

    fn found<const N: usize>(lost: [Lost; N], retransmissions: bool) -> NewLosses {
        NewLosses { lost: lost.into(), retransmissions }
    }

    #[test]
    fn each_loss_is_reported_once_and_by_its_place() {
        let mut losses = LossCounters::default();
        assert_eq!(losses.since_last(&ring(0, 0), [0, 0]), NewLosses::default());
        assert_eq!(losses.since_last(&ring(7, 0), [0, 0]), found([Lost::counted(7, LostWhere::Ring)], true));
        assert_eq!(
            losses.since_last(&ring(7, 0), [2, 2]),
            found([Lost::counted(2, LostWhere::Recursion)], true)
        );
        assert_eq!(losses.since_last(&ring(7, 0), [2, 2]), NewLosses::default());
        let both = [Lost::counted(1, LostWhere::Ring), Lost::counted(3, LostWhere::Recursion)];
        assert_eq!(losses.since_last(&ring(8, 0), [5, 2]), found(both, true));
    }

    #[test]
    fn state_changes_are_no_retransmissions() {
        let mut losses = LossCounters::default();
        assert_eq!(losses.since_last(&ring(0, 9), [0, 0]), found([Lost::counted(9, LostWhere::Ring)], false));
        assert_eq!(
            losses.since_last(&ring(0, 9), [4, 0]),
            found([Lost::counted(4, LostWhere::Recursion)], false)
        );
    }
}
