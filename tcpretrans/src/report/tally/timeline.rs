//! When: retransmissions over time, in bounded memory.

/// Counts over time, in bins of equal width that grows as needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timeline {
    most: usize,
    /// Where the first bin begins, s since 1970; a multiple of the width.
    begin_s: i64,
    width_s: i64,
    bins: Vec<u64>,
}

const NS_PER_S: i64 = 1_000_000_000;

impl Timeline {
    /// Of at most so many bins, and at least two. They are a second wide at first.
    pub(crate) fn new(most: usize) -> Timeline {
        Timeline { most: most.max(2), begin_s: 0, width_s: 1, bins: Vec::new() }
    }

    /// Counts something that happened then.
    pub(crate) fn record(&mut self, wall_ns: i64) {
        let second = wall_ns.div_euclid(NS_PER_S);
        if self.bins.is_empty() {
            self.begin_s = second.div_euclid(self.width_s) * self.width_s;
        }
        loop {
            let at = (second - self.begin_s).div_euclid(self.width_s);
            let first = at.min(0);
            let span = at.max(self.bins.len() as i64 - 1) - first + 1;
            if span > self.most as i64 {
                self.widen();
                continue;
            }
            if first < 0 {
                let before = vec![0; first.unsigned_abs() as usize];
                self.bins.splice(0..0, before);
                self.begin_s += first * self.width_s;
            }
            let at = (at - first) as usize;
            if at >= self.bins.len() {
                self.bins.resize(at + 1, 0);
            }
            self.bins[at] += 1;
            return;
        }
    }

    /// Makes one bin of two. Bins begin at multiples of their width, so that it does not matter which event was
    /// the first.
    fn widen(&mut self) {
        let width_s = self.width_s * 2;
        let begin_s = self.begin_s.div_euclid(width_s) * width_s;
        let shift = usize::from(begin_s != self.begin_s);
        let mut bins = vec![0; (self.bins.len() + shift).div_ceil(2)];
        for (at, count) in self.bins.iter().enumerate() {
            bins[(at + shift) / 2] += count;
        }
        *self = Timeline { most: self.most, begin_s, width_s, bins };
    }

    /// Where the first bin begins, ns since 1970.
    pub(crate) fn begin_ns(&self) -> i64 {
        self.begin_s.saturating_mul(NS_PER_S)
    }

    /// Where the last bin ends, ns since 1970.
    pub(crate) fn end_ns(&self) -> i64 {
        (self.begin_s + self.width_s * self.bins.len() as i64).saturating_mul(NS_PER_S)
    }

    /// How wide a bin is, s.
    pub(crate) fn width_s(&self) -> u64 {
        self.width_s.unsigned_abs()
    }

    /// From the first in which something happened to the last.
    pub(crate) fn bins(&self) -> &[u64] {
        &self.bins
    }

    /// The fullest bin: when it begins, ns since 1970, and its count.
    pub(crate) fn peak(&self) -> Option<(i64, u64)> {
        let most = self.bins.iter().copied().max()?;
        let at = self.bins.iter().position(|&count| count == most)?;
        Some(((self.begin_s + at as i64 * self.width_s).saturating_mul(NS_PER_S), most))
    }

    /// The same in at most so many bins, and at least two: those on both sides of 1970 never become one.
    pub(crate) fn narrowed(&self, most: usize) -> Timeline {
        let mut narrow = self.clone();
        while narrow.bins.len() > most.max(2) {
            narrow.widen();
        }
        narrow
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn a_second_a_bin_until_there_are_too_many() {
        let mut timeline = Timeline::new(4);
        for second in [100, 100, 102, 103] {
            timeline.record(second * S + 5);
        }
        assert_eq!(
            (timeline.begin_ns(), timeline.width_s(), timeline.bins()),
            (100 * S, 1, &[2, 0, 1, 1][..])
        );
        assert_eq!(timeline.peak(), Some((100 * S, 2)));
        timeline.record(104 * S);
        assert_eq!((timeline.begin_ns(), timeline.width_s(), timeline.bins()), (100 * S, 2, &[2, 2, 1][..]));
        timeline.record(99 * S);
        assert_eq!(
            (timeline.begin_ns(), timeline.end_ns(), timeline.bins()),
            (98 * S, 106 * S, &[1, 2, 2, 1][..])
        );
        assert_eq!(Timeline::new(9).peak(), None);
    }

    proptest! {
        #[test]
        fn nothing_is_left_out_and_order_does_not_matter(
            times in proptest::collection::vec(prop_oneof![9 => -1_000_000 * S..1_000_000 * S, 1 => any::<i64>()], 1..100),
            most in 2usize..50,
        ) {
            let of = |times: &mut dyn Iterator<Item = &i64>| {
                let mut timeline = Timeline::new(most);
                times.for_each(|&wall_ns| timeline.record(wall_ns));
                timeline
            };
            let timeline = of(&mut times.iter());
            prop_assert!(timeline.bins().len() <= most);
            prop_assert_eq!(timeline.bins().iter().sum::<u64>(), times.len() as u64);
            prop_assert_eq!(&timeline, &of(&mut times.iter().rev()));
            let narrow = timeline.narrowed(3);
            prop_assert!(narrow.bins().len() <= 3);
            prop_assert_eq!(narrow.bins().iter().sum::<u64>(), times.len() as u64);
        }
    }
}
