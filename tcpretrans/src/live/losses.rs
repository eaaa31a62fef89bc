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
        let ring: u64 = programs.lost()?.iter().sum();
        let recursion = programs.recursion_misses().unwrap_or(0);
        let mut lost = Vec::new();
        let mut note = |place, seen: &mut u64, now: u64| {
            let records = now.saturating_sub(*seen);
            *seen = now;
            if records > 0 {
                lost.push(Lost { records, place });
            }
        };
        note(LostWhere::Ring, &mut self.ring, ring);
        note(LostWhere::Recursion, &mut self.recursion, recursion);
        Ok(lost)
    }
}
