//! Totals of what was printed.

use crate::event::{End, Event, What};

/// Totals so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    end: End,
}

impl Totals {
    /// Counts one event.
    pub fn count(&mut self, event: &Event) {
        match &event.what {
            What::Retransmit(retransmit) => {
                let total = self.end.retransmits.entry(retransmit.ty).or_default();
                if retransmit.err.is_some() {
                    total.failed += 1;
                } else {
                    total.sent += 1;
                    total.segs += u64::from(retransmit.segs);
                    total.bytes += u64::from(retransmit.bytes);
                }
            }
            What::Threshold(_) => self.end.thresholds += 1,
            What::Recovered(_) => self.end.recovered += 1,
            What::Closed(closed) => *self.end.closed.entry(closed.cause).or_default() += 1,
            What::Lost(lost) => *self.end.lost.entry(lost.place).or_default() += lost.records,
            What::Start(_) | What::InBackoff(_) | What::Observation(_) | What::End(_) => {}
        }
    }

    /// The totals as the last event.
    pub fn into_end(self, duration_ms: u64) -> End {
        End { duration_ms, ..self.end }
    }

    /// The totals as text.
    pub fn summary(&self, _duration_ms: u64) -> String {
        String::new()
    }
}
