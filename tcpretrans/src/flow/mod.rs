//! Correlation: what each record means for its flow. Pure: takes records and times, does no I/O, reads no clock.

pub mod classify;
pub mod correlator;
pub mod episode;
pub mod identity;
pub mod ladder;
pub mod obituary;
pub mod retransmission;
pub mod state;
pub mod table;
pub mod thresholds;
pub mod unseen;

pub use correlator::{Config, Correlator};
pub use identity::Owner;
