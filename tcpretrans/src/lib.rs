//! tcpretrans traces TCP retransmissions live, and says when and why a connection will die.
//!
//! The program is the reason for this crate; what follows is the part of it that others can build on. None of it needs
//! privileges or a particular kernel:
//!
//! * [`recording`] reads the logs that `tcpretrans -o FILE` writes, [`form`] a single line of them;
//! * [`event`] is what they hold;
//! * [`flow`] makes events of the kernel's records, and [`deadline`] says when the kernel will give a connection up:
//!   pure functions of records and times;
//! * [`socket`] reads a record ([`Record`]) with units and names.
//!
//! Why did connections end, according to a log?
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use tcpretrans::{
//!     event::What,
//!     recording::{Detail, Reader},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut causes = BTreeMap::new();
//! let mut reader = Reader::open(&["tests/recordings/night.jsonl".into()], Detail::WithoutKernel)?;
//! for recorded in reader.by_ref() {
//!     if let What::Closed(closed) = recorded?.event.what {
//!         *causes.entry(closed.cause.name()).or_insert(0) += 1;
//!     }
//! }
//! assert!(!reader.damage().is_any());
//! assert_eq!(causes["retransmit_timeout"], 1);
//! # Ok(())
//! # }
//! ```
//!
//! `docs/architecture.md` in the repository shows how the rooms of the program stand one above the other, and how to add to
//! them.

#![warn(unreachable_pub)]

mod advise;
pub mod cli;
pub mod deadline;
mod demo;
mod doctor;
pub mod event;
mod failure;
mod filter;
pub mod flow;
pub mod form;
mod kernel;
mod live;
mod options;
mod owner;
mod page;
mod pipe;
pub mod recording;
mod replay;
mod report;
mod sink;
pub mod socket;
mod words;

pub use tcpretrans_ebpf::{Kind, Record};

/// What the benchmarks, the integration tests and `cargo xtask` take from inside. No part of the interface: it may change
/// with any version.
#[doc(hidden)]
pub mod internals {
    pub use crate::{
        advise::estimator::{Estimator, Past},
        demo::recording as demo_recording,
        filter::{kernel_maps::KernelFilter, ports::PortSet},
        kernel::{
            btf::Btf,
            cgroup::{Cgroups, Hierarchy},
            features::{Features, RECOVERY_EXIT, Tracepoint},
            hz,
            privileges::Standing,
            programs::{Programs, Settings},
        },
        owner::Owners,
        pipe::Trace,
        replay::line::{Changes, observe as observe_line},
        sink::{
            JsonSink, Sink, SinkError, Stream,
            table::{Layout, TableSink},
        },
    };
}
