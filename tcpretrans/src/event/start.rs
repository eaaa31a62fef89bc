//! The first line of every file, rotated ones too.

use std::{borrow::Cow, collections::BTreeMap};

use super::json::{Hertz, OrEmpty, SCHEMA, SchemaNumber, object};
#[cfg(test)]
use super::samples::CLOCK;

/// What the kernel lets us see here, by name (`docs/kernels.md`).
pub type FeatureMap = BTreeMap<Cow<'static, str>, bool>;

object! {
    /// First line of every file, rotated ones too.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Start {
        also schema: u32 as SchemaNumber = Start::schema;
        /// Of tcpretrans.
        pub version: String = "0.1.0".to_owned(),
        /// `uname -r`
        pub kernel: String = "6.18.0".to_owned(),
        /// Timer ticks a second.
        pub hz: u32 as Hertz = 250,
        /// The command line.
        pub command: Vec<String> = ["tcpretrans", "-p", "9000"].map(str::to_owned).into(),
        /// The filters in force, as text by option; empty: everything.
        pub filters: BTreeMap<String, String> = [("port".to_owned(), "9000".to_owned())].into(),
        /// Wall clock less monotonic clock, ns.
        pub clock_ns("clock"): i64 = CLOCK.wall_minus_mono_ns,
        /// What this kernel lets us see.
        pub features: FeatureMap = [("retransmit_err".into(), true), ("cong_state".into(), false)].into(),
        /// `enum sk_rst_reason` of this kernel: the numbers in recorded resets shift between versions.
        pub reset_reasons: BTreeMap<u32, String> as OrEmpty = [(15, "TCP_KEEPALIVE_TIMEOUT".to_owned())].into(),
        /// `--warn-at`, percent: replay passes the same thresholds.
        pub warn_at_percent: Option<u8> = Some(50),
        /// `--all-closes`: without it, the ends of connections without retransmissions or errors are not in a recording.
        pub all_closes: Option<bool> = Some(false),
        /// Number of this file within the trace, from 1: shows that earlier files were rotated away.
        pub part: Option<u32> = Some(1),
    }
}

impl Start {
    fn schema(&self) -> u32 {
        SCHEMA
    }
}
