//! One recorded trace, run through the correlation again. Pure.

use tcpretrans_ebpf::{Kind, Record};

use crate::{
    event::{End, Event, Flow, LostWhere, Start, What},
    flow::{Config, Correlator, Owner, correlator::DEFAULT_MAX_FLOWS},
    sink::Totals,
};

/// What the user wants otherwise than it was recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// `None`: as recorded.
    pub warn_at_percent: Option<u8>,
    /// False: as recorded.
    pub all_closes: bool,
}

/// Of recordings that do not say it.
const DEFAULT_WARN_AT_PERCENT: u8 = 50;

impl Settings {
    /// What cannot be had from a recording that was made so.
    pub fn notes(&self, start: &Start) -> Vec<&'static str> {
        let mut notes = Vec::new();
        if self.all_closes && start.all_closes == Some(false) {
            notes.push(
                "--all-closes shows what is in the recording, and it was made without --all-closes: the ends of \
                 connections that had no trouble are not in it",
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
}

/// A session that is being replayed.
#[derive(Debug)]
pub struct Session {
    correlator: Correlator,
    began_ns: u64,
    latest_ns: u64,
}

impl Session {
    /// Begins as the recorded trace did at `mono_ns`.
    pub fn begin(mono_ns: u64, start: &Start, settings: Settings) -> Session {
        let warn_at = settings.warn_at_percent.or(start.warn_at_percent).unwrap_or(DEFAULT_WARN_AT_PERCENT);
        let config = Config {
            hz: start.hz,
            request_rto_max: start.features.get("request_rto_max").copied(),
            warn_at: f64::from(warn_at) / 100.0,
            all_closes: settings.all_closes || start.all_closes == Some(true),
            reset_reasons: start.reset_reasons.clone().into_iter().collect(),
            max_flows: DEFAULT_MAX_FLOWS,
        };
        Session { correlator: Correlator::new(config), began_ns: mono_ns, latest_ns: mono_ns }
    }

    /// Takes a line: what the kernel said goes through the correlation, and what the live trace made of it is made
    /// anew. What it said of itself stays.
    pub fn take(&mut self, event: Event, events: &mut Vec<Event>) {
        self.latest_ns = self.latest_ns.max(event.mono_ns);
        match &event.what {
            What::Retransmit(retransmit) => {
                self.observe(retransmit.ty.tracepoint(), &retransmit.record, event.flow.as_deref(), events);
            }
            What::Observation(observation) => {
                self.observe(observation.kind, &observation.record, event.flow.as_deref(), events);
            }
            // The only ones that come of time passing, which here comes of the records alone.
            What::Closed(_) => {
                if let Some(flow) = &event.flow {
                    self.correlator.end_was_told(flow.id, event.mono_ns, events);
                }
            }
            What::Threshold(_) | What::Recovered(_) | What::InBackoff(_) | What::End(_) => {}
            What::Lost(lost) if lost.place == LostWhere::Map => {
                self.correlator.report_evictions(event.mono_ns, events);
            }
            // Known from what the sockets counted, not from a loss that could have ended flows unseen.
            What::Lost(lost) if lost.place == LostWhere::Unseen => events.push(event),
            What::Lost(_) => {
                self.correlator.records_were_lost(event.mono_ns);
                events.push(event);
            }
            What::Start(_) => events.push(event),
        }
    }

    fn observe(&mut self, kind: Kind, record: &Record, flow: Option<&Flow>, events: &mut Vec<Event>) {
        let owner = flow.map_or_else(Owner::default, |flow| Owner {
            pid: flow.pid,
            comm: flow.comm.clone(),
            cgroup: flow.cgroup.clone(),
        });
        self.correlator.observe(kind, record, &owner, events);
    }

    /// Lines of the recording are missing before this time.
    pub fn records_are_missing(&mut self, mono_ns: u64) {
        self.correlator.records_were_lost(mono_ns);
    }

    /// The trace ended then: nothing more will come.
    pub fn finish(&mut self, mono_ns: u64, events: &mut Vec<Event>) {
        self.correlator.finish(mono_ns, events);
    }

    /// The `end` for what was replayed; `recorded` is the live trace's.
    pub fn end(&self, mut totals: Totals, mono_ns: u64, recorded: &End) -> Event {
        // Another output of that trace may have lost some, and what was lost last has no event.
        for (&place, &records) in &recorded.lost {
            totals.lose(place, records.saturating_sub(totals.lost(place)));
        }
        let end = End {
            records: recorded.records.clone(),
            records_sent: recorded.records_sent,
            records_received: recorded.records_received,
            flows_left: self.correlator.flows() as u64,
            ..totals.into_end(recorded.duration_ms)
        };
        Event { mono_ns, flow: None, what: What::End(Box::new(end)) }
    }

    /// Monotonic time of the latest line, ns.
    pub fn latest_ns(&self) -> u64 {
        self.latest_ns
    }

    /// From its start to its latest line.
    pub fn duration_ms(&self) -> u64 {
        (self.latest_ns - self.began_ns) / 1_000_000
    }
}
