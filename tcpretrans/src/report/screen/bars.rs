//! Small bars for the terminal.

use crate::{report::tally::spread::Spread, words::time::millis};

const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A bar for `count`, where `most` fills `width` columns. What is not nothing has at least a sliver.
pub(super) fn bar(count: u64, most: u64, width: usize) -> String {
    let eighths = share(count, most, width * 8);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1) {
        bar.push(EIGHTHS[part]);
    }
    bar
}

/// Counts one after the other, the highest of them full; nothing is a blank.
pub(super) fn sparkline(counts: &[u64]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0);
    counts
        .iter()
        .map(|&count| match share(count, most, HEIGHTS.len()) {
            0 => ' ',
            height => HEIGHTS[height - 1],
        })
        .collect()
}

fn share(count: u64, most: u64, steps: usize) -> usize {
    if count == 0 || most == 0 || steps == 0 {
        return 0;
    }
    let share = u128::from(count) * steps as u128 / u128::from(most);
    (share as usize).clamp(1, steps)
}

/// A row of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bin {
    pub label: String,
    pub count: u64,
}

/// Rows of a histogram; more are merged.
const MOST_BINS: usize = 6;

/// The edges of retransmission timeouts: 200 ms (`TCP_RTO_MIN`), doubled and halved.
const EDGES_MS: [u64; 20] = [
    1, 3, 6, 12, 25, 50, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 102_400, 204_800,
    409_600, 819_200,
];

/// Times, by doubling.
pub(super) fn times(spread: &Spread) -> Vec<Bin> {
    let edges: Vec<u64> = [0].into_iter().chain(EDGES_MS).chain([u64::MAX]).collect();
    let mut bins: Vec<(u64, u64, u64)> =
        edges.windows(2).map(|edge| (edge[0], edge[1], spread.between(edge[0], edge[1]))).collect();
    trim(&mut bins);
    let label = |&(from, to, _): &(u64, u64, u64)| match to {
        u64::MAX => format!(">={}", millis(from)),
        _ => format!("<{}", millis(to)),
    };
    merged(bins).iter().map(|bin| Bin { label: label(bin), count: bin.2 }).collect()
}

/// Small numbers, one by one while there is room.
pub(super) fn numbers(spread: &Spread) -> Vec<Bin> {
    let Some(max) = spread.max() else { return Vec::new() };
    let mut bins: Vec<(u64, u64, u64)> =
        (0..=max.min(64)).map(|number| (number, number + 1, spread.between(number, number + 1))).collect();
    if max > 64 {
        bins.push((65, u64::MAX, spread.between(65, u64::MAX)));
    }
    trim(&mut bins);
    let label = |&(from, to, _): &(u64, u64, u64)| match to {
        u64::MAX => format!(">={from}"),
        _ if to - from == 1 => from.to_string(),
        _ => format!("{from}-{}", to - 1),
    };
    merged(bins).iter().map(|bin| Bin { label: label(bin), count: bin.2 }).collect()
}

/// Takes empty bins off both ends.
fn trim(bins: &mut Vec<(u64, u64, u64)>) {
    let keep = |bin: &(u64, u64, u64)| bin.2 > 0;
    let end = bins.iter().rposition(keep).map_or(0, |at| at + 1);
    bins.truncate(end);
    let begin = bins.iter().position(keep).unwrap_or(0);
    bins.drain(..begin);
}

/// Merges neighbours until few enough are left: first where they are emptiest together.
fn merged(mut bins: Vec<(u64, u64, u64)>) -> Vec<(u64, u64, u64)> {
    while bins.len() > MOST_BINS {
        let together = |at: usize| bins[at].2 + bins[at + 1].2;
        let Some(at) = (0..bins.len() - 1).min_by_key(|&at| together(at)) else { break };
        let next = bins.remove(at + 1);
        bins[at] = (bins[at].0, next.1, bins[at].2 + next.2);
    }
    bins
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

    fn shown(bins: &[Bin]) -> Vec<(&str, u64)> {
        bins.iter().map(|bin| (bin.label.as_str(), bin.count)).collect()
    }

    #[test]
    fn bars_have_eighths() {
        assert_eq!(bar(8, 8, 2), "██");
        assert_eq!(bar(5, 8, 2), "█▎");
        assert_eq!(bar(1, 1_000_000, 2), "▏", "a sliver");
        assert_eq!((bar(0, 8, 2), bar(0, 0, 2)), (String::new(), String::new()));
        assert_eq!(sparkline(&[0, 1, 4, 8]), " ▁▄█");
        assert_eq!(sparkline(&[u64::MAX, 1]), "█▁");
    }

    #[test]
    fn each_timeout_of_a_backoff_has_its_row() {
        let bins = times(&spread(&[204, 204, 408, 816, 1632, 3264]));
        assert_eq!(
            shown(&bins),
            [("<400 ms", 2), ("<800 ms", 1), ("<1.6 s", 1), ("<3.2 s", 1), ("<6.4 s", 1)]
        );
        assert_eq!(shown(&times(&spread(&[0, 900_000]))).first(), Some(&("<1 ms", 1)));
        assert_eq!(shown(&times(&spread(&[900_000]))), [(">=13 min 39 s", 1)]);
        assert_eq!(shown(&times(&Spread::default())), []);
    }

    #[test]
    fn small_numbers_stand_alone_while_there_is_room() {
        assert_eq!(shown(&numbers(&spread(&[0, 0, 2]))), [("0", 2), ("1", 0), ("2", 1)]);
        let many = numbers(&spread(&(0..=15).chain([0, 0, 1, 1, 2, 2]).collect::<Vec<_>>()));
        assert_eq!(many.len(), MOST_BINS);
        assert_eq!(many[0], Bin { label: "0".into(), count: 3 });
    }

    proptest! {
        #[test]
        fn histograms_hold_every_value_once(values in proptest::collection::vec(0u64..2_000_000, 0..100)) {
            for bins in [times(&spread(&values)), numbers(&spread(&values))] {
                prop_assert!(bins.len() <= MOST_BINS);
                prop_assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), values.len() as u64);
                prop_assert!(bins.first().is_none_or(|bin| bin.count > 0), "nothing empty at the ends");
            }
        }

        #[test]
        fn a_bar_fits(count in any::<u64>(), most in any::<u64>(), width in 0usize..40) {
            prop_assert!(bar(count.min(most), most, width).chars().count() <= width.max(1));
        }
    }
}
