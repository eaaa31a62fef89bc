//! What tcpretrans's kernel side and its userspace agree on: records, kernel fields, load-time settings.
//!
//! Everything here is `no_std` and free of pointers, so the same source compiles for BPF and for the host.
#![cfg_attr(not(test), no_std)]

pub mod fields;
pub mod filter;
mod kind;
mod location;
pub mod owner;
pub mod placeholder;
pub mod record;
mod wire;

pub use fields::{Field, Form};
pub use filter::FilterSettings;
pub use kind::{Attempt, Kind};
pub use location::Location;
pub use owner::OwnerSlot;
pub use record::{DecodeError, Record, Snapshot};
#[cfg(not(target_arch = "bpf"))]
pub use wire::Number;

/// Linux's TCP states (`include/net/tcp_states.h`), stable ABI since 2.6.
#[allow(missing_docs, reason = "the names are the kernel's")]
pub mod tcp_state {
    pub const ESTABLISHED: u8 = 1;
    pub const SYN_SENT: u8 = 2;
    pub const SYN_RECV: u8 = 3;
    pub const FIN_WAIT1: u8 = 4;
    pub const FIN_WAIT2: u8 = 5;
    pub const TIME_WAIT: u8 = 6;
    pub const CLOSE: u8 = 7;
    pub const CLOSE_WAIT: u8 = 8;
    pub const LAST_ACK: u8 = 9;
    pub const LISTEN: u8 = 10;
    pub const CLOSING: u8 = 11;
    pub const NEW_SYN_RECV: u8 = 12;
}
