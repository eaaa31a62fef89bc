//! Takes a recording's events one by one, and concludes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::{
    estimator::Past,
    give_up::{self, GiveUpAdvice, silence::Silences},
    loss_finder::LossFinder,
    remote::Remote,
    rto_min::{self, RtoMinAdvice, USUAL_FLOORS_MS},
    timeouts::{
        app_requests::{self, RequestAdvice, Stalling},
        connects::{self, ConnectAdvice, Connecting},
    },
};
use crate::{
    deadline,
    event::{Event, FlowId, What},
    form::Timestamp,
    socket::{Hz, Jiffies, SnapshotExt},
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Questions {
    /// RTO floors beside the usual ones, ms.
    pub floors_ms: Vec<u32>,
    /// Time within which a dead peer must be noticed, ms.
    pub detect_within_ms: u64,
}

/// What came of a recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Advice {
    /// What was read.
    pub recording: RecordingFacts,
    /// RTO_MIN.
    pub rto_min: RtoMinAdvice,
    /// Timeouts of connect().
    pub connect_timeout: ConnectAdvice,
    /// Timeouts of requests.
    pub request_timeout: RequestAdvice,
    /// `tcp_retries2` and TCP_USER_TIMEOUT.
    pub give_up: GiveUpAdvice,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub(crate) struct RecordingFacts {
    /// Traces in it.
    pub sessions: usize,
    /// Kernels that they ran on (`uname -r`).
    pub kernels: Vec<String>,
    /// Timer ticks a second.
    pub hz: Vec<u32>,
    /// Events of flows that the filters let through.
    pub events: u64,
    /// Flows among them.
    pub flows: usize,
    /// Records that the trace lost, by its own count: what follows may lack them.
    pub records_lost: u64,
    /// Time of the first event; `None`: there was none.
    pub first: Option<Timestamp>,
    /// Time of the last.
    pub last: Option<Timestamp>,
}

/// Gathers evidence.
#[derive(Debug)]
pub(crate) struct Advisor {
    questions: Questions,
    sessions: BTreeMap<u32, Option<Hz>>,
    kernels: BTreeSet<String>,
    flows: HashMap<(u32, FlowId), OpenFlow>,
    recording: RecordingFacts,
    losses: rto_min::LossTally,
    connects: connects::ConnectTally,
    requests: app_requests::StallTally,
    silences: give_up::SilenceTally,
}

/// What is known of a flow that is not closed.
#[derive(Debug, Default)]
struct OpenFlow {
    number: u32,
    remote: Option<Remote>,
    past: Past,
    losses: LossFinder,
    connecting: Option<Connecting>,
    stalling: Option<Stalling>,
    silences: Silences,
}

impl Advisor {
    /// For these questions.
    pub(crate) fn new(questions: Questions) -> Advisor {
        let floors_ms = USUAL_FLOORS_MS.into_iter().chain(questions.floors_ms.iter().copied());
        Advisor {
            losses: rto_min::LossTally::new(floors_ms),
            questions,
            sessions: BTreeMap::new(),
            kernels: BTreeSet::new(),
            flows: HashMap::new(),
            recording: RecordingFacts::default(),
            connects: connects::ConnectTally::default(),
            requests: app_requests::StallTally::default(),
            silences: give_up::SilenceTally::default(),
        }
    }

    /// Takes one event of a session; `wall_ns` is its time on the wall clock, since 1970.
    pub(crate) fn observe(&mut self, session: u32, wall_ns: i64, event: &Event) {
        let now = Timestamp { wall_ns };
        self.recording.first = Some(self.recording.first.map_or(now, |first| first.min(now)));
        self.recording.last = Some(self.recording.last.map_or(now, |last| last.max(now)));
        let hz = self.sessions.entry(session).or_default();
        match &event.what {
            What::Start(start) => {
                *hz = Some(start.hz).filter(|hz| PLAUSIBLE_HZ.contains(hz)).map(Hz::new);
                self.kernels.insert(start.kernel.clone());
            }
            What::Lost(lost) => {
                self.recording.records_lost = self.recording.records_lost.saturating_add(lost.records);
            }
            What::Retransmit(_)
            | What::InBackoff(_)
            | What::Threshold(_)
            | What::Recovered(_)
            | What::Closed(_)
            | What::Observation(_)
            | What::End(_) => {}
        }
        let Some(flow) = event.flow.as_deref().filter(|_| is_plausible(event)) else { return };
        self.recording.events += 1;
        if hz.is_none() {
            *hz = hz_of(event);
        }
        let Some(hz) = *hz else { return };
        let key = (session, flow.id);
        let flows = &mut self.recording.flows;
        let state = self.flows.entry(key).or_insert_with(|| {
            *flows += 1;
            OpenFlow { number: *flows as u32, ..OpenFlow::default() }
        });
        state.learn(event, hz);
        let (remote, number) = (Remote::of(flow), state.number);
        let losses = &mut self.losses;
        state.losses.observe(event, &state.past, hz, &mut |finding| {
            losses.add(remote, number, &finding);
        });
        if let Some(connect) = Connecting::observe(&mut state.connecting, event) {
            self.connects.add(connect);
        }
        if let Some(stall) = Stalling::observe(&mut state.stalling, &state.past, event, hz) {
            self.requests.add(stall);
        }
        if let Some(silence) = state.silences.observe(event, &state.past, hz) {
            self.silences.add(silence);
        }
        state.remote = Some(remote);
        if matches!(event.what, What::Closed(_)) {
            self.flows.remove(&key);
        }
    }

    /// The recording is read.
    pub(crate) fn conclude(mut self) -> Advice {
        let losses = &mut self.losses;
        for mut state in self.flows.into_values() {
            if let Some(remote) = state.remote {
                state.losses.finish(&mut |finding| losses.add(remote, state.number, &finding));
            }
            if let Some(silence) = state.silences.finish() {
                self.silences.add(silence);
            }
        }
        let hz: BTreeSet<u32> = self.sessions.values().flatten().map(|hz| hz.get()).collect();
        let kernels: Vec<String> = self.kernels.into_iter().collect();
        Advice {
            rto_min: self.losses.conclude(&self.questions.floors_ms, &kernels),
            connect_timeout: self.connects.conclude(),
            request_timeout: self.requests.conclude(),
            give_up: self.silences.conclude(self.questions.detect_within_ms),
            recording: RecordingFacts {
                sessions: self.sessions.len(),
                hz: hz.into_iter().collect(),
                kernels,
                ..self.recording
            },
        }
    }
}

impl OpenFlow {
    /// Looks at the estimator, where the event shows it.
    fn learn(&mut self, event: &Event, hz: Hz) {
        let of_handshake =
            matches!(&event.what, What::Retransmit(retransmit) if retransmit.ty.is_handshake());
        if let Some(record) = event.what.record().filter(|_| !of_handshake) {
            self.past.learn(&record.sock, hz);
        }
    }
}

/// Linux has had no others.
const PLAUSIBLE_HZ: std::ops::RangeInclusive<u32> = 10..=10_000;

/// Can it have happened? Nothing follows from what a damaged recording makes up.
fn is_plausible(event: &Event) -> bool {
    event.mono_ns < 1 << 60
        && !matches!(&event.what, What::Retransmit(retransmit) if !deadline::is_plausible(&retransmit.record))
}

/// HZ of a recording without its beginning: a timer's event has its RTO in jiffies and in ms.
fn hz_of(event: &Event) -> Option<Hz> {
    const USUAL: [u32; 4] = [100, 250, 300, 1000];
    let What::Retransmit(retransmit) = &event.what else { return None };
    let rto = retransmit.record.sock.rto();
    let rto_ms = retransmit.rto_ms.filter(|&ms| ms > 0 && rto > Jiffies(0))?;
    let off_by = |hz: &Hz| hz.displayed(rto).0.abs_diff(rto_ms);
    USUAL.map(Hz::new).into_iter().min_by_key(off_by)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tcpretrans_ebpf::{Field, Record};

    use super::*;
    use crate::{
        advise::{
            story,
            story::{closed, hung_up, of_record, recovered, rto, slow_start, tlp},
            text,
        },
        event::{Cause, RecoveredBy, RetransmitType, Start, samples as sample},
    };

    fn advisor() -> Advisor {
        Advisor::new(Questions { floors_ms: vec![1, 10_000], detect_within_ms: 30_000 })
    }

    #[test]
    fn without_its_beginning_a_recording_shows_hz_in_its_timers() {
        assert_eq!(hz_of(&rto(208, 1)), Some(Hz::new(250)));
        assert_eq!(hz_of(&tlp(208)), None);
        let mut advisor = advisor();
        for event in [tlp(208), rto(1208, 1), recovered(1209, RecoveredBy::CongState, Some(false))] {
            advisor.observe(0, 0, &event);
        }
        let advice = advisor.conclude();
        assert_eq!((advice.recording.hz, advice.rto_min.evidence.losses), (vec![250], 1));
    }

    #[test]
    fn sessions_are_kept_apart() {
        let mut advisor = advisor();
        for session in 0..2 {
            advisor.observe(session, i64::from(session), &rto(208, 1));
        }
        let advice = advisor.conclude();
        assert_eq!((advice.recording.sessions, advice.recording.flows), (2, 2));
        assert_eq!(advice.give_up.unresolved, 2);
        assert_eq!(advice.recording.last.map(|last| last.wall_ns), Some(1));
    }

    fn record() -> impl Strategy<Value = Record> {
        let fields = proptest::sample::subsequence(Field::SNAPSHOT, 0..12);
        let value =
            prop_oneof![Just(0), Just(u64::MAX), 0..300u64, any::<u32>().prop_map(u64::from), any::<u64>()];
        let values = proptest::collection::vec(value, 12);
        let times = prop_oneof![0..10_000_000u64, any::<u64>()];
        (fields, values, times, any::<u64>(), -200..3i32).prop_map(|(fields, values, ms, jiffies, err)| {
            let mut record = story::record(0);
            record.mono_ns = crate::socket::Millis(ms).to_nanos().0;
            record.jiffies = jiffies >> (ms % 64);
            record.err = err;
            for (field, value) in fields.iter().zip(values) {
                record.set(field.name(), value.into());
            }
            record
        })
    }

    fn event() -> impl Strategy<Value = Event> {
        let types = proptest::sample::select(RetransmitType::ALL.to_vec());
        let retransmission = (types, record()).prop_map(|(ty, record)| of_record(ty, record));
        let usual = (0..20_000u64, 0..8u8).prop_map(|(ms, what)| match what {
            0 => tlp(ms),
            1..=3 => rto(ms, what),
            4 => slow_start(ms),
            5 => recovered(ms, RecoveredBy::CongState, Some(ms % 2 == 0)),
            6 => hung_up(ms, ms.saturating_mul(u64::MAX / 7)),
            _ => closed(ms, Cause::ALL[ms as usize % Cause::ALL.len()], None),
        });
        prop_oneof![retransmission, usual]
    }

    proptest! {
        #[test]
        fn whatever_a_recording_says_there_is_an_answer(
            events in proptest::collection::vec(event(), 0..40),
            hz in proptest::sample::select(vec![0u32, 100, 250, 1000, u32::MAX]),
        ) {
            let mut advisor = advisor();
            let start = Start { hz, ..sample::start() };
            let start = Event { mono_ns: 0, flow: None, what: What::Start(Box::new(start)) };
            advisor.observe(0, i64::MIN, &start);
            for event in &events {
                advisor.observe(0, i64::MAX, event);
            }
            let advice = advisor.conclude();
            prop_assert!(serde_json::to_string(&advice).is_ok());
            let page = crate::page::Page { columns: 80, colour: false };
            prop_assert!(!text::render(&advice, page).is_empty());
        }
    }
}
