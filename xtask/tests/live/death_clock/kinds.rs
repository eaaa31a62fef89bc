//! The ways to die.

use std::{net::TcpStream, time::Duration};

use xtask::lab::{Family, Lab, Namespace, socket::Options};

/// What the connection is doing when its peer falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It has sent data.
    Sends,
    /// It has sent data, and its owner has closed it.
    SendsAndCloses,
    /// It is being opened by connect().
    Connects,
    /// It is being opened by a peer that does not complete the handshake.
    IsCalled,
}

/// One way to die.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub act: Act,
    pub family: Family,
    /// Of the namespace that the dying socket lives in.
    pub sysctls: &'static [(&'static str, &'static str)],
    /// More words for its route.
    pub route: &'static [&'static str],
    /// TCP_USER_TIMEOUT, ms; 0: unset.
    pub user_timeout_ms: u64,
    /// TCP_SYNCNT; 0: unset.
    pub syn_count: i32,
    /// It is in backoff already when the trace begins.
    pub before_the_trace: bool,
    /// What kills it, and that knob's value.
    pub knob: (&'static str, u64),
}

const PLAIN: Kind = Kind {
    name: "",
    act: Act::Sends,
    family: Family::V4,
    sysctls: &[],
    route: &[],
    user_timeout_ms: 0,
    syn_count: 0,
    before_the_trace: false,
    knob: ("", 0),
};

