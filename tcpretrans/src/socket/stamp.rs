//! Times that the kernel keeps in 32 bits that wrap: `retrans_stamp`, and the low halves of jiffies.

use super::units::{Jiffies, Micros, Millis, Nanos};

/// The clock of `retrans_stamp` (`tcp_time_stamp_ts`): milliseconds, or microseconds where the connection uses
/// `TCP_TS_USEC` (`tcp_usec_ts`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampClock {
    /// One tick a millisecond.
    Millis,
    /// One tick a microsecond.
    Micros,
}

impl StampClock {
    const fn unit(self) -> Nanos {
        match self {
            Self::Millis => Millis(1).to_nanos(),
            Self::Micros => Micros(1).to_nanos(),
        }
    }

    /// A time as this clock shows it.
    pub(crate) fn cut(self, time: Nanos) -> Nanos {
        Nanos(time.0 - time.0 % self.unit().0)
    }

    /// The time of a stamp, which lies within 2^31 units of `now`.
    pub(super) fn time_of(self, stamp: u32, now: Nanos) -> Nanos {
        Nanos(nearest(now.0 / self.unit().0, stamp)) * self.unit().0
    }
}

/// A low half of jiffies (`tcp_jiffies32`) on the 64-bit scale of `now`.
pub(super) fn jiffies_of(low_half: u32, now: Jiffies) -> Jiffies {
    Jiffies(nearest(now.0, low_half))
}

/// The number nearest to `now` that ends in those 32 bits; not below zero.
fn nearest(now: u64, low_half: u32) -> u64 {
    let ago = (now as u32).wrapping_sub(low_half) as i32;
    now.saturating_add_signed(-i64::from(ago))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_wrap() {
        let now = Nanos((1 << 32) * 1_000_000 + 5_400_000);
        assert_eq!(StampClock::Millis.time_of(3, now), Nanos((1 << 32) * 1_000_000 + 3_000_000));
        assert_eq!(StampClock::Millis.time_of(u32::MAX, now), Nanos(((1 << 32) - 1) * 1_000_000));
        assert_eq!(StampClock::Micros.time_of(7, Nanos(9_999)), Nanos(7_000));
        assert_eq!(StampClock::Micros.cut(Nanos(9_999)), Nanos(9_000));
    }

    #[test]
    fn a_stamp_may_lie_a_moment_ahead() {
        assert_eq!(jiffies_of(1003, Jiffies(1000)), Jiffies(1003));
        assert_eq!(jiffies_of(u32::MAX, Jiffies((5 << 32) + 9)), Jiffies((5 << 32) - 1));
        assert_eq!(jiffies_of(u32::MAX, Jiffies(9)), Jiffies(0), "there is nothing before the first");
    }
}
