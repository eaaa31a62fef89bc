//! A loss episode as the events show it: its RTOs, how far it backed off, how it ended.

use std::sync::Arc;

use crate::event::{Cause, Deadline, Flow, InBackoff, Knob, Recovered, Retransmit};

const NS_PER_MS: u64 = 1_000_000;

/// The timeouts of an episode, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ladder {
    /// Those that expired, ms.
    pub expired_ms: Vec<u64>,
    /// How many more of them there were than there is room for.
    pub more: u32,
    /// The one that was waited for in the end, ms.
    pub waiting_ms: Option<u64>,
}

impl Ladder {
    /// `tcp_retries2` is 15 by default; few have more.
    const MOST: usize = 24;

    fn expire(&mut self, rto_ms: u64) {
        if self.expired_ms.len() < Self::MOST {
            self.expired_ms.push(rto_ms);
        } else {
            self.more += 1;
        }
    }
}

/// A forecast of when the kernel gives a connection up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FirstForecast {
    /// Which knob was to bring it about.
    pub knob: Knob,
    /// When it was made, mono ns.
    pub made_ns: u64,
    /// Not before.
    pub earliest_ns: u64,
    /// Most likely.
    pub expected_ns: u64,
    /// Not after.
    pub latest_ns: u64,
}

impl FirstForecast {
    fn of(deadline: &Deadline, made_ns: u64) -> FirstForecast {
        FirstForecast {
            knob: deadline.knob,
            made_ns,
            earliest_ns: deadline.earliest_ns,
            expected_ns: deadline.expected_ns,
            latest_ns: deadline.latest_ns,
        }
    }
}

/// An episode that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenEpisode {
    /// The session and the ordinal by which its events are known.
    id: (u32, u32),
    /// The first retransmission, mono ns.
    began_ns: u64,
    /// The same by the wall's clock.
    began_wall_ns: i64,
    /// The latest event.
    last_ns: u64,
    sent: u64,
    deepest: u32,
    ladder: Ladder,
    /// The first forecast since a timeout, by the knob that it is about now.
    forecast: Option<FirstForecast>,
}

/// How an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EpisodeOutcome {
    /// The data was acknowledged. Was it spurious?
    Recovered(Option<bool>),
    /// The connection ended in it.
    Closed(Cause, Option<Knob>),
    /// It was not over when the recording ended, or its end is not recorded.
    Open,
}

/// An episode that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Whose it was.
    pub flow: Arc<Flow>,
    /// When it began, ns since 1970.
    pub began_wall_ns: i64,
    /// From its first retransmission to its end, ms.
    pub duration_ms: u64,
    /// Retransmissions.
    pub sent: u64,
    /// RTOs in a row at worst.
    pub deepest: u32,
    /// Its timeouts.
    pub ladder: Ladder,
    /// How it ended.
    pub outcome: EpisodeOutcome,
}

/// When an event was, by both clocks, and in which session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenAt {
    /// mono ns
    pub mono_ns: u64,
    /// ns since 1970
    pub wall_ns: i64,
    /// The session.
    pub session: u32,
}

impl OpenEpisode {
    fn new(ordinal: u32, at: SeenAt, ago_ns: u64) -> OpenEpisode {
        OpenEpisode {
            id: (at.session, ordinal),
            began_ns: at.mono_ns.saturating_sub(ago_ns),
            began_wall_ns: at.wall_ns.saturating_sub_unsigned(ago_ns),
            last_ns: at.mono_ns,
            sent: 0,
            deepest: 0,
            ladder: Ladder::default(),
            forecast: None,
        }
    }

    /// It begins with this retransmission.
    pub(crate) fn begins(retransmit: &Retransmit, at: SeenAt) -> OpenEpisode {
        let mut episode = OpenEpisode::new(retransmit.episode, at, 0);
        episode.goes_on(retransmit, at);
        episode
    }

