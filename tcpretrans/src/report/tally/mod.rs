//! Sums up a recording, event by event, in bounded memory. No input or output, no clock of its own.

pub(crate) mod counts;
pub(crate) mod episode;
mod followed;
pub(crate) mod forecasts;
pub(crate) mod groups;
pub(crate) mod hang_ups;
pub(crate) mod sessions;
pub(crate) mod spread;
pub(crate) mod timeline;
pub(crate) mod worst;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasherDefault, DefaultHasher},
    sync::Arc,
};

use counts::Counts;
use episode::{Ended, OpenEpisode, SeenAt};
use followed::{Flows, Followed};
use forecasts::Forecasts;
use groups::{By, Grouping, Groups, Sums};
use hang_ups::HangUps;
use sessions::{Following, Sessions};
use spread::Spread;
use timeline::Timeline;
use worst::{Worst, WorstEpisodes};

use crate::{
    event::{Cause, Closed, End, Flow, Recovered, Retransmit, ThresholdName, What, Who},
    recording::Recorded,
    sink::Totals,
};

/// Without the usual random seed: the same recording gives the same report, whatever has to be forgotten.
type StableMap<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

/// How much is kept of what has no bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Flows that are followed at a time.
    pub flows: usize,
    /// Groups of each kind.
    pub groups: usize,
    /// Kinds of worst episodes.
    pub worst: usize,
    /// Bins of the timeline.
    pub bins: usize,
}

impl Default for Bounds {
    /// Some 150 MB at worst, the decoder included.
    fn default() -> Bounds {
        Bounds { flows: 1 << 16, groups: 1 << 14, worst: 100, bins: 240 }
    }
}

/// Sums up a recording.
#[derive(Debug)]
pub(crate) struct Tally {
    sessions: Following,
    totals: Totals,
    events: u64,
    who: BTreeMap<Cause, [u64; WHO]>,
    deadline_thresholds: u64,
    flows: Flows,
    forgotten: u64,
    all: Sums,
    groupings: [Grouping; By::ALL.len()],
    recovery_ms: Spread,
    rto_ms: Spread,
    deepest: Spread,
    worst: WorstEpisodes,
    open: u64,
    forecasts: Forecasts,
    hang_ups: HangUps,
    timeline: Timeline,
    undelivered_bytes: u64,
}

/// [`Who::ALL`], and unknown.
const WHO: usize = Who::ALL.len() + 1;

/// What a recording says, summed up.
#[derive(Debug)]
pub(crate) struct Report {
    /// The sessions of the whole recording, whatever part of it was asked for.
    pub sessions: Sessions,
    /// Events that were asked for.
    pub events: u64,
    /// Totals of them, as the `end` of a recording has them.
    pub totals: End,
    /// Ends, by cause and by who brought them about, the most frequent first.
    pub endings: Vec<Ending>,
    /// `--warn-at` thresholds passed.
    pub deadline_thresholds: u64,
    /// Sums over all flows.
    pub all: Sums,
    /// Flows that were forgotten to bound memory; if they came again, they count twice.
    pub flows_forgotten: u64,
    /// Sums by what flows have in common, in the order of [`By::ALL`].
    pub groups: [Groups; By::ALL.len()],
    /// How long recovery took, ms.
    pub recovery_ms: Spread,
    /// RTOs that expired, ms.
    pub rto_ms: Spread,
    /// RTOs in a row, at worst, of each episode.
    pub deepest: Spread,
    /// The worst episodes.
    pub worst: Vec<Worst>,
    /// Episodes whose end is not recorded.
    pub open_episodes: u64,
    /// Predicted timeouts.
    pub forecasts: Forecasts,
    /// Who closed while TCP was retransmitting.
    pub hang_ups: HangUps,
    /// When.
    pub timeline: Timeline,
    /// Bytes that connections had sent or were to send, and that were not acknowledged when they failed.
    pub undelivered_bytes: u64,
}

