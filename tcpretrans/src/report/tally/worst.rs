//! The worst episodes. One host that does not answer makes hundreds that are alike: of those with the same remote end and the
//! same outcome the worst stands for all.

use std::cmp::Reverse;

use super::episode::{Ended, EpisodeOutcome};

/// An episode, and how many were like it but not as bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Worst {
    /// The worst of them.
    pub episode: Ended,
    /// How many others were seen.
    pub more: u64,
}

/// Keeps the worst.
#[derive(Debug)]
pub(crate) struct WorstEpisodes {
    most: usize,
    kept: Vec<Worst>,
}

/// The longer the worse; then the deeper; then it is chance, but always the same.
fn badness(episode: &Ended) -> impl Ord + use<> {
    let (began_ns, id) = (Reverse(episode.began_wall_ns), Reverse(episode.flow.id));
    (episode.duration_ms, episode.deepest, episode.sent, began_ns, id)
}

fn are_alike(one: &Ended, other: &Ended) -> bool {
    let outcome = |episode: &Ended| match episode.outcome {
        // Whether it was spurious makes no other story of it.
        EpisodeOutcome::Recovered(_) => EpisodeOutcome::Recovered(None),
        outcome => outcome,
    };
    (one.flow.raddr, one.flow.rport) == (other.flow.raddr, other.flow.rport) && outcome(one) == outcome(other)
}

impl WorstEpisodes {
    /// Keeps so many kinds of them.
    pub(crate) fn new(most: usize) -> WorstEpisodes {
        WorstEpisodes { most, kept: Vec::with_capacity(most) }
    }

    /// Takes one.
    pub(crate) fn offer(&mut self, episode: Ended) {
        if let Some(like) = self.kept.iter_mut().find(|worst| are_alike(&worst.episode, &episode)) {
            like.more += 1;
            if badness(&like.episode) < badness(&episode) {
                like.episode = episode;
            }
            return;
        }
        if self.kept.len() < self.most {
            self.kept.push(Worst { episode, more: 0 });
        } else if let Some(least) = self.kept.iter_mut().min_by_key(|worst| badness(&worst.episode))
            && badness(&least.episode) < badness(&episode)
        {
            *least = Worst { episode, more: 0 };
        }
    }

    /// The worst first.
    pub(crate) fn finish(mut self) -> Vec<Worst> {
        self.kept.sort_by_key(|worst| Reverse(badness(&worst.episode)));
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::event::{Flow, samples as sample};

    fn episode(rport: u16, duration_ms: u64) -> Ended {
        Ended {
            flow: Arc::new(Flow { rport, ..sample::ipv4_flow() }),
            began_wall_ns: 0,
            duration_ms,
            sent: 1,
            deepest: 1,
            ladder: Default::default(),
            outcome: EpisodeOutcome::Recovered(Some(duration_ms.is_multiple_of(2))),
        }
    }

    proptest! {
        #[test]
        fn the_worst_of_each_kind_in_any_order(
            episodes in proptest::collection::vec((0u16..30, 0u64..100), 0..200),
        ) {
            let worst = |episodes: &mut dyn Iterator<Item = &(u16, u64)>| -> Vec<(u16, u64)> {
                let mut worst = WorstEpisodes::new(8);
                episodes.for_each(|&(rport, ms)| worst.offer(episode(rport, ms)));
                let told = worst.finish();
                told.iter().map(|worst| (worst.episode.flow.rport, worst.episode.duration_ms)).collect()
            };
            let forward = worst(&mut episodes.iter());
            let mut expected: Vec<(u16, u64)> = Vec::new();
            for &(rport, ms) in &episodes {
                match expected.iter_mut().find(|(other, _)| *other == rport) {
                    Some((_, most)) => *most = ms.max(*most),
                    None => expected.push((rport, ms)),
                }
            }
            let mut durations: Vec<u64> = expected.iter().map(|&(_, ms)| ms).collect();
            durations.sort_unstable_by_key(|&ms| Reverse(ms));
            durations.truncate(8);
            let told: Vec<u64> = forward.iter().map(|&(_, ms)| ms).collect();
            prop_assert_eq!(&told, &durations);
            let backward: Vec<u64> = worst(&mut episodes.iter().rev()).iter().map(|&(_, ms)| ms).collect();
            prop_assert_eq!(backward, durations);
        }

        #[test]
        fn every_episode_is_told_or_counted_while_there_is_room(ports in proptest::collection::vec(0u16..8, 0..50)) {
            let mut worst = WorstEpisodes::new(8);
            ports.iter().for_each(|&port| worst.offer(episode(port, 1)));
            let all: u64 = worst.finish().iter().map(|worst| 1 + worst.more).sum();
            prop_assert_eq!(all, ports.len() as u64);
        }
    }
}
