//! One run of the tracer: from `start` to `end`, in one file or in many, alone in its file or with others.

use crate::event::{Event, Start};

/// What the `start` lines of one run have in common, in all of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// When it began: to the nanosecond, no two runs of one machine have the same.
    pub mono_ns: u64,
    kernel: String,
    command: Vec<String>,
}

impl Identity {
    pub(super) fn of(event: &Event, start: &Start) -> Identity {
        Identity { mono_ns: event.mono_ns, kernel: start.kernel.clone(), command: start.command.clone() }
    }
}

/// What is known of the session that is being read.
#[derive(Debug)]
pub(super) struct Session {
    pub identity: Identity,
    /// `ts` of its `start`, ns since 1970.
    pub began_ns: i64,
    /// The last `part` seen.
    pub part: Option<u32>,
    /// Was there an `end`?
    pub ended: bool,
}
