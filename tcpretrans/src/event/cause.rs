//! How a connection ended, and what such ends have in common. Whoever treats several causes alike asks here: a cause
//! that is added has to be put into each group before anything compiles.

use super::json::names;

names! {
    /// Why it ended.
    pub enum Cause {
        /// `tcp_retries2` exhausted.
        RetransmitTimeout = "retransmit_timeout",
        /// TCP_USER_TIMEOUT exhausted.
        UserTimeout = "user_timeout",
        /// SYN retries exhausted.
        ConnectTimeout = "connect_timeout",
        /// The peer refused: RST to our SYN.
        ConnectRefused = "connect_refused",
        /// The application gave up connecting.
        ConnectAbandoned = "connect_abandoned",
        /// Keepalive probes unanswered.
        KeepaliveTimeout = "keepalive_timeout",
        /// Window probes unanswered.
        ZeroWindowTimeout = "zero_window_timeout",
        /// Closed by the application, then the peer never acknowledged.
        OrphanTimeout = "orphan_timeout",
        /// RST from the peer.
        ResetByPeer = "reset_by_peer",
        /// RST by this side.
        ResetByLocal = "reset_by_local",
        /// This side's FIN came first.
        ClosedByLocal = "closed_by_local",
        /// The peer's FIN came first.
        ClosedByPeer = "closed_by_peer",
        /// Both FINs crossed.
        SimultaneousClose = "simultaneous_close",
        /// `ss -K`, `bpf_sock_destroy`
        AdminKill = "admin_kill",
        /// ICMP said unreachable.
        IcmpError = "icmp_error",
        /// `tcp_mem`, too many orphans.
        OutOfMemory = "out_of_memory",
        /// The kernel's state allows no answer.
        Unknown = "unknown",
    }
}

names! {
    /// Who ended it.
    pub enum Who {
        /// TCP's own timers.
        Kernel = "kernel",
        /// The other side.
        Peer = "peer",
        /// The local application.
        Local = "local",
        /// A router or host in between.
        Network = "network",
        /// Somebody with privileges.
        Admin = "admin",
    }
}

/// In what manner a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With FINs, as it should.
    Orderly,
    /// TCP gave up, when this timer had expired often enough.
    Timeout(Timer),
    /// Somebody cut it off: a reset, a refusal, an ICMP error, a connect() that was abandoned.
    CutOff,
    /// The kernel dropped it, for lack of memory.
    Dropped,
    /// Not known.
    Unknown,
}

/// A timer of a socket that may end the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    /// `tcp_retransmit_timer`
    Retransmission,
    /// `tcp_probe_timer`: the window is closed.
    Probe,
    /// `tcp_keepalive_timer`
    Keepalive,
}

impl Cause {
    /// In what manner it ends a connection.
    pub fn manner(self) -> Manner {
        match self {
            Cause::RetransmitTimeout | Cause::UserTimeout | Cause::ConnectTimeout | Cause::OrphanTimeout => {
                Manner::Timeout(Timer::Retransmission)
            }
            Cause::ZeroWindowTimeout => Manner::Timeout(Timer::Probe),
            Cause::KeepaliveTimeout => Manner::Timeout(Timer::Keepalive),
            Cause::ConnectRefused
            | Cause::ConnectAbandoned
            | Cause::ResetByPeer
            | Cause::ResetByLocal
            | Cause::AdminKill
            | Cause::IcmpError => Manner::CutOff,
            Cause::ClosedByLocal | Cause::ClosedByPeer | Cause::SimultaneousClose => Manner::Orderly,
            Cause::OutOfMemory => Manner::Dropped,
            Cause::Unknown => Manner::Unknown,
        }
    }

    /// What ended a connection of which nothing but its SYN had been sent.
    pub fn connect_end(self) -> ConnectEnd {
        match self {
            Cause::ConnectTimeout | Cause::UserTimeout | Cause::RetransmitTimeout => ConnectEnd::TimedOut,
            Cause::ConnectAbandoned | Cause::ClosedByLocal | Cause::ResetByLocal => ConnectEnd::Abandoned,
            Cause::ConnectRefused
            | Cause::ResetByPeer
            | Cause::ClosedByPeer
            | Cause::SimultaneousClose
            | Cause::KeepaliveTimeout
            | Cause::ZeroWindowTimeout
            | Cause::OrphanTimeout
            | Cause::AdminKill
            | Cause::IcmpError
            | Cause::OutOfMemory
            | Cause::Unknown => ConnectEnd::Failed,
        }
    }

