//! When a connection will time out, and by which setting.

use super::json::{WallClock, names, object};
#[cfg(test)]
use super::samples::{NOW_NS, S};

names! {
    /// The setting that ends a connection.
    pub enum Knob {
        /// sysctl
        TcpRetries2 = "tcp_retries2",
        /// socket option
        TcpUserTimeout = "TCP_USER_TIMEOUT",
        /// sysctl
        TcpSynRetries = "tcp_syn_retries",
        /// socket option
        TcpSyncnt = "TCP_SYNCNT",
        /// sysctl
        TcpSynackRetries = "tcp_synack_retries",
        /// sysctl
        TcpOrphanRetries = "tcp_orphan_retries",
        /// A closed window, with data in flight or without.
        ZeroWindow = "zero_window",
        /// `tcp_keepalive_*` or `TCP_KEEP*`
        Keepalive = "keepalive",
    }
}

impl Knob {
    /// The unit of its limit, with a space in front; empty where it counts.
    pub fn unit(self) -> &'static str {
        match self {
            Knob::TcpUserTimeout => " ms",
            Knob::TcpRetries2
            | Knob::TcpSynRetries
            | Knob::TcpSyncnt
            | Knob::TcpSynackRetries
            | Knob::TcpOrphanRetries
            | Knob::ZeroWindow
            | Knob::Keepalive => "",
        }
    }
}

object! {
    /// A forecast: unless the peer answers, the kernel gives up then.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Deadline {
        /// Whose limit it is.
        pub knob: Knob = Knob::TcpRetries2,
        /// The knob's value: a count of retries, or ms for TCP_USER_TIMEOUT; `None`: the knob is no number.
        pub limit: Option<u32> = Some(15),
        /// The time that the limit stands for, ms; `None` where the kernel counts and does not time.
        pub budget_ms: Option<u64> = Some(924_600),
        /// Time used of it, ms.
        pub elapsed_ms: u64 = 204,
        /// Share used, 0 to 1.
        pub used: f64 = 0.00022,
        /// Not before, mono ns.
        pub earliest_ns("earliest"): u64 as WallClock = NOW_NS + 936 * S,
        /// Not after, mono ns.
        pub latest_ns("latest"): u64 as WallClock = NOW_NS + 940 * S,
        /// Most likely, mono ns.
        pub expected_ns("expected"): u64 as WallClock = NOW_NS + 937 * S,
        /// Retransmissions still to come before it.
        pub retransmissions_left: u32 = 15,
    }
}
