//! What tcpretrans reports. Pure data: times are kernel monotonic nanoseconds (`mono_ns`), conversions to
//! wall-clock time happen at the sinks. `docs/events.md` has the JSON form.
//!
//! One file an event, and in it one definition of its fields (`json`). To add an event: its file, and its line in
//! `what.rs`; the compiler and the tests name every other place.

pub(crate) mod cause;
mod clock;
mod closed;
mod deadline;
mod end;
mod flow;
mod hung_up;
mod in_backoff;
pub(crate) mod json;
mod lost;
mod observation;
mod recovered;
mod retransmit;
mod start;
mod threshold;
mod what;

#[cfg(test)]
mod documented;
#[cfg(test)]
pub(crate) mod samples;

use std::sync::Arc;

pub use cause::{Cause, Who};
pub use clock::Clock;
pub use closed::Closed;
pub use deadline::{Deadline, Knob};
pub use end::{Account, End, Timeouts, TypeTotal};
pub use flow::{Family, Flow, FlowId};
pub use hung_up::{HungUp, HungUpSide};
pub use in_backoff::InBackoff;
pub use lost::{Lost, LostWhere, Unseen};
pub use observation::Observation;
pub use recovered::{Recovered, RecoveredBy};
pub use retransmit::{Retransmit, RetransmitType, SendError};
pub use start::{FeatureMap, Start};
pub use threshold::{Threshold, ThresholdName};
pub use what::{Role, What};

/// One thing that is reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Kernel monotonic time of it, ns.
    pub mono_ns: u64,
    /// Whose it is; `None` for the tracer's own events.
    pub flow: Option<Arc<Flow>>,
    /// What it is.
    pub what: What,
}
