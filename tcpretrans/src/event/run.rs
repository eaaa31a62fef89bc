//! Events about the trace itself.

use std::{borrow::Cow, collections::BTreeMap, ops::AddAssign};

use tcpretrans_ebpf::Kind;

use super::{Cause, RetransmitType, SendError};

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
    /// The kernel ran no program, and counted nothing: only the socket's own counts tell, afterwards.
    Unseen,
}

impl LostWhere {
    /// All places.
    pub const ALL: [LostWhere; 5] = [Self::Ring, Self::Recursion, Self::Map, Self::Output, Self::Unseen];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Recursion => "recursion",
            Self::Map => "map",
            Self::Output => "output",
            Self::Unseen => "unseen",
        }
    }
}

/// Events did not reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// How many since the last such event; of [`LostWhere::Unseen`], how many at least.
    pub records: u64,
    /// Where.
    pub place: LostWhere,
    /// What the socket's counts tell of those that are [`LostWhere::Unseen`].
    pub unseen: Option<Unseen>,
}

impl Lost {
    /// Losses that were counted where they happened.
    pub fn counted(records: u64, place: LostWhere) -> Lost {
        Lost { records, place, unseen: None }
    }
}

/// Retransmissions of one flow that made no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unseen {
    /// Segments that the kernel counted as retransmitted, exactly.
    pub segs: u64,
    /// They may be attempts that failed locally: this kernel makes no record of those.
    pub maybe_failed: bool,
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
    /// Segments in those that failed after the kernel had counted them as retransmitted
    /// ([`SendError::is_counted`]).
    pub failed_segs: u64,
}

impl AddAssign<&TypeTotal> for TypeTotal {
    fn add_assign(&mut self, more: &TypeTotal) {
        let &TypeTotal { sent, failed, segs, bytes, failed_segs } = more;
        self.sent += sent;
        self.failed += failed;
        self.segs += segs;
        self.bytes += bytes;
        self.failed_segs += failed_segs;
    }
}

/// Retransmission timers that expired, by what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timeouts {
    /// A socket's timer: it retransmitted, or tried to.
    pub retransmitted: u64,
    /// A connection request's timer: the SYN-ACK was sent again.
    pub synack: u64,
    /// A socket's timer: the kernel gave the connection up.
    pub gave_up: u64,
}

impl AddAssign<&Timeouts> for Timeouts {
    fn add_assign(&mut self, more: &Timeouts) {
        let &Timeouts { retransmitted, synack, gave_up } = more;
        self.retransmitted += retransmitted;
        self.synack += synack;
        self.gave_up += gave_up;
    }
}

/// What became of the records of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Account {
    /// Submitted by the program.
    pub sent: u64,
    /// Read by the tracer.
    pub received: u64,
    /// Found the ring full.
    pub ring: u64,
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
    /// Segments retransmitted that no record told of, as far as sockets' counts told it.
    pub unseen_segs: u64,
    /// Attempts that failed, by what stopped them.
    pub errors: BTreeMap<SendError, u64>,
    /// Retransmission timers that expired.
    pub timeouts: Timeouts,
    /// Records by kind; empty where the kernel side was not asked.
    pub records: Vec<(Kind, Account)>,
    /// Records that the programs submitted to the ring.
    pub records_sent: u64,
    /// Records that were read from it.
    pub records_received: u64,
    /// Flows still remembered: connections that had trouble and are still open, and handshakes in progress.
    pub flows_left: u64,
}