/// How often connections ended so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Why.
    pub cause: Cause,
    /// By whom.
    pub who: Option<Who>,
    /// How often.
    pub count: u64,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally::new(Bounds::default())
    }
}

impl Tally {
    /// An empty one.
    pub(crate) fn new(bounds: Bounds) -> Tally {
        Tally {
            sessions: Following::default(),
            totals: Totals::default(),
            events: 0,
            who: BTreeMap::new(),
            deadline_thresholds: 0,
            flows: Flows::new(bounds.flows),
            forgotten: 0,
            all: Sums::default(),
            groupings: By::ALL.map(|by| Grouping::new(by, bounds.groups)),
            recovery_ms: Spread::default(),
            rto_ms: Spread::default(),
            deepest: Spread::default(),
            worst: WorstEpisodes::new(bounds.worst),
            open: 0,
            forecasts: Forecasts::default(),
            hang_ups: HangUps::default(),
            timeline: Timeline::new(bounds.bins),
            undelivered_bytes: 0,
        }
    }

    /// Takes the recording's next event. `wanted`: is it one that the user asked for?
    pub(crate) fn observe(&mut self, recorded: &Recorded, wanted: bool) {
        let Recorded { event, clock, session, .. } = recorded;
        let wall_ns = clock.wall_ns(event.mono_ns);
        self.sessions.observe(event, wall_ns, *session, wanted);
        if !wanted {
            return;
        }
        if event.what.role().reported {
            self.events += 1;
        }
        self.totals.count(event);
        let Some(flow) = &event.flow else { return };
        let at = SeenAt { mono_ns: event.mono_ns, wall_ns, session: *session };
        match &event.what {
            What::Retransmit(retransmit) => self.retransmit(flow, retransmit, at),
            What::InBackoff(in_backoff) => {
                let followed = self.flows.follow(flow);
                match &mut followed.episode {
                    Some(episode) => episode.seen_again(in_backoff, at),
                    None => followed.episode = Some(Box::new(OpenEpisode::began_before(in_backoff, at))),
                }
            }
            What::Threshold(threshold) => {
                self.deadline_thresholds += u64::from(threshold.name == ThresholdName::Deadline);
                self.flows.follow(flow);
            }
            What::Recovered(recovered) => self.recovered(flow, recovered, at),
            What::Closed(closed) => self.closed(flow, closed, at),
            // It makes no flow one of the report's.
            What::Observation(_) | What::Start(_) | What::Lost(_) | What::End(_) => {}
        }
        for followed in self.flows.take_forgotten() {
            self.forgotten += 1;
            self.put_away(followed);
        }
    }

    fn retransmit(&mut self, flow: &Arc<Flow>, retransmit: &Retransmit, at: SeenAt) {
        self.timeline.record(at.wall_ns);
        if let (None, Some(rto_ms)) = (retransmit.err, retransmit.rto_ms) {
            self.rto_ms.record(rto_ms);
        }
        let followed = self.flows.follow(flow);
        followed.counts.retransmit(retransmit);
        match &mut followed.episode {
            Some(episode) if episode.has(retransmit, at) => episode.goes_on(retransmit, at),
            episode => {
                let before = episode.replace(Box::new(OpenEpisode::begins(retransmit, at)));
                // How that one ended was not recorded.
                if let Some(before) = before {
                    self.left_open(*before, flow);
                }
            }
        }
    }

    fn recovered(&mut self, flow: &Arc<Flow>, recovered: &Recovered, at: SeenAt) {
        self.recovery_ms.record(recovered.duration_ms);
        let followed = self.flows.follow(flow);
        followed.counts.recovered(recovered);
        let episode = followed
            .episode
            .take()
            .map_or_else(|| OpenEpisode::only_its_end(recovered, at), |episode| *episode);
        self.over(episode.recovered(recovered, flow.clone()));
    }

