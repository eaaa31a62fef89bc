//! One record of the ring buffer: what happened, to which socket, and what the socket looked like.
//!
//! Every kind has the same layout, so decoding is one checked-length read and no kind can be misread as
//! another. Integers are in the machine's own byte order: a record never leaves it.

use crate::snapshot_fields;

/// Which tracepoint a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `tcp_retransmit_skb`
    Retransmit = 0,
    /// `tcp_retransmit_synack`
    SynAck = 1,
    /// `inet_sock_set_state`
    State = 2,
    /// `tcp_receive_reset`
    ReceiveReset = 3,
    /// `tcp_send_reset`
    SendReset = 4,
    /// `tcp_cong_state_set`
    CongState = 5,
    /// `tcp_destroy_sock`
    Destroy = 6,
    /// `inet_sk_error_report`
    ErrorReport = 7,
    /// The tracer's own `listen()`: proves that records flow, and shows HZ in `icsk_rto`.
    Calibrate = 8,
    /// A socket that was in trouble before the trace began (`bpf_iter_tcp`).
    Seed = 9,
}

impl Kind {
    /// How many kinds there are; counters have one place for each.
    pub const COUNT: u32 = 10;

    /// All kinds in the order of their numbers.
    pub const ALL: [Kind; Self::COUNT as usize] = [
        Kind::Retransmit,
        Kind::SynAck,
        Kind::State,
        Kind::ReceiveReset,
        Kind::SendReset,
        Kind::CongState,
        Kind::Destroy,
        Kind::ErrorReport,
        Kind::Calibrate,
        Kind::Seed,
    ];
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Not as long as a record.
    Length {
        /// Bytes that a record has.
        expected: usize,
        /// Bytes there were.
        found: usize,
    },
    /// No such [`Kind`].
    Kind(u8),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Length { expected, found } => {
                write!(f, "a record has {expected} bytes, this one {found}")
            }
            Self::Kind(kind) => write!(f, "no record kind has number {kind}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Reads a record's fields in order. The length was checked before, so each read is in bounds.
struct Cursor<'a> {
    rest: &'a [u8],
}

trait WireField: Sized {
    fn read(cursor: &mut Cursor<'_>) -> Self;
}

macro_rules! wire_integers {
    ($($ty:ty),*) => {$(
        impl WireField for $ty {
            fn read(cursor: &mut Cursor<'_>) -> Self {
                match cursor.rest.split_first_chunk() {
                    Some((bytes, rest)) => {
                        cursor.rest = rest;
                        <$ty>::from_ne_bytes(*bytes)
                    }
                    None => 0,
                }
            }
        }
    )*};
}
wire_integers!(u8, u16, u32, i32, u64);

impl<const N: usize> WireField for [u8; N] {
    fn read(cursor: &mut Cursor<'_>) -> Self {
        match cursor.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                cursor.rest = rest;
                *bytes
            }
            None => [0; N],
        }
    }
}