/// All of them.
pub const KINDS: &[Kind] = &[
    Kind { name: "tcp_retries2=3", sysctls: &[("tcp_retries2", "3")], knob: ("tcp_retries2", 3), ..PLAIN },
    Kind { name: "tcp_retries2=5", sysctls: &[("tcp_retries2", "5")], knob: ("tcp_retries2", 5), ..PLAIN },
    Kind {
        name: "tcp_retries2=3, IPv6",
        family: Family::V6,
        sysctls: &[("tcp_retries2", "3")],
        knob: ("tcp_retries2", 3),
        ..PLAIN
    },
    Kind {
        name: "tcp_retries2=3, tcp_rto_max_ms=1000",
        sysctls: &[("tcp_retries2", "3"), ("tcp_rto_max_ms", "1000")],
        knob: ("tcp_retries2", 3),
        ..PLAIN
    },
    Kind {
        name: "tcp_retries2=5, tcp_rto_max_ms=1000",
        sysctls: &[("tcp_retries2", "5"), ("tcp_rto_max_ms", "1000")],
        knob: ("tcp_retries2", 5),
        ..PLAIN
    },
    Kind {
        name: "tcp_retries2=8, tcp_rto_max_ms=1000",
        sysctls: &[("tcp_retries2", "8"), ("tcp_rto_max_ms", "1000")],
        knob: ("tcp_retries2", 8),
        ..PLAIN
    },
    Kind {
        name: "tcp_retries2=3, route with rto_min 50 ms",
        sysctls: &[("tcp_retries2", "3")],
        route: &["rto_min", "50ms"],
        knob: ("tcp_retries2", 3),
        ..PLAIN
    },
    Kind {
        name: "tcp_retries2=3, tcp_thin_linear_timeouts=1",
        sysctls: &[("tcp_retries2", "3"), ("tcp_thin_linear_timeouts", "1")],
        knob: ("tcp_retries2", 3),
        ..PLAIN
    },
    Kind { name: "TCP_USER_TIMEOUT 1.5 s", user_timeout_ms: 1500, knob: ("TCP_USER_TIMEOUT", 1500), ..PLAIN },
    Kind {
        name: "TCP_USER_TIMEOUT 10 s",
        user_timeout_ms: 10_000,
        knob: ("TCP_USER_TIMEOUT", 10_000),
        ..PLAIN
    },
    Kind {
        name: "connect(), tcp_syn_retries=1",
        act: Act::Connects,
        sysctls: &[("tcp_syn_retries", "1"), ("tcp_syn_linear_timeouts", "0")],
        knob: ("tcp_syn_retries", 1),
        ..PLAIN
    },
    Kind {
        name: "connect(), tcp_syn_retries=1, one linear timeout",
        act: Act::Connects,
        sysctls: &[("tcp_syn_retries", "1"), ("tcp_syn_linear_timeouts", "1")],
        knob: ("tcp_syn_retries", 1),
        ..PLAIN
    },
    Kind {
        name: "connect(), tcp_syn_retries=2, IPv6",
        act: Act::Connects,
        family: Family::V6,
        sysctls: &[("tcp_syn_retries", "2"), ("tcp_syn_linear_timeouts", "0")],
        knob: ("tcp_syn_retries", 2),
        ..PLAIN
    },
    Kind {
        name: "connect(), tcp_syn_retries=2, one linear timeout",
        act: Act::Connects,
        sysctls: &[("tcp_syn_retries", "2"), ("tcp_syn_linear_timeouts", "1")],
        knob: ("tcp_syn_retries", 2),
        ..PLAIN
    },
    Kind {
        name: "connect(), TCP_SYNCNT=1, one linear timeout",
        act: Act::Connects,
        sysctls: &[("tcp_syn_linear_timeouts", "1")],
        syn_count: 1,
        knob: ("TCP_SYNCNT", 1),
        ..PLAIN
    },
    Kind {
        name: "connect(), TCP_USER_TIMEOUT 4 s",
        act: Act::Connects,
        user_timeout_ms: 4000,
        knob: ("TCP_USER_TIMEOUT", 4000),
        ..PLAIN
    },
    Kind {
        name: "closed with data in flight, tcp_orphan_retries=4",
        act: Act::SendsAndCloses,
        sysctls: &[("tcp_orphan_retries", "4")],
        knob: ("tcp_orphan_retries", 4),
        ..PLAIN
    },
    Kind {
        // 0 stands for 8 while the RTO is below its maximum, and for none once it is there (tcp_orphan_retries).
        name: "closed with data in flight, tcp_rto_max_ms=1000",
        act: Act::SendsAndCloses,
        sysctls: &[("tcp_orphan_retries", "0"), ("tcp_rto_max_ms", "1000")],
        knob: ("tcp_orphan_retries", 8),
        ..PLAIN
    },
    Kind {
        name: "in backoff before the trace, tcp_retries2=5",
        sysctls: &[("tcp_retries2", "5")],
        before_the_trace: true,
        knob: ("tcp_retries2", 5),
        ..PLAIN
    },
    Kind {
        name: "in backoff before the trace, TCP_USER_TIMEOUT 12 s",
        user_timeout_ms: 12_000,
        before_the_trace: true,
        knob: ("TCP_USER_TIMEOUT", 12_000),
        ..PLAIN
    },
    Kind {
        name: "unanswered SYN-ACK, tcp_synack_retries=2",
        act: Act::IsCalled,
        sysctls: &[("tcp_synack_retries", "2")],
        knob: ("tcp_synack_retries", 2),
        ..PLAIN
    },
    Kind {
        name: "unanswered SYN-ACK, listener's TCP_SYNCNT=1, IPv6",
        act: Act::IsCalled,
        family: Family::V6,
        syn_count: 1,
        knob: ("TCP_SYNCNT", 1),
        ..PLAIN
    },
];

impl Kind {
    /// The namespace that the dying socket lives in.
    pub fn side<'a>(&self, lab: &'a Lab) -> &'a Namespace {
        if self.act == Act::IsCalled { &lab.right } else { &lab.left }
    }

    /// Sets the options of the socket that will die.
    pub fn equip(&self, mut socket: TcpStream) -> TcpStream {
        if self.user_timeout_ms != 0 {
            socket = socket.user_timeout(Duration::from_millis(self.user_timeout_ms)).unwrap();
        }
        if self.syn_count != 0 {
            socket = socket.syn_count(self.syn_count).unwrap();
        }
        socket
    }
}
