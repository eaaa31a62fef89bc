//! Correlation: what each record means for its flow. Pure: takes records and times, does no I/O, reads no clock.
//!
//! The records of a recording, run through it again:
//!
//! ```
//! use tcpretrans::{
//!     event::What,
//!     flow::{Config, Correlator, Owner},
//!     recording::{Detail, Reader},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut correlator = Correlator::new(Config::new(250));
//! let (mut recorded_timeouts, mut events) = (0, Vec::new());
//! for recorded in Reader::open(&["tests/recordings/night.jsonl".into()], Detail::Whole)? {
//!     if let What::Retransmit(retransmit) = recorded?.event.what {
//!         recorded_timeouts += usize::from(retransmit.rto_ms.is_some());
//!         correlator.observe(retransmit.ty.attempt().kind(), &retransmit.record, &Owner::default(), &mut events);
//!     }
//! }
//! let timeouts = events.iter().filter(|event| {
//!     matches!(&event.what, What::Retransmit(retransmit) if retransmit.rto_ms.is_some())
//! });
//! assert_eq!(timeouts.count(), recorded_timeouts);
//! # Ok(())
//! # }
//! ```

mod correlator;

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