    /// It began before the trace.
    pub(crate) fn began_before(in_backoff: &InBackoff, at: SeenAt) -> OpenEpisode {
        let ago_ns = in_backoff.since_ms.unwrap_or(0).saturating_mul(NS_PER_MS);
        let mut episode = OpenEpisode::new(in_backoff.episode, at, ago_ns);
        episode.seen_again(in_backoff, at);
        episode
    }

    /// All of it that is known is how it ended.
    pub(crate) fn only_its_end(recovered: &Recovered, at: SeenAt) -> OpenEpisode {
        let ago_ns = recovered.duration_ms.saturating_mul(NS_PER_MS);
        OpenEpisode {
            sent: recovered.retransmissions.into(),
            ..OpenEpisode::new(recovered.episode, at, ago_ns)
        }
    }

    /// Is this retransmission one of it?
    pub(crate) fn has(&self, retransmit: &Retransmit, at: SeenAt) -> bool {
        self.id == (at.session, retransmit.episode)
    }

    /// A further retransmission.
    pub(crate) fn goes_on(&mut self, retransmit: &Retransmit, at: SeenAt) {
        self.last_ns = at.mono_ns;
        self.sent += u64::from(retransmit.err.is_none());
        self.deepest = self.deepest.max(retransmit.retransmits);
        if let Some(rto_ms) = retransmit.rto_ms {
            self.ladder.expire(rto_ms);
            self.ladder.waiting_ms = retransmit.next_rto_ms;
        }
        // A peer that answers is not dying: the countdown begins with the first timeout.
        if retransmit.retransmits > 0 || retransmit.rto_ms.is_some() {
            self.foresee(retransmit.deadline.as_ref(), at);
        }
    }

    /// A later session of the tracer found it in its backoff.
    pub(crate) fn seen_again(&mut self, in_backoff: &InBackoff, at: SeenAt) {
        self.id = (at.session, in_backoff.episode);
        self.last_ns = at.mono_ns;
        self.deepest = self.deepest.max(in_backoff.retransmits);
        self.ladder.waiting_ms = Some(in_backoff.rto_ms);
        self.foresee(in_backoff.deadline.as_ref(), at);
    }

    fn foresee(&mut self, deadline: Option<&Deadline>, at: SeenAt) {
        if let Some(deadline) = deadline
            && self.forecast.is_none_or(|forecast| forecast.knob != deadline.knob)
        {
            self.forecast = Some(FirstForecast::of(deadline, at.mono_ns));
        }
    }

    /// The forecast made at the first RTO.
    pub(crate) fn forecast(&self) -> Option<FirstForecast> {
        self.forecast
    }

    /// It ended well.
    pub(crate) fn recovered(self, recovered: &Recovered, flow: Arc<Flow>) -> Ended {
        let deepest = self.deepest.max(recovered.max_backoff);
        let outcome = EpisodeOutcome::Recovered(recovered.spurious);
        Ended { deepest, ..self.ended(flow, recovered.duration_ms, outcome) }
    }

    /// It ended with its connection.
    pub(crate) fn closed(self, cause: Cause, knob: Option<Knob>, closed_ns: u64, flow: Arc<Flow>) -> Ended {
        let duration_ms = closed_ns.saturating_sub(self.began_ns) / NS_PER_MS;
        self.ended(flow, duration_ms, EpisodeOutcome::Closed(cause, knob))
    }

    /// Its end was not recorded.
    pub(crate) fn left_open(self, flow: Arc<Flow>) -> Ended {
        let duration_ms = self.last_ns.saturating_sub(self.began_ns) / NS_PER_MS;
        self.ended(flow, duration_ms, EpisodeOutcome::Open)
    }

    fn ended(self, flow: Arc<Flow>, duration_ms: u64, outcome: EpisodeOutcome) -> Ended {
        Ended {
            flow,
            began_wall_ns: self.began_wall_ns,
            duration_ms,
            sent: self.sent,
            deepest: self.deepest,
            ladder: self.ladder,
            outcome,
        }
    }
}
