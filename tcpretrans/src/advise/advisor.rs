//! Takes a recording's events one by one, and concludes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::{
    estimator::Past,
    give_up::{self, GiveUpAdvice, silence::Silent},
    losses::Losses,
    remote::Remote,
    rto_min::{self, RtoMinAdvice, USUAL_FLOORS_MS},
    timeouts::{
        connects::{self, ConnectAdvice, Connecting},
        requests::{self, RequestAdvice, Stalling},
    },
};
use crate::{
    deadline::Kernel,
    event::{Event, FlowId, RetransmitType, What},
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions {
    /// RTO floors beside the usual ones, ms.
    pub floors_ms: Vec<u32>,
    /// Within which time a dead peer shall be noticed, ms.
    pub detect_within_ms: u64,
}

/// What came of a recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// What was read.
    pub recording: Recording,
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
pub struct Recording {
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
    /// First and last event, wall clock, ns since 1970; `None`: there was none.
    #[serde(skip)]
    pub span_ns: Option<(i64, i64)>,
}

/// Gathers evidence.
#[derive(Debug)]
pub struct Advisor {
    questions: Questions,
    sessions: BTreeMap<u32, Option<Kernel>>,
    kernels: BTreeSet<String>,
    flows: HashMap<(u32, FlowId), FlowState>,
    recording: Recording,
    losses: rto_min::Tally,
    connects: connects::Tally,
    requests: requests::Tally,
    silences: give_up::Tally,
}

/// What is known of a flow that is not closed.
#[derive(Debug, Default)]
struct FlowState {
    number: u32,
    past: Past,
    losses: Losses,
    connecting: Option<Connecting>,
    stalling: Option<Stalling>,
    silent: Option<Silent>,
}

impl Advisor {
    /// For these questions.
    pub fn new(questions: Questions) -> Advisor {
        let floors_ms = USUAL_FLOORS_MS.into_iter().chain(questions.floors_ms.iter().copied());
        Advisor {
            losses: rto_min::Tally::new(floors_ms),
            questions,
            sessions: BTreeMap::new(),
            kernels: BTreeSet::new(),
            flows: HashMap::new(),
            recording: Recording::default(),
            connects: connects::Tally::default(),
            requests: requests::Tally::default(),
            silences: give_up::Tally::default(),
        }
    }

    /// Takes one event of a session; `wall_ns` is its time on the wall clock, since 1970.
    pub fn observe(&mut self, session: u32, wall_ns: i64, event: &Event) {
        let (first, last) = self.recording.span_ns.unwrap_or((wall_ns, wall_ns));
        self.recording.span_ns = Some((first.min(wall_ns), last.max(wall_ns)));
        let kernel = self.sessions.entry(session).or_default();
        match &event.what {
            What::Start(start) => {
                *kernel = Some(Kernel::new(start.hz));
                self.kernels.insert(start.kernel.clone());
            }
            What::Lost(lost) => {
                self.recording.records_lost = self.recording.records_lost.saturating_add(lost.records);
            }
            _ => {}
        }
        let Some(flow) = &event.flow else { return };
        self.recording.events += 1;
        // A recording that was cut off at its beginning has no `start`.
        let Some(kernel) = *kernel.get_or_insert_with(|| None.or(kernel_of(event))).into() else { return };
        let _ = (flow, kernel);
    }
}

fn kernel_of(_event: &Event) -> Option<Kernel> {
    None
}
