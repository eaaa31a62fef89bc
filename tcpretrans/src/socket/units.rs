//! Units of time, a type each: none is taken for another, and every conversion says which way it rounds.
//!
//! All arithmetic saturates. The numbers come from recordings, too, and a damaged one may say anything.

use std::{
    iter::Sum,
    ops::{Add, Div, Mul, Sub},
};

macro_rules! unit_of_time {
    ($(#[$doc:meta])* $unit:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $unit(pub u64);

        impl Add for $unit {
            type Output = Self;
            fn add(self, more: Self) -> Self {
                Self(self.0.saturating_add(more.0))
            }
        }

        /// Zero where the result would be negative.
        impl Sub for $unit {
            type Output = Self;
            fn sub(self, less: Self) -> Self {
                Self(self.0.saturating_sub(less.0))
            }
        }

        impl Mul<u64> for $unit {
            type Output = Self;
            fn mul(self, times: u64) -> Self {
                Self(self.0.saturating_mul(times))
            }
        }

        /// Cuts.
        impl Div<u64> for $unit {
            type Output = Self;
            fn div(self, parts: u64) -> Self {
                Self(self.0 / parts)
            }
        }

        impl Sum for $unit {
            fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
                all.fold(Self(0), Add::add)
            }
        }

        impl From<u32> for $unit {
            fn from(number: u32) -> Self {
                Self(number.into())
            }
        }
    };
}

unit_of_time! {
    /// Timer ticks: a duration, or a time on the scale of `jiffies64`. [`Hz`](super::Hz) converts them.
    Jiffies
}
unit_of_time! {
    /// Milliseconds.
    Millis
}
unit_of_time! {
    /// Microseconds.
    Micros
}
unit_of_time! {
    /// Nanoseconds: a duration, or a time on the scale of `ktime_get_ns`.
    Nanos
}

impl Millis {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// The same in finer units.
    pub const fn to_micros(self) -> Micros {
        Micros(self.0.saturating_mul(1000))
    }

    /// The same in finer units.
    pub const fn to_nanos(self) -> Nanos {
        Nanos(self.0.saturating_mul(1_000_000))
    }
}

impl Micros {
    /// The same in finer units.
    pub const fn to_nanos(self) -> Nanos {
        Nanos(self.0.saturating_mul(1000))
    }

    /// Whole milliseconds; the rest is cut off.
    pub const fn cut_to_millis(self) -> Millis {
        Millis(self.0 / 1000)
    }

    /// To the nearest.
    pub const fn round_to_millis(self) -> Millis {
        Millis(self.0.saturating_add(500) / 1000)
    }
}

impl Nanos {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// Whole milliseconds; the rest is cut off.
    pub const fn cut_to_millis(self) -> Millis {
        Millis(self.0 / 1_000_000)
    }

    /// Whole microseconds; the rest is cut off.
    pub const fn cut_to_micros(self) -> Micros {
        Micros(self.0 / 1000)
    }

    /// Milliseconds, a begun one counted whole.
    pub const fn ceil_to_millis(self) -> Millis {
        Millis(self.0.div_ceil(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_say_how_they_round() {
        assert_eq!(Nanos(1_999_999).cut_to_millis(), Millis(1));
        assert_eq!(Nanos(1_000_001).ceil_to_millis(), Millis(2));
        assert_eq!(Nanos(1999).cut_to_micros(), Micros(1));
        assert_eq!([1499, 1500].map(|us| Micros(us).round_to_millis()), [Millis(1), Millis(2)]);
        assert_eq!(Millis::from_secs(2).to_nanos(), Nanos::from_secs(2));
        assert_eq!(Millis(2).to_micros().to_nanos(), Nanos(2_000_000));
    }

    #[test]
    fn nothing_overflows() {
        assert_eq!(Millis(u64::MAX).to_nanos(), Nanos(u64::MAX));
        assert_eq!(Nanos(1) - Nanos(2), Nanos(0));
        assert_eq!(Jiffies(u64::MAX) + Jiffies(1), Jiffies(u64::MAX));
        assert_eq!([Jiffies(u64::MAX), Jiffies(1)].into_iter().sum::<Jiffies>() * 2, Jiffies(u64::MAX));
    }
}
