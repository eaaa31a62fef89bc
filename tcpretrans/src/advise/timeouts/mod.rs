//! Timeouts of applications: which of them would have cut off what TCP repaired.

pub(super) mod app_requests;
pub(super) mod connects;

use serde::Serialize;

use crate::socket::{Micros, Millis};

/// What a timeout would have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Cut {
    /// The timeout, ms.
    pub timeout_ms: u64,
    /// How many of those that TCP brought to a good end would have been cut off.
    pub cut_off: usize,
}

/// A row for each timeout. The durations are of what ended well.
fn cuts(timeouts_ms: &[u64], durations: &[Micros]) -> Vec<Cut> {
    let cut_off = |timeout_ms: u64| {
        durations.iter().filter(|&&duration| duration >= Millis(timeout_ms).to_micros()).count()
    };
    timeouts_ms.iter().map(|&timeout_ms| Cut { timeout_ms, cut_off: cut_off(timeout_ms) }).collect()
}

/// The lowest that cuts nothing off, where there is something to cut off.
fn harmless_ms(cuts: &[Cut]) -> Option<u64> {
    let harmless = cuts.iter().filter(|cut| cut.cut_off == 0).map(|cut| cut.timeout_ms).min();
    harmless.filter(|_| cuts.iter().any(|cut| cut.cut_off > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_cuts_off_what_takes_as_long() {
        let cuts = cuts(&[500, 1000, 3000], &[1_000_000, 1_032_000, 3_100_000, 999_999].map(Micros));
        assert_eq!(cuts.iter().map(|cut| cut.cut_off).collect::<Vec<_>>(), [4, 3, 1]);
        assert_eq!(harmless_ms(&cuts), None);
        let longer = super::cuts(&[1000, 5000], &[Micros(1_000_000)]);
        assert_eq!(harmless_ms(&longer), Some(5000));
        assert_eq!(harmless_ms(&super::cuts(&[1000], &[])), None, "nothing to cut off says nothing");
    }
}
