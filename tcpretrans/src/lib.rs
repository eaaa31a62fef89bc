//! tcpretrans: traces TCP retransmissions live, and tells when and why a connection will die.
//!
//! One way through the house: `kernel` (programs, ring buffer) -> records (`tcpretrans_ebpf::Record`) ->
//! `flow` (correlation: pure, no I/O, no clock) -> `event` -> `sink` (table, JSON Lines).

pub mod deadline;
pub mod event;
pub mod filter;
pub mod kernel;
