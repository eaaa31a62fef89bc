//! A loss episode is over, the data acknowledged.

use super::json::{names, object};

names! {
    /// How a recovery was noticed.
    pub enum RecoveredBy {
        /// The congestion state went back to Open (`tcp_cong_state_set`).
        CongState = "cong_state",
        /// The peer acknowledged the tail loss probe (`tcp_process_tlp_ack`).
        TlpAck = "tlp_ack",
        /// The connection was established.
        Established = "established",
        /// The next event showed progress: the recovery is older than the event's time.
        Progress = "progress",
        /// The socket closed with everything acknowledged that was retransmitted.
        Close = "close",
    }
}

object! {
    /// A loss episode is over.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Recovered {
        /// From the first retransmission to the end of the episode, ms.
        pub duration_ms: u64 = 1_428,
        /// Successful retransmission attempts.
        pub retransmissions: u32 = 4,
        /// Segments in them.
        pub segs: u32 = 5,
        /// Deepest RTO backoff: how many RTOs expired one after another.
        pub max_backoff: u32 = 3,
        /// Was the whole episode spurious? `None` where the kernel does not report it.
        pub spurious: Option<bool> = Some(false),
        /// How it was noticed.
        pub by: RecoveredBy = RecoveredBy::CongState,
        /// Ordinal within the flow, from 1.
        pub episode: u32 = 2,
    }
}
