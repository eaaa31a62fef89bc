//! One record of the ring buffer: what happened, to which socket, and what the socket looked like.
//!
//! Every kind has the same layout, so decoding is one checked-length read and no kind can be misread as
//! another. Integers are in the machine's own byte order: a record never leaves it.

#[cfg(not(target_arch = "bpf"))]
use crate::Number;
use crate::{
    Kind, kernel_fields,
    wire::{Cursor, WireField, wire_struct},
};

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

macro_rules! define_snapshot {
    (snapshot { $($name:ident: $ty:ty = $base:ident $form:ident $homes:tt;)* } others $others:tt) => {
        /// Fills [`Snapshot`] up to a multiple of eight bytes.
        const SNAPSHOT_PAD: usize = padding(0 $(+ size_of::<$ty>())*);

        wire_struct! {
            /// The socket's fields as the kernel had them at the tracepoint; see [`crate::fields`].
            /// Optional fields are all ones where this kernel lacks them.
            #[allow(missing_docs, reason = "the names are the kernel's")]
            Snapshot { $($name: $ty,)* pad: [u8; SNAPSHOT_PAD], }
        }
    };
}
kernel_fields!(define_snapshot);

const fn padding(bytes: usize) -> usize {
    (8 - bytes % 8) % 8
}

/// Calls `$callback!` with the fields of a [`Record`] beside the snapshot, widest first.
///
/// `name: type;` is a field of every kind: the programs must say where it comes from, or they do not compile.
/// `name: type = value;` is a field of some kinds, which has that value in all others.
#[macro_export]
macro_rules! record_fields {
    ($callback:ident) => {
        $callback! {
            /// `ktime_get_ns` at the tracepoint.
            mono_ns: u64;
            /// `jiffies64` at the tracepoint; timers run on these.
            jiffies: u64;
            /// A number that stands for the `struct sock` while it lives: its address less an unknown constant.
            sk: u64;
            /// Socket cookie, as `ss -e` shows it; 0 where this kernel gives none.
            cookie: u64;
            /// Id of the cgroup that the socket was created in; 0 unknown.
            cgroup_id: u64;
            /// Inode of the socket's file, `socket:[N]` in /proc; 0: orphaned, or not accepted yet.
            inode: u64;
            /// When the socket was opened (see [`crate::OwnerSlot`]); 0 unknown.
            born_ns: u64;
            /// When its first FIN went; 0 unknown or not yet.
            fin_ns: u64;
            /// State: the current task's name. Meaningful only where section 9 of the kernel notes says so.
            current_comm: [u8; 16] = [0; 16];
            /// The opener's name; zero if unknown.
            owner_comm: [u8; 16];
            /// Local address; IPv4 as ::ffff:a.b.c.d.
            laddr: [u8; 16];
            /// Remote address, likewise.
            raddr: [u8; 16];
            /// The opener's thread group id; 0 unknown.
            owner_tgid: u32;
            /// The current task's thread group id.
            current_tgid: u32 = 0;
            /// Retransmit: first sequence number of the skb.
            seq: u32 = 0;
            /// Retransmit: sequence number after it (a SYN or FIN counts one).
            end_seq: u32 = 0;
            /// Retransmit: payload bytes.
            skb_len: u32 = 0;
            /// Retransmit: 0 sent, negative errno or NET_XMIT_DROP (1): not sent.
            err: i32 = 0;
            /// Reset: `enum sk_rst_reason`; all ones where this kernel gives none.
            rst_reason: u32 = u32::MAX;
            /// SynAck: `req->timeout`, jiffies; all ones where this kernel has none.
            req_timeout: u32 = 0;
            /// SynAck: expiry of the request's timer, low half of jiffies.
            req_expires: u32 = 0;
            /// How long ago data was last sent when the first FIN went, jiffies; all ones unknown.
            fin_idle_jiffies: u32;
            /// Retransmit: segments in the skb (`tcp_skb_pcount`).
            segs: u16 = 0;
            /// Local port, host order.
            lport: u16;
            /// Remote port, host order.
            rport: u16;
            /// Retransmit: the skb's scoreboard flags (`TCPCB_*`).
            sacked: u8 = 0;
            /// [`Kind`]
            kind: u8;
            /// State, CongState: before.
            old: u8 = 0;
            /// State, CongState: after.
            new: u8 = 0;
            /// SendReset: there is an skb that it answers.
            has_skb: u8 = 0;
            /// SynAck: `req->num_retrans` before this one.
            num_retrans: u8 = 0;
            /// SynAck: `req->num_timeout`.
            num_timeout: u8 = 0;
            /// State, SendReset: is the current task dying? See [`crate::owner::exit`].
            current_exit: u8 = 0;
            /// Was the task dying that closed first, if it was this side's? See [`crate::owner::exit`].
            fin_exit: u8;
        }
    };
}

