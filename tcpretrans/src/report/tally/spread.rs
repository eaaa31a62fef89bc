//! How values are spread: quantiles and histograms in bounded memory.

use hdrhistogram::Histogram;

/// Values are kept to 0.1 %.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Larger values count as this one: in milliseconds some 34 years.
const MOST: u64 = 1 << 40;

/// Some values, without their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spread {
    /// `None`: no value yet.
    histogram: Option<Histogram<u64>>,
    /// hdrhistogram knows them only as exactly as everything else.
    min: u64,
    max: u64,
}

impl Spread {
    /// Takes a value.
    pub(crate) fn record(&mut self, value: u64) {
        let value = value.min(MOST);
        match &self.histogram {
            Some(_) => (self.min, self.max) = (self.min.min(value), self.max.max(value)),
            None => {
                (self.min, self.max) = (value, value);
                // Cannot fail: the digits are few enough.
                self.histogram = Histogram::new(SIGNIFICANT_DIGITS).ok();
            }
        }
        if let Some(histogram) = &mut self.histogram {
            // Cannot fail: it grows by itself, and up to there it can.
            let _ = histogram.record(value);
        }
    }

    /// How many values.
    pub(crate) fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The value that this share of all is not above; `None`: there are no values.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        let histogram = self.histogram.as_ref()?;
        // hdrhistogram gives the end of its bucket. Its beginning is as near, and for a value that many have in
        // common, such as an RTO, it is that value more often.
        let value = histogram.lowest_equivalent(histogram.value_at_quantile(share));
        Some(value.clamp(self.min, self.max))
    }

    /// The largest.
    pub(crate) fn max(&self) -> Option<u64> {
        self.histogram.is_some().then_some(self.max)
    }

    /// The smallest.
    pub(crate) fn min(&self) -> Option<u64> {
        self.histogram.is_some().then_some(self.min)
    }

    /// How many are at least `low` and less than `high`.
    pub(crate) fn between(&self, low: u64, high: u64) -> u64 {
        match &self.histogram {
            Some(histogram) if low < high => histogram.count_between(low, high - 1),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spread(values: &[u64]) -> Spread {
        let mut spread = Spread::default();
        values.iter().for_each(|&value| spread.record(value));
        spread
    }

    #[test]
    fn nothing_has_no_quantiles() {
        let none = Spread::default();
        assert_eq!((none.count(), none.quantile(0.5), none.max(), none.between(0, 9)), (0, None, None, 0));
    }

    #[test]
    fn small_values_are_exact() {
        let spread = spread(&[204, 204, 408, 816, 0]);
        assert_eq!((spread.count(), spread.min(), spread.max()), (5, Some(0), Some(816)));
        assert_eq!((spread.quantile(0.5), spread.quantile(1.0)), (Some(204), Some(816)));
        assert_eq!(
            (spread.between(0, 200), spread.between(200, 400), spread.between(400, 800)),
            (1, 2, 1),
            "each value in one bucket"
        );
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_the_sorted_values(
            mut values in proptest::collection::vec(0u64..100_000_000, 1..200),
            share in 0.0f64..=1.0,
        ) {
            let spread = spread(&values);
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let expected = values[rank - 1];
            let told = spread.quantile(share).unwrap();
            // A share on the edge between two ranks may be rounded either way.
            let neighbours = [rank.saturating_sub(2), rank - 1, rank.min(values.len() - 1)];
            prop_assert!(
                neighbours.iter().any(|&at| told.abs_diff(values[at]) <= values[at] / 1000 + 1),
                "{told} instead of {expected}"
            );
        }

        #[test]
        fn doubling_buckets_hold_every_value_once(values in proptest::collection::vec(0u64..=u64::MAX, 0..100)) {
            let spread = spread(&values);
            let edges: Vec<u64> = (0..=41).map(|n| if n == 0 { 0 } else { 1 << n }).collect();
            let all: u64 = edges.windows(2).map(|edge| spread.between(edge[0], edge[1])).sum();
            prop_assert_eq!(all, values.len() as u64);
        }
    }
}
