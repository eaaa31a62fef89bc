//! The lines, field by field, in the order in which they are written. `docs/events.md` is for users what this
//! file is for the compiler: change both together, and only ever add.
//!
//! Names (`type`, `cause`, `state`, errors) are text here; `encode` and `decode` know what they stand for.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::form::{kernel_object::KernelObject, timestamp::Timestamp};

/// The version of this schema.
pub const SCHEMA: u32 = 1;

/// A text that is only borrowed where that is possible.
pub type Text<'a> = Cow<'a, str>;

/// What every line has, read before the rest: `event` says which of the others it is. The others are written with
/// these and read without.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "as in the lines below")]
pub struct Common<'a> {
    pub ts: Timestamp,
    pub mono_ns: u64,
    #[serde(borrow)]
    pub event: Text<'a>,
    #[serde(default, borrow)]
    pub flow: Option<FlowObject<'a>>,
}

/// `flow`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Flow")]
pub struct FlowObject<'a> {
    #[serde(borrow)]
    pub family: Text<'a>,
    pub laddr: IpAddr,
    pub lport: u16,
    pub raddr: IpAddr,
    pub rport: u16,
    pub netns: Option<u32>,
    /// Hexadecimal, as `ss -e` shows a socket's cookie.
    #[serde(borrow)]
    pub id: Text<'a>,
    pub pid: Option<u32>,
    pub comm: Option<Text<'a>>,
    pub uid: Option<u32>,
    pub cgroup: Option<Text<'a>>,
}

/// `deadline`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Deadline")]
pub struct DeadlineObject<'a> {
    #[serde(borrow)]
    pub knob: Text<'a>,
    pub limit: Option<u32>,
    pub budget_ms: Option<u64>,
    pub elapsed_ms: u64,
    pub used: f64,
    pub earliest: Timestamp,
    pub latest: Timestamp,
    pub expected: Timestamp,
    pub retransmissions_left: u32,
}

/// `start`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Start")]
pub struct StartLine<'a> {
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    pub schema: u32,
    #[serde(borrow)]
    pub version: Text<'a>,
    #[serde(borrow)]
    pub kernel: Text<'a>,
    pub hz: u32,
    pub command: Cow<'a, [String]>,
    pub filters: Cow<'a, BTreeMap<String, String>>,
    /// Wall clock less monotonic clock, ns.
    pub clock: i64,
    pub features: BTreeMap<Text<'a>, bool>,
    #[serde(default)]
    pub reset_reasons: Cow<'a, BTreeMap<u32, String>>,
    #[serde(default)]
    pub warn_at_percent: Option<u8>,
    #[serde(default)]
    pub all_closes: Option<bool>,
    #[serde(default)]
    pub part: Option<u32>,
}

/// `retransmit`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Retransmit")]
pub struct RetransmitLine<'a> {
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    #[serde(skip_deserializing)]
    pub flow: Option<FlowObject<'a>>,
    #[serde(borrow, rename = "type")]
    pub ty: Text<'a>,
    pub certain: bool,
    #[serde(borrow)]
    pub state: Text<'a>,
    pub segs: u32,
    pub bytes: u32,
    pub seq: Option<u32>,
    pub err: Option<Text<'a>>,
    pub retransmits: u32,
    pub backoff: u32,
    pub rto_ms: Option<u64>,
    pub next_rto_ms: Option<u64>,
    pub srtt_us: Option<u32>,
    pub rttvar_us: Option<u32>,
    pub cwnd: u32,
    pub ssthresh: Option<u32>,
    pub packets_out: u32,
    pub unacked_bytes: u32,
    pub episode: u32,
    pub deadline: Option<DeadlineObject<'a>>,
    /// Written by [`super::kernel_object::write`].
    #[serde(skip_serializing)]
    pub kernel: Option<KernelObject<'a>>,
}

/// `in_backoff`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::InBackoff")]
pub struct InBackoffLine<'a> {
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    #[serde(skip_deserializing)]
    pub flow: Option<FlowObject<'a>>,
    #[serde(borrow)]
    pub state: Text<'a>,
    pub retransmits: u32,
    pub backoff: u32,
    pub rto_ms: u64,
    pub since_ms: Option<u64>,
    pub total_retrans: u32,
    pub unacked_bytes: u32,
    pub episode: u32,
    pub deadline: Option<DeadlineObject<'a>>,
}

/// `threshold`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Threshold")]
pub struct ThresholdLine<'a> {
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    #[serde(skip_deserializing)]
    pub flow: Option<FlowObject<'a>>,
    #[serde(borrow)]
    pub name: Text<'a>,
    pub deadline: Option<DeadlineObject<'a>>,
    #[serde(borrow)]
    pub note: Text<'a>,
}

/// `recovered`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Recovered")]
pub struct RecoveredLine<'a> {
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    #[serde(skip_deserializing)]
    pub flow: Option<FlowObject<'a>>,
    pub duration_ms: u64,
    pub retransmissions: u32,
    pub segs: u32,
    pub max_backoff: u32,
    pub spurious: Option<bool>,
    #[serde(borrow)]
    pub by: Text<'a>,
    pub episode: u32,
}

