//! What did not reach us: the programs' own counts, turned into `lost` events.

use crate::{
    event::{LostWhere, run::Lost},
    kernel::programs::{AttachError, Programs},
};

/// Counts that were already reported.
#[derive(Debug, Default)]
pub struct Losses {
    ring: u64,
    recursion: u64,
}

impl Losses {
    /// What was lost since the last call.
    ///
    /// # Errors
    /// If the kernel's counters cannot be read.
    pub fn check(&mut self, programs: &Programs) -> Result<Vec<Lost>, AttachError> {
        let ring = programs.lost()?.iter().sum();
        Ok(self.since_last(ring, programs.recursion_misses()))
    }

    /// The counts now, `recursion` where the kernel has it: what is new.
    fn since_last(&mut self, ring: u64, recursion: Option<u64>) -> Vec<Lost> {
        let mut lost = Vec::new();
        let mut note = |place, seen: &mut u64, now: u64| {
            let records = now.saturating_sub(*seen);
            *seen = now;
            if records > 0 {
                lost.push(Lost::counted(records, place));
            }
        };
        note(LostWhere::Ring, &mut self.ring, ring);
        note(LostWhere::Recursion, &mut self.recursion, recursion.unwrap_or(0));
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_once_and_by_its_place() {
        let mut losses = Losses::default();
        assert_eq!(losses.since_last(0, None), []);
        assert_eq!(losses.since_last(7, Some(0)), [Lost::counted(7, LostWhere::Ring)]);
        assert_eq!(losses.since_last(7, Some(2)), [Lost::counted(2, LostWhere::Recursion)]);
        assert_eq!(losses.since_last(7, Some(2)), []);
        let both = [Lost::counted(1, LostWhere::Ring), Lost::counted(3, LostWhere::Recursion)];
        assert_eq!(losses.since_last(8, Some(5)), both);
    }
}
