//! What the kernel said that makes no event of its own.

use tcpretrans_ebpf::Kind;

use super::json::{Tracepoint, object};

object! {
    /// Something the kernel said about a troubled flow.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Observation {
        /// The tracepoint.
        pub kind("tracepoint"): Kind as Tracepoint = Kind::State,
        raw record = super::samples::state_record();
    }
}