/// `hung_up` of `closed`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::HungUp")]
pub struct HungUpObject<'a> {
    #[serde(borrow)]
    pub side: Text<'a>,
    pub pid: Option<u32>,
    pub comm: Option<Text<'a>>,
    pub unacked_bytes: u32,
    pub retransmits: u32,
    pub into_backoff_ms: Option<u64>,
    pub waited_ms: Option<u64>,
    pub rto_ms: u64,
    pub would_have_tried_until: Option<Timestamp>,
}

/// `closed`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Closed")]
pub struct ClosedLine<'a> {
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    #[serde(skip_deserializing)]
    pub flow: Option<FlowObject<'a>>,
    #[serde(borrow)]
    pub cause: Text<'a>,
    pub who: Option<Text<'a>>,
    pub error: Option<Text<'a>>,
    pub knob: Option<Text<'a>>,
    #[serde(borrow)]
    pub state: Text<'a>,
    pub retransmissions: u32,
    pub segs: u32,
    pub unacked_bytes: u32,
    pub unsent_bytes: u32,
    pub lifetime_ms: Option<u64>,
    pub silent_ms: Option<u64>,
    pub predicted_at: Option<Timestamp>,
    #[serde(default)]
    pub hung_up: Option<HungUpObject<'a>>,
    /// Name of a signal.
    #[serde(default)]
    pub killed_by: Option<Text<'a>>,
    #[serde(borrow)]
    pub note: Text<'a>,
}

/// `observation`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Observation")]
pub struct ObservationLine<'a> {
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    #[serde(skip_deserializing)]
    pub flow: Option<FlowObject<'a>>,
    #[serde(borrow)]
    pub tracepoint: Text<'a>,
    /// Written by [`super::kernel_object::write`].
    #[serde(skip_serializing)]
    pub kernel: Option<KernelObject<'a>>,
}

/// `lost`
#[derive(Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::Lost")]
pub struct LostLine<'a> {
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    #[serde(skip_deserializing)]
    pub flow: Option<FlowObject<'a>>,
    pub records: u64,
    #[serde(borrow, rename = "where")]
    pub place: Text<'a>,
    #[serde(default)]
    pub segs: Option<u64>,
    #[serde(default)]
    pub maybe_failed: Option<bool>,
}

/// `timeouts` of `end`
#[derive(Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::run::Timeouts")]
pub struct TimeoutTotals {
    pub retransmitted: u64,
    pub synack: u64,
    pub gave_up: u64,
}

/// One of `records` of `end`
#[derive(Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "see crate::event::run::Account")]
pub struct AccountTotals {
    pub sent: u64,
    pub received: u64,
    pub ring: u64,
}

/// `events` of `end`
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct EventTotals<'a> {
    /// Attempts by type, sent or not.
    pub retransmit: BTreeMap<Text<'a>, u64>,
    /// How many.
    pub threshold: u64,
    /// How many.
    pub recovered: u64,
    /// By cause.
    pub closed: BTreeMap<Text<'a>, u64>,
}

/// `end`
#[derive(Debug, Serialize, Deserialize)]
pub struct EndLine<'a> {
    /// As in every line.
    #[serde(skip_deserializing)]
    pub ts: Timestamp,
    /// As in every line.
    #[serde(skip_deserializing)]
    pub mono_ns: u64,
    /// `end`
    #[serde(skip_deserializing)]
    pub event: Text<'a>,
    /// Events by kind and type.
    pub events: EventTotals<'a>,
    /// Segments in the attempts that were sent, by type.
    pub segs: BTreeMap<Text<'a>, u64>,
    /// Payload bytes in them, by type.
    pub bytes: BTreeMap<Text<'a>, u64>,
    /// Attempts that were not sent, by type.
    pub failed: BTreeMap<Text<'a>, u64>,
    /// Segments in those of them that the kernel counted as retransmitted, by type.
    #[serde(default)]
    pub failed_segs: BTreeMap<Text<'a>, u64>,
    /// Attempts that were not sent, by error.
    #[serde(default)]
    pub errors: BTreeMap<Text<'a>, u64>,
    /// Retransmission timers that expired.
    #[serde(default)]
    pub timeouts: TimeoutTotals,
    /// Records lost, by place.
    pub lost: BTreeMap<Text<'a>, u64>,
    /// Segments retransmitted unseen.
    #[serde(default)]
    pub unseen_segs: u64,
    /// Length of the trace.
    pub duration_ms: u64,
    /// Records that the kernel side submitted.
    pub records_sent: u64,
    /// Records that were read.
    pub records_received: u64,
    /// Records by tracepoint.
    #[serde(default)]
    pub records: BTreeMap<Text<'a>, AccountTotals>,
    /// Flows still remembered.
    #[serde(default)]
    pub flows_left: u64,
}
