//! From the kernel's monotonic clock to the wall's.

/// Converts monotonic times to wall-clock times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clock {
    /// Wall clock (UTC, since 1970) less monotonic clock, ns.
    pub wall_minus_mono_ns: i64,
}

impl Clock {
    /// Nanoseconds since 1970. Saturates in the year 2262, so that "never" is still a date.
    pub fn wall_ns(self, mono_ns: u64) -> i64 {
        self.wall_minus_mono_ns.saturating_add_unsigned(mono_ns)
    }

    /// The monotonic time of a wall-clock time; 0 for what lies before the machine's start.
    pub fn mono_ns(self, wall_ns: i64) -> u64 {
        u64::try_from(i128::from(wall_ns) - i128::from(self.wall_minus_mono_ns)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn there_and_back() {
        let clock = Clock { wall_minus_mono_ns: 1_700_000_000_123_456_789 };
        assert_eq!(clock.wall_ns(1), 1_700_000_000_123_456_790);
        assert_eq!(clock.mono_ns(clock.wall_ns(987_654_321)), 987_654_321);
    }

    #[test]
    fn a_wall_clock_behind_the_monotonic_one() {
        let clock = Clock { wall_minus_mono_ns: -5 };
        assert_eq!(clock.wall_ns(3), -2);
        assert_eq!(clock.mono_ns(-2), 3);
    }

    #[test]
    fn the_ends_saturate() {
        let clock = Clock { wall_minus_mono_ns: i64::MAX };
        assert_eq!(clock.wall_ns(u64::MAX), i64::MAX);
        assert_eq!(clock.mono_ns(0), 0);
    }
}
