//! Events about the trace itself.

use std::{borrow::Cow, collections::BTreeMap};

use super::{Cause, RetransmitType};

/// What the kernel lets us see here, by name (`docs/kernels.md`).
pub type FeatureMap = BTreeMap<Cow<'static, str>, bool>;

/// First line of every file, rotated ones too.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Of tcpretrans.
    pub version: String,
    /// `uname -r`
    pub kernel: String,
    /// Timer ticks a second.
    pub hz: u32,
    /// The command line.
    pub command: Vec<String>,
    /// The filters in force, as text by option; empty: everything.
    pub filters: BTreeMap<String, String>,
    /// Wall clock less monotonic clock, ns.
    pub clock_ns: i64,
    /// What this kernel lets us see.
    pub features: FeatureMap,
    /// `enum sk_rst_reason` of this kernel: the numbers in recorded resets shift between versions.
    pub reset_reasons: BTreeMap<u32, String>,
    /// `--warn-at`, percent: replay passes the same thresholds.
    pub warn_at_percent: Option<u8>,
    /// `--all-closes`: without it, the ends of connections that had no trouble are not in a recording.
    pub all_closes: Option<bool>,
    /// Which file of the trace this one is, from 1: what was rotated away shows by it.
    pub part: Option<u32>,
}

/// Where events were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LostWhere {
    /// The ring buffer was full.
    Ring,
    /// The program was already running on that CPU.
    Recursion,
    /// A table of flows was full.
    Map,
    /// The output could not be written.
    Output,
}

impl LostWhere {
    /// All places.
    pub const ALL: [LostWhere; 4] = [Self::Ring, Self::Recursion, Self::Map, Self::Output];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Recursion => "recursion",
            Self::Map => "map",
            Self::Output => "output",
        }
    }
}

/// Events did not reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// How many since the last such event.
    pub records: u64,
    /// Where.
    pub place: LostWhere,
}

/// Totals of one retransmission type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TypeTotal {
    /// Attempts that were sent.
    pub sent: u64,
    /// Attempts that failed locally.
    pub failed: u64,
    /// Segments in those sent.
    pub segs: u64,
    /// Payload bytes in those sent.
    pub bytes: u64,
}

/// Last line: the totals.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct End {
    /// Length of the trace, ms.
    pub duration_ms: u64,
    /// By retransmission type.
    pub retransmits: BTreeMap<RetransmitType, TypeTotal>,
    /// Thresholds passed.
    pub thresholds: u64,
    /// Loss episodes recovered.
    pub recovered: u64,
    /// Flows that left, by cause.
    pub closed: BTreeMap<Cause, u64>,
    /// Records lost, by place.
    pub lost: BTreeMap<LostWhere, u64>,
    /// Records that the programs submitted to the ring.
    pub records_sent: u64,
    /// Records that were read from it.
    pub records_received: u64,
    /// Flows still remembered: connections that had trouble and are still open, and handshakes in progress.
    pub flows_left: u64,
}