macro_rules! wire_struct {
    ($(#[$meta:meta])* $struct:ident { $($(#[$doc:meta])* $name:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct $struct { $($(#[$doc])* pub $name: $ty,)* }

        impl WireField for $struct {
            fn read(cursor: &mut Cursor<'_>) -> Self {
                Self { $($name: <$ty>::read(cursor),)* }
            }
        }

        // No padding: uninitialised bytes would reach userspace, and the verifier of old kernels refuses them.
        const _: () = assert!(size_of::<$struct>() == 0 $(+ size_of::<$ty>())*);
    };
}

macro_rules! define_snapshot {
    ($($name:ident: $ty:ty = $base:ident $form:ident $homes:tt;)*) => {
        /// Fills [`Snapshot`] up to a multiple of eight bytes.
        const SNAPSHOT_PAD: usize = {
            let bytes = 0 $(+ size_of::<$ty>())*;
            (8 - bytes % 8) % 8
        };

        wire_struct! {
            /// The socket's fields as the kernel had them at the tracepoint; see [`crate::fields`].
            /// Optional fields are all ones where this kernel lacks them.
            #[allow(missing_docs, reason = "the names are the kernel's")]
            Snapshot { $($name: $ty,)* pad: [u8; SNAPSHOT_PAD], }
        }
    };
}

snapshot_fields!(define_snapshot);

wire_struct! {
    /// What one tracepoint saw.
    Record {
        /// `ktime_get_ns` at the tracepoint.
        mono_ns: u64,
        /// `jiffies64` at the tracepoint; timers run on these.
        jiffies: u64,
        /// A number that stands for the `struct sock` while it lives: its address less an unknown constant.
        sk: u64,
        /// Socket cookie, as `ss -e` shows it; 0 where this kernel gives none.
        cookie: u64,
        /// Id of the cgroup that the socket was created in; 0 unknown.
        cgroup_id: u64,
        /// Inode of the socket's file, `socket:[N]` in /proc; 0: orphaned, or not accepted yet.
        inode: u64,
        /// When the socket was opened (see [`crate::OwnerSlot`]); 0 unknown.
        born_ns: u64,
        /// When its first FIN went; 0 unknown or not yet.
        fin_ns: u64,
        /// State: the current task's name. Meaningful only where section 9 of the kernel notes says so.
        current_comm: [u8; 16],
        /// The opener's name; zero if unknown.
        owner_comm: [u8; 16],
        /// Local address; IPv4 as ::ffff:a.b.c.d.
        laddr: [u8; 16],
        /// Remote address, likewise.
        raddr: [u8; 16],
        /// The opener's thread group id; 0 unknown.
        owner_tgid: u32,
        /// The current task's thread group id.
        current_tgid: u32,
        /// Retransmit: first sequence number of the skb.
        seq: u32,
        /// Retransmit: sequence number after it (a SYN or FIN counts one).
        end_seq: u32,
        /// Retransmit: payload bytes.
        skb_len: u32,
        /// Retransmit: 0 sent, negative errno or NET_XMIT_DROP (1): not sent.
        err: i32,
        /// Reset: `enum sk_rst_reason`; all ones where this kernel gives none.
        rst_reason: u32,
        /// SynAck: `req->timeout`, jiffies; all ones where this kernel has none.
        req_timeout: u32,
        /// SynAck: expiry of the request's timer, low half of jiffies.
        req_expires: u32,
        /// Retransmit: segments in the skb (`tcp_skb_pcount`).
        segs: u16,
        /// Local port, host order.
        lport: u16,
        /// Remote port, host order.
        rport: u16,
        /// Retransmit: the skb's scoreboard flags (`TCPCB_*`).
        sacked: u8,
        /// [`Kind`]
        kind: u8,
        /// State, CongState: before.
        old: u8,
        /// State, CongState: after.
        new: u8,
        /// SendReset: there is an skb that it answers.
        has_skb: u8,
        /// SynAck: `req->num_retrans` before this one.
        num_retrans: u8,
        /// SynAck: `req->num_timeout`.
        num_timeout: u8,
        /// Zero.
        reserved: [u8; 7],
        /// The socket.
        sock: Snapshot,
    }
}

impl Record {
    /// Bytes of a record on the wire.
    pub const SIZE: usize = size_of::<Record>();

    /// Reads one record.
    ///
    /// # Errors
    /// [`DecodeError`] if the length or the kind is not a record's; never panics.
    pub fn decode(bytes: &[u8]) -> Result<(Kind, Record), DecodeError> {
        if bytes.len() != Self::SIZE {
            return Err(DecodeError::Length { expected: Self::SIZE, found: bytes.len() });
        }
        let record = Record::read(&mut Cursor { rest: bytes });
        let kind = Kind::ALL.get(usize::from(record.kind)).copied().ok_or(DecodeError::Kind(record.kind))?;
        Ok((kind, record))
    }
}
