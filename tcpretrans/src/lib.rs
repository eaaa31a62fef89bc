//! tcpretrans: traces TCP retransmissions live, and tells when and why a connection will die.
//!
//! One way through the house: `kernel` (programs, ring buffer) -> records (`tcpretrans_ebpf::Record`) ->
//! `flow` (correlation: pure, no I/O, no clock) -> `event` -> `sink` (table, JSON Lines).

pub mod advise;
pub mod cli;
pub mod deadline;
pub mod demo;
mod doctor;
pub mod event;
mod failure;
pub mod filter;
pub mod flow;
pub mod form;
pub mod kernel;
mod live;
mod options;
pub mod owner;
pub mod page;
pub mod pipe;
pub mod recording;
pub mod replay;
mod report;
pub mod sink;
pub mod socket;
mod words;
