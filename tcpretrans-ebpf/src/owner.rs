//! Who opened a socket, remembered where `current` is known to be the owner.
//!
//! At a retransmission `current` is whatever task the interrupt hit. It is the owner at
//! CLOSE -> SYN_SENT (`connect`) and at CLOSE -> LISTEN, and at the FIN of this side. An array with two places for
//! each socket remembers it until the socket closes: no locks, no allocation, a few nanoseconds; where both places
//! are taken, an older socket is forgotten, and the answer is "unknown".

/// One slot of the `OWNERS` array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct OwnerSlot {
    /// The socket, as in [`Record::sk`](crate::Record::sk); 0: free.
    pub sk: u64,
    /// When the socket left CLOSE (or was created by a SYN), `ktime_get_ns`.
    pub born_ns: u64,
    /// When its first FIN was sent or received; 0: not yet.
    pub fin_ns: u64,
    /// The owning process's `comm` (its group leader's); zero if unknown.
    pub comm: [u64; 2],
    /// The owner's thread group id; 0 if unknown.
    pub tgid: u32,
    /// How long ago data was last sent when the FIN went, jiffies; all ones: not yet.
    pub fin_idle_jiffies: u32,
    /// Was the task dying that closed? See [`exit`]; 0 as well: nobody has closed.
    pub fin_exit: u32,
    /// [`OwnerSlot::check_of`] the other fields: two CPUs may write one slot at once, and a torn slot must
    /// not name a wrong owner.
    pub check: u32,
}

impl OwnerSlot {
    /// One that is nobody's.
    pub const FREE: OwnerSlot = OwnerSlot {
        sk: 0,
        born_ns: 0,
        fin_ns: 0,
        comm: [0; 2],
        tgid: 0,
        fin_idle_jiffies: u32::MAX,
        fin_exit: 0,
        check: 0,
    };

    /// Slots; a power of two.
    pub const COUNT: u32 = 1 << 16;

    /// A socket's first slot; the second is the neighbour, this index with its lowest bit turned. Sockets are slab objects of some 2 kB: the low bits say little.
    #[inline(always)]
    pub const fn index(sk: u64) -> u32 {
        (sk.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48) as u32
    }

    /// Ties `sk`, `born_ns`, `tgid` and `comm` together (what is known of the FIN changes on its own).
    #[inline(always)]
    pub const fn check_of(sk: u64, born_ns: u64, tgid: u32, comm: [u64; 2]) -> u32 {
        let mix =
            sk ^ born_ns.rotate_left(17) ^ comm[0].rotate_left(29) ^ comm[1].rotate_left(43) ^ tgid as u64;
        (mix ^ (mix >> 32)) as u32
    }
}

/// How a task that closes a socket is dying: sockets are closed late in `do_exit`, by then the task's flag
/// `PF_EXITING` and its exit code are set.
pub mod exit {
    /// It is dying. Alone: by `exit()`; else the signal's number stands in the other bits.
    pub const DYING: u8 = 0x80;

    /// The signal that kills it; `None`: it lives, or ends of itself.
    pub fn signal(exit: u8) -> Option<u8> {
        let signal = exit & !DYING;
        (exit & DYING != 0 && signal != 0).then_some(signal)
    }
}
