//! When a connection will die, and of what.

/// The setting that ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Knob {
    /// sysctl
    TcpRetries2,
    /// socket option
    TcpUserTimeout,
    /// sysctl
    TcpSynRetries,
    /// socket option
    TcpSyncnt,
    /// sysctl
    TcpSynackRetries,
    /// sysctl
    TcpOrphanRetries,
    /// A closed window, with data in flight or without.
    ZeroWindow,
    /// `tcp_keepalive_*` or `TCP_KEEP*`
    Keepalive,
}

impl Knob {
    /// All knobs.
    pub const ALL: [Knob; 8] = [
        Self::TcpRetries2,
        Self::TcpUserTimeout,
        Self::TcpSynRetries,
        Self::TcpSyncnt,
        Self::TcpSynackRetries,
        Self::TcpOrphanRetries,
        Self::ZeroWindow,
        Self::Keepalive,
    ];

    /// The name in JSON and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::TcpRetries2 => "tcp_retries2",
            Self::TcpUserTimeout => "TCP_USER_TIMEOUT",
            Self::TcpSynRetries => "tcp_syn_retries",
            Self::TcpSyncnt => "TCP_SYNCNT",
            Self::TcpSynackRetries => "tcp_synack_retries",
            Self::TcpOrphanRetries => "tcp_orphan_retries",
            Self::ZeroWindow => "zero_window",
            Self::Keepalive => "keepalive",
        }
    }
}

/// A forecast: unless the peer answers, the kernel gives up then.
#[derive(Debug, Clone, PartialEq)]
pub struct Deadline {
    /// Whose limit it is.
    pub knob: Knob,
    /// The knob's value: a count of retries, or ms for TCP_USER_TIMEOUT; `None`: the knob is no number.
    pub limit: Option<u32>,
    /// The time that the limit stands for, ms; `None` where the kernel counts and does not time.
    pub budget_ms: Option<u64>,
    /// Time used of it, ms.
    pub elapsed_ms: u64,
    /// Share used, 0 to 1.
    pub used: f64,
    /// Not before, mono ns.
    pub earliest_ns: u64,
    /// Most likely, mono ns.
    pub expected_ns: u64,
    /// Not after, mono ns.
    pub latest_ns: u64,
    /// Retransmissions still to come before it.
    pub retransmissions_left: u32,
}
