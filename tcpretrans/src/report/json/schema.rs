//! The fields of the JSON form, in the order in which they are written. `docs/recordings.md` is for users what this
//! file is for the compiler: change both together, and only ever add.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::form::Timestamp;

/// The version of this form.
pub(super) const SCHEMA: u32 = 1;

#[derive(Serialize)]
pub(super) struct Document {
    pub(super) schema: u32,
    pub(super) version: &'static str,
    pub(super) files: Vec<String>,
    pub(super) filters: BTreeMap<String, String>,
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) recording: Recording,
    pub(super) events: Events,
    pub(super) segs: BTreeMap<&'static str, u64>,
    pub(super) bytes: BTreeMap<&'static str, u64>,
    pub(super) failed: BTreeMap<&'static str, u64>,
    pub(super) failed_segs: BTreeMap<&'static str, u64>,
    pub(super) errors: BTreeMap<String, u64>,
    pub(super) timeouts: Timeouts,
    pub(super) lost: BTreeMap<&'static str, u64>,
    pub(super) unseen_segs: u64,
    pub(super) endings: Vec<Ending>,
    pub(super) flows: u64,
    pub(super) retransmitting_flows: u64,
    pub(super) flows_forgotten: u64,
    #[serde(flatten)]
    pub(super) sums: Sum,
    pub(super) undelivered_bytes: u64,
    pub(super) deadline_thresholds: u64,
    pub(super) open_episodes: u64,
    pub(super) recovery_ms: Quantiles,
    pub(super) rto_ms: Quantiles,
    pub(super) deepest_backoff: Quantiles,
    pub(super) timeline: Timeline,
    pub(super) worst_episodes: Vec<Episode>,
    pub(super) forecasts: Forecasts,
    pub(super) hang_ups: HangUps,
    pub(super) by: BTreeMap<&'static str, Grouped>,
}

#[derive(Serialize)]
pub(super) struct Recording {
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) sessions: u64,
    pub(super) recorded_ms: u64,
    pub(super) gaps: u64,
    pub(super) longest_gap: Option<Gap>,
    pub(super) sessions_without_end: u64,
    pub(super) overlapping_sessions: u64,
    pub(super) damaged_lines: u64,
    pub(super) unknown_events: u64,
    pub(super) flows_left: u64,
    pub(super) kernels: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Gap {
    pub(super) from: Timestamp,
    pub(super) duration_ms: u64,
}

/// As in `end`.
#[derive(Serialize)]
pub(super) struct Events {
    pub(super) retransmit: BTreeMap<&'static str, u64>,
    pub(super) threshold: u64,
    pub(super) recovered: u64,
    pub(super) closed: BTreeMap<&'static str, u64>,
}

/// As in `end`.
#[derive(Serialize)]
pub(super) struct Timeouts {
    pub(super) retransmitted: u64,
    pub(super) synack: u64,
    pub(super) gave_up: u64,
}

#[derive(Serialize)]
pub(super) struct Ending {
    pub(super) cause: &'static str,
    pub(super) who: Option<&'static str>,
    pub(super) count: u64,
}

#[derive(Serialize)]
pub(super) struct Sum {
    pub(super) retransmissions: u64,
    pub(super) failed_retransmissions: u64,
    pub(super) retransmissions_by_timeout: u64,
    pub(super) retransmitted_segs: u64,
    pub(super) retransmitted_bytes: u64,
    pub(super) recovered: u64,
    pub(super) spurious: u64,
    pub(super) spurious_unknown: u64,
    pub(super) closed: u64,
    pub(super) deaths: u64,
    pub(super) hung_up: u64,
    pub(super) worst_episode_ms: u64,
}

#[derive(Serialize)]
pub(super) struct Quantiles {
    pub(super) count: u64,
    pub(super) min: Option<u64>,
    pub(super) p50: Option<u64>,
    pub(super) p90: Option<u64>,
    pub(super) p99: Option<u64>,
    pub(super) max: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Timeline {
    pub(super) begin: Option<Timestamp>,
    pub(super) bin_ms: u64,
    pub(super) retransmissions: Vec<u64>,
}

#[derive(Serialize)]
pub(super) struct Episode {
    pub(super) began: Timestamp,
    pub(super) duration_ms: u64,
    pub(super) raddr: std::net::IpAddr,
    pub(super) rport: u16,
    pub(super) lport: u16,
    pub(super) flow_id: String,
    pub(super) pid: Option<u32>,
    pub(super) comm: Option<String>,
    pub(super) cgroup: Option<String>,
    pub(super) retransmissions: u64,
    pub(super) deepest_backoff: u32,
    pub(super) rtos_ms: Vec<u64>,
    pub(super) rtos_left_out: u32,
    pub(super) waiting_rto_ms: Option<u64>,
    pub(super) outcome: &'static str,
    pub(super) cause: Option<&'static str>,
    pub(super) knob: Option<&'static str>,
    pub(super) spurious: Option<bool>,
    pub(super) more_like_it: u64,
}

#[derive(Serialize)]
pub(super) struct Forecasts {
    pub(super) foretold: u64,
    pub(super) not_foretold: u64,
    pub(super) first: Forecast,
    pub(super) first_within_window: u64,
    pub(super) first_lead_ms: Quantiles,
    pub(super) last: Forecast,
}

#[derive(Serialize)]
pub(super) struct Forecast {
    pub(super) off_us: Quantiles,
    pub(super) earliest_us: Option<i64>,
    pub(super) latest_us: Option<i64>,
}

#[derive(Serialize)]
pub(super) struct HangUps {
    pub(super) local: u64,
    pub(super) peer: u64,
    pub(super) connecting: u64,
    pub(super) before_first_retransmission: u64,
    pub(super) killed: u64,
    pub(super) patience_ms: Quantiles,
}

#[derive(Serialize)]
pub(super) struct Grouped {
    pub(super) groups: Vec<Group>,
    pub(super) others: Others,
}

#[derive(Serialize)]
pub(super) struct Group {
    #[serde(flatten)]
    pub(super) key: BTreeMap<&'static str, serde_json::Value>,
    pub(super) flows: u64,
    pub(super) retransmitting_flows: u64,
    #[serde(flatten)]
    pub(super) sums: Sum,
}

#[derive(Serialize)]
pub(super) struct Others {
    pub(super) groups: u64,
    pub(super) flows: u64,
    pub(super) retransmitting_flows: u64,
    #[serde(flatten)]
    pub(super) sums: Sum,
}