    /// Does one of TCP's own timers end it? Such an end can be predicted.
    pub fn is_kernel_timeout(self) -> bool {
        matches!(self.manner(), Manner::Timeout(_))
    }

    /// Did TCP give up data of a connection that was open: by `tcp_retries2`, or TCP_USER_TIMEOUT instead?
    pub fn is_data_timeout(self) -> bool {
        match self {
            Cause::RetransmitTimeout | Cause::UserTimeout => true,
            Cause::ConnectTimeout
            | Cause::ConnectRefused
            | Cause::ConnectAbandoned
            | Cause::KeepaliveTimeout
            | Cause::ZeroWindowTimeout
            | Cause::OrphanTimeout
            | Cause::ResetByPeer
            | Cause::ResetByLocal
            | Cause::ClosedByLocal
            | Cause::ClosedByPeer
            | Cause::SimultaneousClose
            | Cause::AdminKill
            | Cause::IcmpError
            | Cause::OutOfMemory
            | Cause::Unknown => false,
        }
    }

    /// Did the peer not acknowledge what was sent, or not answer window probes, for as long as TCP tries?
    pub fn is_give_up(self) -> bool {
        matches!(self.manner(), Manner::Timeout(Timer::Retransmission | Timer::Probe))
    }

    /// Is it an end as it should be?
    pub fn is_orderly(self) -> bool {
        self.manner() == Manner::Orderly
    }

    /// Was the connection cut off, by whomever?
    pub fn is_death(self) -> bool {
        match self.manner() {
            Manner::Timeout(_) | Manner::CutOff | Manner::Dropped => true,
            Manner::Orderly | Manner::Unknown => false,
        }
    }
}

/// How a connect() failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectEnd {
    /// The kernel gave up.
    TimedOut,
    /// The application gave up.
    Abandoned,
    /// Somebody else ended it: a RST, an ICMP error.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each cause with its groups, as docs/endings.md has them.
    #[test]
    fn each_cause_in_its_groups() {
        use Cause::*;
        let in_group = |is: fn(Cause) -> bool| -> Vec<Cause> {
            Cause::ALL.into_iter().filter(|&cause| is(cause)).collect()
        };
        assert_eq!(
            in_group(Cause::is_kernel_timeout),
            [
                RetransmitTimeout,
                UserTimeout,
                ConnectTimeout,
                KeepaliveTimeout,
                ZeroWindowTimeout,
                OrphanTimeout
            ]
        );
        assert_eq!(
            in_group(Cause::is_give_up),
            [RetransmitTimeout, UserTimeout, ConnectTimeout, ZeroWindowTimeout, OrphanTimeout]
        );
        assert_eq!(in_group(Cause::is_data_timeout), [RetransmitTimeout, UserTimeout]);
        assert_eq!(in_group(Cause::is_orderly), [ClosedByLocal, ClosedByPeer, SimultaneousClose]);
        assert_eq!(
            in_group(|cause| !cause.is_death()),
            [ClosedByLocal, ClosedByPeer, SimultaneousClose, Unknown]
        );
        assert_eq!(
            in_group(|cause| cause.manner() == Manner::CutOff),
            [ConnectRefused, ConnectAbandoned, ResetByPeer, ResetByLocal, AdminKill, IcmpError]
        );
        assert_eq!(
            in_group(|cause| cause.connect_end() == ConnectEnd::TimedOut),
            [RetransmitTimeout, UserTimeout, ConnectTimeout]
        );
        assert_eq!(
            in_group(|cause| cause.connect_end() == ConnectEnd::Abandoned),
            [ConnectAbandoned, ResetByLocal, ClosedByLocal]
        );
    }

    #[test]
    fn the_groups_agree_with_each_other() {
        for cause in Cause::ALL {
            assert!(!(cause.is_orderly() && cause.is_death()), "{}", cause.name());
            assert!(cause.is_death() || !cause.is_kernel_timeout(), "{}", cause.name());
            assert!(cause.is_kernel_timeout() || !cause.is_give_up(), "{}", cause.name());
            assert_eq!(cause.name().ends_with("_timeout"), cause.is_kernel_timeout(), "{}", cause.name());
        }
    }
}