macro_rules! define_record {
    ($($(#[$doc:meta])* $name:ident: $ty:ty $(= $default:expr)?;)*) => {
        /// Fills [`Record`] up to a multiple of eight bytes.
        const RECORD_PAD: usize = padding(0 $(+ size_of::<$ty>())*);

        wire_struct! {
            /// What one tracepoint saw.
            Record {
                $($(#[$doc])* $name: $ty,)*
                /// Zero.
                reserved: [u8; RECORD_PAD],
                /// The socket.
                sock: Snapshot,
            }
        }
    };
}
record_fields!(define_record);

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

/// Fields by name, for recordings.
#[cfg(not(target_arch = "bpf"))]
impl Record {
    /// Calls `visit` with the name and the value of every number that is not as in `base`, the snapshot's
    /// included, in the order of the wire. Addresses and names of tasks are arrays, not numbers: the caller
    /// compares those.
    pub fn differences(&self, base: &Record, mut visit: impl FnMut(&'static str, i128)) {
        WireField::differences(self, base, "", &mut visit);
    }

    /// Calls `visit` with every number, in the order in which [`Record::differences`] tells them.
    pub fn numbers(mut visit: impl FnMut(Number)) {
        <Record as WireField>::numbers("", 0, &mut visit);
    }

    /// Sets the number of that name, as [`Record::differences`] tells it. False: there is no such number, or
    /// the value does not fit into it; then nothing changes.
    pub fn set(&mut self, name: &str, value: i128) -> bool {
        self.assign("", name, value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A record in which every number is a different one, as far as its width allows.
    fn every_number_set() -> Record {
        let mut record = Record::default();
        let mut names = Vec::new();
        let ones = all_ones();
        ones.differences(&Record::default(), |name, _| names.push(name));
        for (at, name) in names.iter().enumerate() {
            assert!(record.set(name, at as i128 + 1), "{name}");
        }
        record
    }

    fn all_ones() -> Record {
        Record::read(&mut Cursor { rest: &[0xff; Record::SIZE] })
    }

    #[test]
    fn every_number_is_told_once_and_can_be_set_back() {
        let record = every_number_set();
        let mut told = BTreeMap::new();
        record.differences(&Record::default(), |name, value| {
            assert_eq!(told.insert(name, value), None, "{name} is told twice: two fields share the name");
        });
        assert!(told.len() > 100, "{}", told.len());
        assert_eq!(told["mono_ns"], 1);
        let mut copy = Record::default();
        for (name, value) in told {
            assert!(copy.set(name, value), "{name}");
        }
        assert_eq!(copy, record);
    }

    #[test]
    fn a_number_is_stored_where_its_name_is() {
        let values = [0, 1, 255, 256, 65_535, 65_536, i128::from(u32::MAX), i128::from(u64::MAX), -1, -105];
        let mut numbers = Vec::new();
        Record::numbers(|number| numbers.push(number));
        let mut told = Vec::new();
        all_ones().differences(&Record::default(), |name, _| told.push(name));
        assert_eq!(numbers.iter().map(|number| number.name).collect::<Vec<_>>(), told);
        for number in &numbers {
            for value in values {
                let (mut by_name, mut by_place) = (all_ones(), all_ones());
                let fits = by_name.set(number.name, value);
                assert_eq!(number.store(&mut by_place, value), fits, "{} {value}", number.name);
                assert_eq!(by_place, by_name, "{} {value}", number.name);
            }
        }
    }

    #[test]
    fn a_record_differs_from_itself_in_nothing() {
        let record = every_number_set();
        record.differences(&record, |name, value| panic!("{name} {value}"));
    }

    #[test]
    fn numbers_keep_sign_and_width() {
        let mut record = Record::default();
        assert!(record.set("err", -105));
        assert_eq!(record.err, -105);
        assert!(record.set("sk", i128::from(u64::MAX)));
        assert_eq!(record.sk, u64::MAX);
        let before = record;
        assert!(!record.set("lport", 65536), "does not fit");
        assert!(!record.set("kind", -1));
        assert!(!record.set("laddr", 1), "an array");
        assert!(!record.set("nonsense", 1));
        assert!(!record.set("", 1));
        assert!(!record.set("sock", 1));
        assert_eq!(record, before);
    }

    #[test]
    fn the_snapshot_counts_as_part_of_the_record() {
        let mut record = Record::default();
        assert!(record.set("icsk_rto", 51));
        assert_eq!(record.sock.icsk_rto, 51);
    }

    #[test]
    fn bytes_that_are_no_record_are_an_error() {
        assert_eq!(
            Record::decode(&[0; Record::SIZE - 1]),
            Err(DecodeError::Length { expected: Record::SIZE, found: Record::SIZE - 1 })
        );
        assert_eq!(Record::decode(&[0xff; Record::SIZE]), Err(DecodeError::Kind(0xff)));
        assert_eq!(Record::decode(&[0; Record::SIZE]), Ok((Kind::Retransmit, Record::default())));
    }
}
