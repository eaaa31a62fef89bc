//! Pauses between events, as they were when they happened, but none longer than one cares to wait.

use std::time::Duration;

use crate::event::Event;

/// Nobody learns anything from a longer one.
const LONGEST: Duration = Duration::from_secs(1);

/// Keeps the pace of what is printed.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// How many times as fast as it happened.
    speed: f64,
    /// Of the latest event that was printed.
    latest_ns: Option<u64>,
}

impl Pace {
    /// `speed` times as fast as it happened; more than zero.
    pub(crate) fn new(speed: f64) -> Pace {
        Pace { speed, latest_ns: None }
    }

    /// How long to wait before this is printed. To be asked once for each event.
    pub(crate) fn before(&mut self, event: &Event) -> Duration {
        if !event.what.role().paced {
            return Duration::ZERO;
        }
        // The end of a connection is reported a little after its time, when later events have been.
        let latest_ns = self.latest_ns.unwrap_or(event.mono_ns);
        self.latest_ns = Some(latest_ns.max(event.mono_ns));
        let pause = Duration::from_nanos(event.mono_ns.saturating_sub(latest_ns));
        Duration::try_from_secs_f64(pause.as_secs_f64() / self.speed).unwrap_or(LONGEST).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::samples as sample;

    fn pauses(speed: f64, times_ms: &[u64]) -> Vec<u128> {
        let mut pace = Pace::new(speed);
        let event = |ms: &u64| Event { mono_ns: ms * 1_000_000, ..sample::one_of_each().swap_remove(1) };
        times_ms.iter().map(|ms| pace.before(&event(ms)).as_millis()).collect()
    }

    #[test]
    fn as_it_happened_but_never_long() {
        assert_eq!(pauses(1.0, &[5000, 5200, 5600, 65_600]), [0, 200, 400, 1000]);
        assert_eq!(pauses(2.0, &[5000, 5200, 5600, 65_600]), [0, 100, 200, 1000]);
        assert_eq!(pauses(0.1, &[5000, 5050, 5250]), [0, 500, 1000]);
    }

    #[test]
    fn what_is_reported_late_waits_for_nothing() {
        assert_eq!(pauses(1.0, &[5000, 5200, 5100, 5300]), [0, 200, 0, 100]);
    }
}