    fn closed(&mut self, flow: &Arc<Flow>, closed: &Closed, at: SeenAt) {
        let who = closed.who.and_then(|who| Who::ALL.iter().position(|&one| one == who));
        self.who.entry(closed.cause).or_default()[who.unwrap_or(Who::ALL.len())] += 1;
        self.hang_ups.closed(closed);
        let followed = self.flows.follow(flow);
        followed.counts.closed(closed);
        let episode = followed.episode.take();
        self.forecasts.closed(closed, at.mono_ns, episode.as_ref().and_then(|episode| episode.forecast()));
        if closed.cause.is_death() {
            self.undelivered_bytes += u64::from(closed.unacked_bytes) + u64::from(closed.unsent_bytes);
        }
        let Some(mut followed) = self.flows.take(flow) else { return };
        if let Some(episode) = episode {
            let ended = episode.closed(closed.cause, closed.knob, at.mono_ns, followed.flow.clone());
            followed.counts.worst_ms = followed.counts.worst_ms.max(ended.duration_ms);
            self.over(ended);
        }
        self.put_away(followed);
    }

    fn over(&mut self, ended: Ended) {
        self.deepest.record(ended.deepest.into());
        self.worst.offer(ended);
    }

    fn left_open(&mut self, episode: OpenEpisode, flow: &Arc<Flow>) -> u64 {
        let ended = episode.left_open(flow.clone());
        let duration_ms = ended.duration_ms;
        self.open += 1;
        self.over(ended);
        duration_ms
    }

    /// The flow is gone, or forgotten: its sums go to its groups.
    fn put_away(&mut self, mut followed: Followed) {
        if let Some(episode) = followed.episode.take() {
            let duration_ms = self.left_open(*episode, &followed.flow);
            followed.counts.worst_ms = followed.counts.worst_ms.max(duration_ms);
        }
        let sums = Sums::of_flow(followed.counts);
        self.all += sums;
        for grouping in &mut self.groupings {
            grouping.add(&followed.flow, sums);
        }
    }

    /// The recording is over.
    pub(crate) fn finish(mut self) -> Report {
        let mut left = self.flows.drain();
        // Their order is chance, and it must not show.
        left.sort_by_key(|followed| (followed.flow.id, followed.flow.lport, followed.flow.rport));
        for followed in left {
            self.put_away(followed);
        }
        let sessions = self.sessions.finish();
        let totals = self.totals.into_end(sessions.recorded_ns / 1_000_000);
        let totals = End { lost: sessions.lost.clone(), flows_left: sessions.flows_left, ..totals };
        Report {
            events: self.events,
            totals,
            endings: endings(&self.who),
            deadline_thresholds: self.deadline_thresholds,
            all: self.all,
            flows_forgotten: self.forgotten,
            groups: self.groupings.map(Grouping::finish),
            recovery_ms: self.recovery_ms,
            rto_ms: self.rto_ms,
            deepest: self.deepest,
            worst: self.worst.finish(),
            open_episodes: self.open,
            forecasts: self.forecasts,
            hang_ups: self.hang_ups,
            timeline: self.timeline,
            undelivered_bytes: self.undelivered_bytes,
            sessions,
        }
    }
}

fn endings(who: &BTreeMap<Cause, [u64; WHO]>) -> Vec<Ending> {
    let mut endings: Vec<Ending> = who
        .iter()
        .flat_map(|(&cause, counts)| {
            let whos = Who::ALL.into_iter().map(Some).chain([None]);
            whos.zip(*counts).map(move |(who, count)| Ending { cause, who, count })
        })
        .filter(|ending| ending.count > 0)
        .collect();
    // The sort is stable: equals stay in the order of causes.
    endings.sort_by_key(|ending| std::cmp::Reverse(ending.count));
    endings
}

impl Report {
    /// The groups of one kind.
    pub(crate) fn groups(&self, by: By) -> &Groups {
        let at = By::ALL.iter().position(|&one| one == by).unwrap_or(0);
        &self.groups[at]
    }

    /// Sums over all flows.
    pub(crate) fn counts(&self) -> &Counts {
        &self.all.counts
    }
}
