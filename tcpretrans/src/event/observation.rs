//! What the kernel reported without making an event.

use tcpretrans_ebpf::Kind;

use super::json::{Tracepoint, object};

object! {
    /// Something the kernel reported of a flow with losses.
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub struct Observation {
        /// The tracepoint.
        pub kind("tracepoint"): Kind as Tracepoint = Kind::State,
        raw record = super::samples::state_record();
    }
}
