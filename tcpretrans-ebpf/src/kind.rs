//! What a record tells of.

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// Which tracepoint a record comes from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All kinds in the order of their numbers.
            pub const ALL: [Kind; [$($name),*].len()] = [$(Kind::$kind),*];

            /// The name in recordings: that of the kernel's tracepoint and of the program on it, where there is one.
            pub const fn name(self) -> &'static str {
                match self { $(Kind::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    /// An attempt to retransmit.
    Retransmit = "tcp_retransmit_skb",
    /// A SYN-ACK that was retransmitted.
    SynAck = "tcp_retransmit_synack",
    /// A change of the TCP state.
    State = "inet_sock_set_state",
    /// A RST came.
    ReceiveReset = "tcp_receive_reset",
    /// A RST was sent.
    SendReset = "tcp_send_reset",
    /// A change of the congestion state, seen at `tcp_fastretrans_alert`'s end before 5.19.
    CongState = "tcp_cong_state_set",
    /// The socket is gone.
    Destroy = "tcp_destroy_sock",
    /// An error was raised on the socket.
    ErrorReport = "inet_sk_error_report",
    /// The tracer's own `listen()`: proves that records flow, and shows HZ in `icsk_rto`.
    Calibrate = "calibrate",
    /// A socket that was in trouble before the trace began (`bpf_iter_tcp`).
    Seed = "tcp_seed",
}

impl Kind {
    /// How many kinds there are; counters have one place for each.
    pub const COUNT: u32 = Self::ALL.len() as u32;

    /// What it says was retransmitted, and so becomes an event of its own; `None`: nothing.
    pub const fn attempt(self) -> Option<Attempt> {
        match self {
            Kind::Retransmit => Some(Attempt::Segment),
            Kind::SynAck => Some(Attempt::SynAck),
            Kind::State
            | Kind::ReceiveReset
            | Kind::SendReset
            | Kind::CongState
            | Kind::Destroy
            | Kind::ErrorReport
            | Kind::Calibrate
            | Kind::Seed => None,
        }
    }

    /// Does it tell of an attempt to retransmit?
    pub const fn is_retransmission(self) -> bool {
        self.attempt().is_some()
    }
}

/// What is retransmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A segment of the socket's own: data, a FIN, a SYN.
    Segment,
    /// A SYN-ACK. Unless the connection is a TFO child, it is of a request, which is no socket yet: the record's socket
    /// is then the listener.
    SynAck,
}

impl Attempt {
    /// The kind of the records that tell of it.
    pub const fn kind(self) -> Kind {
        match self {
            Attempt::Segment => Kind::Retransmit,
            Attempt::SynAck => Kind::SynAck,
        }
    }
}
