//! What tcpretrans tells its users. Pure data: times are kernel monotonic nanoseconds (`mono_ns`), conversions to
//! wall-clock time happen at the sinks. `docs/events.md` has the JSON form.

pub mod cause;
pub mod clock;
pub mod closed;
pub mod deadline;
pub mod flow;
pub mod retransmit;
pub mod run;

#[cfg(test)]
pub(crate) mod samples;

use std::sync::Arc;

pub use cause::{Cause, Who};
pub use clock::Clock;
pub use closed::{Closed, HungUp, HungUpSide};
pub use deadline::{Deadline, Knob};
pub use flow::{Flow, FlowId};
pub use retransmit::{Retransmit, RetransmitType, SendError};
pub use run::{End, Lost, LostWhere, Start, Unseen};
use tcpretrans_ebpf::{Kind, Record};

/// One thing worth telling.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Kernel monotonic time of it, ns.
    pub mono_ns: u64,
    /// Whose it is; `None` for the tracer's own events.
    pub flow: Option<Arc<Flow>>,
    /// What it is.
    pub what: What,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// First of every file.
    Start(Box<Start>),
    /// A retransmission attempt.
    Retransmit(Box<Retransmit>),
    /// A connection that was in trouble already when the trace began.
    InBackoff(Box<InBackoff>),
    /// A threshold was passed; once an episode each.
    Threshold(Threshold),
    /// A loss episode is over, the data acknowledged.
    Recovered(Recovered),
    /// A traced flow left.
    Closed(Box<Closed>),
    /// What the kernel said that makes no event of its own, for recordings: replay needs it.
    Observation(Box<Observation>),
    /// Events did not reach us.
    Lost(Lost),
    /// Last of all.
    End(Box<End>),
}

impl What {
    /// Is it an event that a person asked for, and that `--count` counts?
    pub fn is_flow_event(&self) -> bool {
        matches!(self, What::Retransmit(_) | What::Threshold(_) | What::Recovered(_) | What::Closed(_))
    }
}

/// Something the kernel said about a troubled flow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// The tracepoint.
    pub kind: Kind,
    /// What it saw.
    pub record: Record,
}

/// A connection that was in trouble already when the trace began: where it is on its ladder.
#[derive(Debug, Clone, PartialEq)]
pub struct InBackoff {
    /// TCP state (`tcpretrans_ebpf::tcp_state`).
    pub state: u8,
    /// RTOs that expired without an answer (`icsk_retransmits`).
    pub retransmits: u32,
    /// Exponent of the backoff (`icsk_backoff`).
    pub backoff: u32,
    /// The RTO that is being waited for, ms.
    pub rto_ms: u64,
    /// Since the first retransmission, ms; `None`: the kernel does not tell.
    pub since_ms: Option<u64>,
    /// Segments retransmitted in the connection's whole life (`total_retrans`).
    pub total_retrans: u32,
    /// Bytes sent and not acknowledged.
    pub unacked_bytes: u32,
    /// When the kernel will give up; `None`: no death is pending, or it cannot be computed.
    pub deadline: Option<Deadline>,
    /// Ordinal of the episode, from 1.
    pub episode: u32,
}

/// Which threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThresholdName {
    /// `tcp_retries1`: the kernel starts to doubt route and MTU.
    Retries1,
    /// `--warn-at` of the death budget is used.
    Deadline,
}

impl ThresholdName {
    /// All thresholds.
    pub const ALL: [ThresholdName; 2] = [Self::Retries1, Self::Deadline];

    /// The name in JSON and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Retries1 => "retries1",
            Self::Deadline => "deadline",
        }
    }
}

/// A threshold was passed.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// Which.
    pub name: ThresholdName,
    /// When the flow will die, unless.
    pub deadline: Option<Deadline>,
    /// One sentence for people.
    pub note: String,
}

/// How a recovery was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecoveredBy {
    /// The congestion state went back to Open (`tcp_cong_state_set`).
    CongState,
    /// The peer acknowledged the tail loss probe (`tcp_process_tlp_ack`).
    TlpAck,
    /// The connection was established.
    Established,
    /// The next event showed progress: the recovery is older than the event's time.
    Progress,
    /// The socket closed with everything acknowledged that was retransmitted.
    Close,
}

impl RecoveredBy {
    /// All ways.
    pub const ALL: [RecoveredBy; 5] =
        [Self::CongState, Self::TlpAck, Self::Established, Self::Progress, Self::Close];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::CongState => "cong_state",
            Self::TlpAck => "tlp_ack",
            Self::Established => "established",
            Self::Progress => "progress",
            Self::Close => "close",
        }
    }
}

/// A loss episode is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// From the first retransmission to the end of the episode, ms.
    pub duration_ms: u64,
    /// Successful retransmission attempts.
    pub retransmissions: u32,
    /// Segments in them.
    pub segs: u32,
    /// Deepest RTO backoff: how many RTOs expired one after another.
    pub max_backoff: u32,
    /// Was the whole episode unnecessary? `None` where the kernel does not tell.
    pub spurious: Option<bool>,
    /// How it was noticed.
    pub by: RecoveredBy,
    /// Ordinal within the flow, from 1.
    pub episode: u32,
}
