//! Correlation: what each record means for its flow. Pure: takes records and times, does no I/O, reads no clock.

pub mod correlator;

mod classify;
mod episode;
mod flow_table;
mod identity;
mod obituary;
mod retransmission;
mod rto;
mod state;
mod thresholds;
mod unseen;

pub use correlator::{Config, Correlator};
pub use identity::Owner;
