//! What a line of a recording means for a trace. Pure.

use crate::{
    event::{Event, Flow, LostWhere, Start, What},
    flow::{Config, Owner},
    pipe::{Trace, args::DEFAULT_WARN_AT_PERCENT},
};

/// What the user wants otherwise than it was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// `None`: as recorded.
    pub warn_at_percent: Option<u8>,
    /// False: as recorded.
    pub all_closes: bool,
}

impl Changes {
    /// What cannot be had from a recording that was made so.
    pub fn notes(&self, start: &Start) -> Vec<&'static str> {
        let mut notes = Vec::new();
        if self.all_closes && start.all_closes == Some(false) {
            notes.push(
                "--all-closes shows what is in the recording, and it was made without --all-closes: the ends of \
                 connections without retransmissions or errors are not in it",
            );
        }
        if start.filters.contains_key("type") {
            notes.push(
                "the recording was made with --type: retransmissions of other types are not in it, so that counts \
                 and episodes can be lower than they were live",
            );
        }
        notes
    }

    /// The correlation of the recorded trace.
    pub fn config(&self, start: &Start) -> Config {
        let warn_at = self.warn_at_percent.or(start.warn_at_percent).unwrap_or(DEFAULT_WARN_AT_PERCENT);
        Config {
            request_rto_max: start.features.get("request_rto_max").copied(),
            warn_at: f64::from(warn_at) / 100.0,
            all_closes: self.all_closes || start.all_closes == Some(true),
            reset_reasons: start.reset_reasons.clone().into_iter().collect(),
            ..Config::new(start.hz)
        }
    }
}

/// Takes a line between `start` and `end`: what the kernel said goes through the correlation, and what the live trace
/// made of it is made anew. What it said of itself stays.
pub fn observe(trace: &mut Trace, event: Event) {
    match &event.what {
        What::Retransmit(retransmit) => {
            trace.observe(retransmit.ty.attempt().kind(), &retransmit.record, &owner(event.flow.as_deref()));
        }
        What::Observation(observation) => {
            trace.observe(observation.kind, &observation.record, &owner(event.flow.as_deref()));
        }
        // The only ones that come of time passing, which here comes of the records alone.
        What::Closed(_) => {
            if let Some(flow) = &event.flow {
                trace.end_was_reported(flow.id, event.mono_ns);
            }
        }
        What::Lost(lost) => match lost.place {
            LostWhere::Map => trace.flows_were_forgotten(event.mono_ns),
            // Known from what the sockets counted, not from a loss that could have ended flows unseen.
            LostWhere::Unseen => trace.pass_on(event),
            LostWhere::Ring | LostWhere::Recursion | LostWhere::Output => {
                trace.records_are_missing(event.mono_ns);
                trace.pass_on(event);
            }
        },
        What::Threshold(_) | What::Recovered(_) | What::InBackoff(_) | What::Start(_) | What::End(_) => {}
    }
}

fn owner(flow: Option<&Flow>) -> Owner {
    flow.map_or_else(Owner::default, |flow| Owner {
        pid: flow.pid,
        comm: flow.comm.clone(),
        cgroup: flow.cgroup.clone(),
    })
}
