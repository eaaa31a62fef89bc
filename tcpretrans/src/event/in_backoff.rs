//! A connection that was already in RTO backoff when the trace began.

#[cfg(test)]
use tcpretrans_ebpf::tcp_state;

use super::{
    Deadline,
    json::{State, object},
};

object! {
    /// A connection that was already in RTO backoff when the trace began.
    #[derive(Debug, Clone, PartialEq)]
    pub struct InBackoff {
        /// TCP state (`tcpretrans_ebpf::tcp_state`).
        pub state: u8 as State = tcp_state::ESTABLISHED,
        /// RTOs that expired without an answer (`icsk_retransmits`).
        pub retransmits: u32 = 6,
        /// Exponent of the backoff (`icsk_backoff`).
        pub backoff: u32 = 6,
        /// The RTO that is being waited for, ms.
        pub rto_ms: u64 = 13_056,
        /// Since the first retransmission, ms; `None`: the kernel does not report it.
        pub since_ms: Option<u64> = Some(12_852),
        /// Segments retransmitted since the connection was opened (`total_retrans`).
        pub total_retrans: u32 = 7,
        /// Bytes sent and not acknowledged.
        pub unacked_bytes: u32 = 14_480,
        /// Ordinal of the episode, from 1.
        pub episode: u32 = 1,
        /// When the kernel will give up; `None`: it would not, or it cannot be computed.
        pub deadline: Option<Deadline> = Some(Deadline::sample()),
    }
}
