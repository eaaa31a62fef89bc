//! Correlation: what each record means for its flow. Pure: takes records and times, does no I/O, reads no clock.

pub mod correlator;

mod classify;
mod diagnosis;
mod episode;
mod identity;
mod retransmission;
mod rto;
mod state;
mod table;
mod thresholds;
mod unseen;

pub use correlator::{Config, Correlator};
pub use identity::Owner;
