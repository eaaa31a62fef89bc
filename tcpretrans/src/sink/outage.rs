//! An output that cannot be written for a while: reported once, tried again, more and more seldom.

use std::time::{Duration, Instant};

/// Whether there is an outage, and when to try again.
#[derive(Debug)]
pub(super) struct Outage {
    first_wait: Duration,
    /// The last wait, and when it is over.
    waiting: Option<(Duration, Instant)>,
}

impl Outage {
    const FIRST_WAIT: Duration = Duration::from_millis(250);
    const LONGEST_WAIT: Duration = Duration::from_secs(8);

    /// No outage.
    pub(super) fn none() -> Outage {
        Outage::with_first_wait(Self::FIRST_WAIT)
    }

    /// No outage; the first wait will be so long, each further one twice as long, up to some seconds.
    pub(super) fn with_first_wait(first_wait: Duration) -> Outage {
        Outage { first_wait, waiting: None }
    }

    /// Is it time to try (again)?
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.waiting.is_none_or(|(_, until)| now >= until)
    }

    /// Notes a failure. True: it is the first of this outage, and should be reported.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let wait = match self.waiting {
            None => self.first_wait,
            Some((last, _)) => (last * 2).min(Self::LONGEST_WAIT),
        };
        self.waiting.replace((wait, now + wait)).is_none()
    }

    /// Notes a success.
    pub(super) fn over(&mut self) {
        self.waiting = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_once_and_tried_ever_more_seldom() {
        let mut outage = Outage::none();
        let mut now = Instant::now();
        assert!(outage.may_try(now));
        assert!(outage.failed(now), "the first is reported");
        let mut waits = Vec::new();
        for _ in 0..7 {
            let before = now;
            while !outage.may_try(now) {
                now += Duration::from_millis(1);
            }
            waits.push((now - before).as_millis());
            assert!(!outage.failed(now), "the same outage");
        }
        assert_eq!(waits, [250, 500, 1000, 2000, 4000, 8000, 8000]);
        outage.over();
        assert!(outage.may_try(now));
        assert!(outage.failed(now), "a new one");
    }
}
