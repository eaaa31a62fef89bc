//! How a connection ended.

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// `tcp_retries2` exhausted.
    RetransmitTimeout,
    /// TCP_USER_TIMEOUT exhausted.
    UserTimeout,
    /// SYN retries exhausted.
    ConnectTimeout,
    /// The peer refused: RST to our SYN.
    ConnectRefused,
    /// The application gave up connecting.
    ConnectAbandoned,
    /// Keepalive probes unanswered.
    KeepaliveTimeout,
    /// Window probes unanswered.
    ZeroWindowTimeout,
    /// Closed by the application, then the peer never acknowledged.
    OrphanTimeout,
    /// RST from the peer.
    ResetByPeer,
    /// RST by this side.
    ResetByLocal,
    /// This side's FIN came first.
    ClosedByLocal,
    /// The peer's FIN came first.
    ClosedByPeer,
    /// Both FINs crossed.
    SimultaneousClose,
    /// `ss -K`, `bpf_sock_destroy`
    AdminKill,
    /// ICMP said unreachable.
    IcmpError,
    /// `tcp_mem`, too many orphans.
    OutOfMemory,
    /// The kernel's state allows no answer.
    Unknown,
}

impl Cause {
    /// All causes.
    pub const ALL: [Cause; 17] = [
        Self::RetransmitTimeout,
        Self::UserTimeout,
        Self::ConnectTimeout,
        Self::ConnectRefused,
        Self::ConnectAbandoned,
        Self::KeepaliveTimeout,
        Self::ZeroWindowTimeout,
        Self::OrphanTimeout,
        Self::ResetByPeer,
        Self::ResetByLocal,
        Self::ClosedByLocal,
        Self::ClosedByPeer,
        Self::SimultaneousClose,
        Self::AdminKill,
        Self::IcmpError,
        Self::OutOfMemory,
        Self::Unknown,
    ];

    /// The name in JSON and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::RetransmitTimeout => "retransmit_timeout",
            Self::UserTimeout => "user_timeout",
            Self::ConnectTimeout => "connect_timeout",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectAbandoned => "connect_abandoned",
            Self::KeepaliveTimeout => "keepalive_timeout",
            Self::ZeroWindowTimeout => "zero_window_timeout",
            Self::OrphanTimeout => "orphan_timeout",
            Self::ResetByPeer => "reset_by_peer",
            Self::ResetByLocal => "reset_by_local",
            Self::ClosedByLocal => "closed_by_local",
            Self::ClosedByPeer => "closed_by_peer",
            Self::SimultaneousClose => "simultaneous_close",
            Self::AdminKill => "admin_kill",
            Self::IcmpError => "icmp_error",
            Self::OutOfMemory => "out_of_memory",
            Self::Unknown => "unknown",
        }
    }
}

/// Who ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// TCP's own timers.
    Kernel,
    /// The other side.
    Peer,
    /// The local application.
    Local,
    /// A router or host in between.
    Network,
    /// Somebody with privileges.
    Admin,
}

impl Who {
    /// All of them.
    pub const ALL: [Who; 5] = [Self::Kernel, Self::Peer, Self::Local, Self::Network, Self::Admin];

    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Peer => "peer",
            Self::Local => "local",
            Self::Network => "network",
            Self::Admin => "admin",
        }
    }
}
