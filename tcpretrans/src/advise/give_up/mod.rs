//! `tcp_retries2` and TCP_USER_TIMEOUT: how long dead peers were waited for, and which values would notice them in time
//! without cutting off a connection that recovered.

mod search;
pub(super) mod silence;

use std::collections::BTreeMap;

use search::FirstTimeout;
pub(super) use search::{Choice, ForRetries};
use serde::Serialize;
use silence::{Silence, Unanswered};

use super::distribution::Distribution;
use crate::{
    deadline::TimerView,
    socket::{Hz, Jiffies, Micros},
};

/// Gathers silences.
#[derive(Debug, Clone, Default)]
pub(super) struct SilenceTally {
    recovered: Vec<Unanswered>,
    waited: BTreeMap<&'static str, Vec<Micros>>,
    hung_up: Vec<Micros>,
    unresolved: usize,
    /// First timeouts, by what the forecast depends on: one view stands for all that are alike.
    views: BTreeMap<ViewKey, Seen>,
    user_timeouts: usize,
    silences: usize,
}

/// HZ, RTO, RTO_MAX: the rest of a view shifts its timeouts by a few jiffies.
type ViewKey = (Hz, Jiffies, Jiffies);

#[derive(Debug, Clone)]
struct Seen {
    view: TimerView,
    /// The longest lead among them.
    lead: Micros,
    count: usize,
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct GiveUpAdvice {
    /// Silences with at least one RTO.
    pub silences: usize,
    /// Those after which the connection recovered: how long, since the original transmission.
    pub recovered: Option<Distribution>,
    /// Connections that the kernel gave up: by the knob that ended them, since the original transmission.
    pub given_up: BTreeMap<&'static str, Distribution>,
    /// Silences in which an application closed first.
    pub hung_up: Option<Distribution>,
    /// Silences that go on where the recording ends.
    pub unresolved: usize,
    /// Silences of connections with a TCP_USER_TIMEOUT: `tcp_retries2` is nothing to them.
    pub with_user_timeout: usize,
    /// What values of `tcp_retries2` would do.
    pub retries2: Vec<ForRetries>,
    /// The time asked for.
    pub detect_within_ms: u64,
    /// How to notice dead peers within it.
    pub choice: Option<Choice>,
}

impl SilenceTally {
    /// Takes one.
    pub(super) fn add(&mut self, silence: Silence) {
        self.silences += 1;
        if let Some(view) = &silence.view {
            if view.user_timeout.is_some() {
                self.user_timeouts += 1;
            } else {
                let key = (view.hz, view.rto, view.rto_max);
                let seen = self.views.entry(key).or_insert_with(|| Seen {
                    view: (**view).clone(),
                    lead: Micros(0),
                    count: 0,
                });
                seen.count += 1;
                seen.lead = seen.lead.max(silence.lead);
            }
        }
        match silence.end {
            silence::SilenceEnd::Recovered(unanswered) => self.recovered.push(unanswered),
            silence::SilenceEnd::GivenUp { knob, after } => {
                self.waited.entry(knob.map_or("unknown", |knob| knob.name())).or_default().push(after);
            }
            silence::SilenceEnd::HungUp { after } => self.hung_up.push(after),
            silence::SilenceEnd::Unresolved => self.unresolved += 1,
        }
    }

    /// Concludes.
    pub(super) fn conclude(&self, detect_within_ms: u64) -> GiveUpAdvice {
        let timeouts: Vec<FirstTimeout<'_>> = self
            .views
            .values()
            .map(|seen| FirstTimeout { view: &seen.view, lead: seen.lead, count: seen.count })
            .collect();
        GiveUpAdvice {
            silences: self.silences,
            recovered: Distribution::of(self.recovered.iter().map(|unanswered| unanswered.after)),
            given_up: self
                .waited
                .iter()
                .filter_map(|(&knob, waits)| Some((knob, Distribution::of(waits.iter().copied())?)))
                .collect(),
            hung_up: Distribution::of(self.hung_up.iter().copied()),
            unresolved: self.unresolved,
            with_user_timeout: self.user_timeouts,
            retries2: search::usual(&timeouts, &self.recovered),
            detect_within_ms,
            choice: search::within(&timeouts, &self.recovered, detect_within_ms),
        }
    }
}
