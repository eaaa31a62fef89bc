//! `tcp_retries2` and TCP_USER_TIMEOUT: how long dead peers were waited for, and which values would notice them in time
//! without cutting off a connection that recovered.

mod search;
pub mod silence;

use std::collections::BTreeMap;

use search::Ladder;
pub use search::{Choice, ForRetries, UserTimeout};
use serde::Serialize;
use silence::{Patience, Silence};

use super::distribution::Distribution;
use crate::deadline::TimerView;

/// Gathers silences.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    recovered: Vec<Patience>,
    waited: BTreeMap<&'static str, Vec<i64>>,
    hung_up_us: Vec<i64>,
    unresolved: usize,
    /// First timeouts, by what the forecast depends on: one view stands for all that are alike.
    views: BTreeMap<ViewKey, Seen>,
    user_timeouts: usize,
    silences: usize,
}

/// HZ, RTO, RTO_MAX: the rest of a view shifts its ladder by a few jiffies.
type ViewKey = (u32, u32, u32);

#[derive(Debug, Clone)]
struct Seen {
    view: TimerView,
    /// The longest lead among them.
    lead_us: i64,
    count: usize,
}

/// The advice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GiveUpAdvice {
    /// Silences with at least one RTO.
    pub silences: usize,
    /// Those after which the connection recovered: how long, since the original transmission.
    pub recovered: Option<Distribution>,
    /// Connections that the kernel gave up: by the knob that ended them, since the original transmission.
    pub given_up: BTreeMap<&'static str, Distribution>,
    /// Silences in which an application hung up first.
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

impl Tally {
    /// Takes one.
    pub fn add(&mut self, silence: Silence) {
        self.silences += 1;
        if let Some(view) = &silence.view {
            if view.user_timeout_ms.is_some_and(|ms| ms > 0) {
                self.user_timeouts += 1;
            } else {
                let key = (view.kernel.hz, view.rto_jiffies, view.rto_max_jiffies);
                let seen = self.views.entry(key).or_insert_with(|| Seen {
                    view: (**view).clone(),
                    lead_us: 0,
                    count: 0,
                });
                seen.count += 1;
                seen.lead_us = seen.lead_us.max(silence.lead_us);
            }
        }
        match silence.end {
            silence::End::Recovered(patience) => self.recovered.push(patience),
            silence::End::GivenUp { knob, after_us } => {
                self.waited.entry(knob.map_or("unknown", |knob| knob.name())).or_default().push(after_us);
            }
            silence::End::HungUp { after_us } => self.hung_up_us.push(after_us),
            silence::End::Unresolved => self.unresolved += 1,
        }
    }

    /// Concludes.
    pub fn conclude(&self, detect_within_ms: u64) -> GiveUpAdvice {
        let ladders: Vec<Ladder<'_>> = self
            .views
            .values()
            .map(|seen| Ladder { view: &seen.view, lead_us: seen.lead_us, count: seen.count })
            .collect();
        GiveUpAdvice {
            silences: self.silences,
            recovered: Distribution::of_us(self.recovered.iter().map(|patience| patience.after_us)),
            given_up: self
                .waited
                .iter()
                .filter_map(|(&knob, waits)| Some((knob, Distribution::of_us(waits.iter().copied())?)))
                .collect(),
            hung_up: Distribution::of_us(self.hung_up_us.iter().copied()),
            unresolved: self.unresolved,
            with_user_timeout: self.user_timeouts,
            retries2: search::usual(&ladders, &self.recovered),
            detect_within_ms,
            choice: search::within(&ladders, &self.recovered, detect_within_ms),
        }
    }
}
