//! Percentiles of what was seen, and how much they are worth.

use serde::Serialize;

use crate::socket::Micros;

/// Fewer than this say little about their median.
pub(super) const FEW_FOR_MEDIAN: usize = 20;
/// Fewer than this have no 99th percentile: the highest stands for it.
pub(super) const FEW_FOR_P99: usize = 100;

/// Percentiles by nearest rank: each is a value that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Distribution {
    /// How many values.
    pub count: usize,
    /// Half are no higher.
    pub p50_ms: f64,
    /// Nine in ten are no higher.
    pub p90_ms: f64,
    /// All but one in a hundred are no higher; the highest where there are fewer than a hundred.
    pub p99_ms: f64,
    /// The highest.
    pub max_ms: f64,
}

impl Distribution {
    /// Of durations; `None` of none.
    pub(crate) fn of(durations: impl IntoIterator<Item = Micros>) -> Option<Distribution> {
        Distribution::of_signed_us(durations.into_iter().map(signed_us))
    }

    /// Of differences in us, which may be negative; `None` of none.
    pub(crate) fn of_signed_us(values: impl IntoIterator<Item = i64>) -> Option<Distribution> {
        let mut sorted: Vec<i64> = values.into_iter().collect();
        sorted.sort_unstable();
        let max = *sorted.last()?;
        let at = |percent| to_ms(nearest_rank(&sorted, percent));
        Some(Distribution {
            count: sorted.len(),
            p50_ms: at(50),
            p90_ms: at(90),
            p99_ms: at(99),
            max_ms: to_ms(max),
        })
    }
}

/// The smallest value that `percent` of all are not above. The values are sorted and not empty.
pub(super) fn nearest_rank(sorted: &[i64], percent: usize) -> i64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank.min(sorted.len()) - 1]
}

/// For differences.
pub(super) fn signed_us(duration: Micros) -> i64 {
    i64::try_from(duration.0).unwrap_or(i64::MAX)
}

/// Microseconds as ms with three decimals, so that JSON shows no rounding error.
pub(super) fn to_ms(us: i64) -> f64 {
    us as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nearest_ranks() {
        let of =
            |values: &[i64]| Distribution::of_signed_us(values.iter().map(|ms| ms * 1000)).expect("some");
        assert_eq!(Distribution::of([]), None);
        let few = of(&[30, 10, 20]);
        assert_eq!((few.count, few.p50_ms, few.p99_ms, few.max_ms), (3, 20.0, 30.0, 30.0));
        let many: Vec<i64> = (1..=200).collect();
        assert_eq!((of(&many).p50_ms, of(&many).p90_ms, of(&many).p99_ms), (100.0, 180.0, 198.0));
    }

    proptest! {
        #[test]
        fn in_order_and_seen(values in proptest::collection::vec(-1_000_000i64..1_000_000, 1..300)) {
            let it = Distribution::of_signed_us(values.iter().copied()).expect("some");
            prop_assert!(it.p50_ms <= it.p90_ms && it.p90_ms <= it.p99_ms && it.p99_ms <= it.max_ms);
            prop_assert!(values.iter().any(|&us| to_ms(us) == it.p50_ms));
        }
    }
}
