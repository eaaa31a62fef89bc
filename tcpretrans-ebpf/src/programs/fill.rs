//! Filling a record. What a record has is said in `tcpretrans_ebpf` alone (`record_fields!`, `kernel_fields!`): a field
//! that is defined there is written here, or this does not compile.

use tcpretrans_ebpf::{Field, Kind, Record, kernel_fields, record_fields};

use super::{
    clock,
    load::Typed,
    output::Reserved,
    owners::{self, Owner, get},
    socket::Sock,
    tuple::{self, Tuple},
};

/// Writes a field of a record in place: building a `Record` on the stack would not fit there. Volatile, or the
/// compiler would gather the zeroes into calls of a byte-wise memset.
macro_rules! set {
    ($record:ident . $($field:ident).+ = $value:expr) => {{
        let value = $value;
        // SAFETY: `Reserved` is room for a whole record that only this program has.
        unsafe { $crate::programs::fill::Store::store(value, &raw mut (*$record.as_ptr()).$($field).+) }
    }};
}
pub(super) use set;

/// What can be written into a record.
pub trait Store: Copy {
    /// # Safety
    /// `place` must be valid for writes, and aligned to 8 bytes if it is of 16.
    unsafe fn store(self, place: *mut Self);
}

macro_rules! store_integers {
    ($($ty:ty),*) => {$(
        impl Store for $ty {
            #[inline(always)]
            unsafe fn store(self, place: *mut Self) {
                // SAFETY: the caller vouches for the place.
                unsafe { place.write_volatile(self) }
            }
        }
    )*};
}
store_integers!(u8, u16, u32, i32, u64);

/// Names and addresses. In two words: their places are aligned to that, asserted below.
impl Store for [u8; 16] {
    #[inline(always)]
    unsafe fn store(self, place: *mut Self) {
        let words: [u64; 2] = [
            u64::from_ne_bytes([self[0], self[1], self[2], self[3], self[4], self[5], self[6], self[7]]),
            u64::from_ne_bytes([
                self[8], self[9], self[10], self[11], self[12], self[13], self[14], self[15],
            ]),
        ];
        let place = place.cast::<u64>();
        // SAFETY: the caller vouches for the place.
        unsafe {
            place.write_volatile(words[0]);
            place.add(1).write_volatile(words[1]);
        }
    }
}

/// The few bytes that fill a structure up.
#[inline(always)]
fn zero<const N: usize>(padding: *mut [u8; N]) {
    let mut index = 0;
    while index < N {
        // SAFETY: within the padding, which callers take from a reserved record.
        unsafe { padding.cast::<u8>().add(index).write_volatile(0) };
        index += 1;
    }
}

macro_rules! value_of {
    ($name:ident: $ty:ty = $default:expr) => {
        #[inline(always)]
        fn $name(&self) -> $ty {
            $default
        }
    };
    ($name:ident: $ty:ty) => {
        fn $name(&self) -> $ty;
    };
}

macro_rules! define_fill {
    ($($(#[$doc:meta])* $name:ident: $ty:ty $(= $default:expr)?;)*) => {
        /// Where a record's fields come from: one method each. Those of some kinds only have what they have in others.
        #[allow(clippy::new_ret_no_self, clippy::wrong_self_convention, reason = "a field is called `new`")]
        trait Source {
            $(value_of! { $name: $ty $(= $default)? })*

            /// Writes them all, in the order of the wire.
            #[inline(always)]
            fn fill(&self, record: Reserved) {
                $(set!(record.$name = self.$name());)*
                // SAFETY: only an address is taken.
                zero(unsafe { &raw mut (*record.as_ptr()).reserved });
            }
        }

        /// Of those that are written in words.
        const _: () = assert!(true $(&& (size_of::<$ty>() < 16 || core::mem::offset_of!(Record, $name) % 8 == 0))*);
    };
}
record_fields!(define_fill);

/// What all kinds have in common.
struct Common {
    kind: Kind,
    sock: Sock,
    identity: u64,
    owner: Owner,
    tuple: Tuple,
}

impl Source for Common {
    #[inline(always)]
    fn mono_ns(&self) -> u64 {
        clock::now_ns()
    }

    #[inline(always)]
    fn jiffies(&self) -> u64 {
        clock::jiffies()
    }

    #[inline(always)]
    fn sk(&self) -> u64 {
        self.identity
    }

    #[inline(always)]
    fn cookie(&self) -> u64 {
        self.sock.cookie()
    }

    #[inline(always)]
    fn cgroup_id(&self) -> u64 {
        self.sock.cgroup_id()
    }

    #[inline(always)]
    fn inode(&self) -> u64 {
        self.sock.inode()
    }

    #[inline(always)]
    fn born_ns(&self) -> u64 {
        get!(self.owner, born_ns)
    }

    #[inline(always)]
    fn fin_ns(&self) -> u64 {
        get!(self.owner, fin_ns)
    }

    #[inline(always)]
    fn owner_comm(&self) -> [u8; 16] {
        tuple::bytes([get!(self.owner, comm[0]), get!(self.owner, comm[1])])
    }

    #[inline(always)]
    fn laddr(&self) -> [u8; 16] {
        self.tuple.laddr.bytes()
    }

    #[inline(always)]
    fn raddr(&self) -> [u8; 16] {
        self.tuple.raddr.bytes()
    }

    #[inline(always)]
    fn owner_tgid(&self) -> u32 {
        get!(self.owner, tgid)
    }

    #[inline(always)]
    fn fin_idle_jiffies(&self) -> u32 {
        get!(self.owner, fin_idle_jiffies)
    }

    #[inline(always)]
    fn lport(&self) -> u16 {
        self.tuple.lport
    }

    #[inline(always)]
    fn rport(&self) -> u16 {
        self.tuple.rport
    }

    #[inline(always)]
    fn kind(&self) -> u8 {
        self.kind as u8
    }

    #[inline(always)]
    fn fin_exit(&self) -> u8 {
        get!(self.owner, fin_exit) as u8
    }
}

macro_rules! load_by_form {
    (bits $ty:ty, $base:expr, $field:expr) => {
        $base.load_bits($field)
    };
    (narrow $ty:ty, $base:expr, $field:expr) => {
        $base.load_narrow($field)
    };
    ($whole:ident $ty:ty, $base:expr, $field:expr) => {
        $base.load::<$ty>($field)
    };
}

/// What the table's offsets count from.
struct Bases {
    sk: Typed,
    tp: Typed,
    net: Typed,
}

macro_rules! define_fill_snapshot {
    (snapshot { $($name:ident: $ty:ty = $base:ident $form:ident $homes:tt;)* } others $others:tt) => {
        /// Copies every field of the table.
        #[inline(always)]
        fn fill_snapshot(record: Reserved, bases: Bases) {
            $(set!(record.sock.$name = load_by_form!($form $ty, bases.$base, Field::$name));)*
            // SAFETY: only an address is taken.
            zero(unsafe { &raw mut (*record.as_ptr()).sock.pad });
        }
    };
}
kernel_fields!(define_fill_snapshot);

/// Fills a record as all kinds have it; what only some have is blank. `ends` as [`Tuple::read`] wants it.
#[inline(always)]
pub fn fill(record: Reserved, kind: Kind, sock: Sock, ends: Typed) {
    let identity = sock.identity();
    let tuple = Tuple::read(sock.tp, ends);
    Common { kind, sock, identity, owner: owners::recall(identity), tuple }.fill(record);
    fill_snapshot(record, Bases { sk: sock.sk, tp: sock.tp, net: sock.tp.follow(Field::skc_net) });
}

/// Adds the current task, for the kinds where it may mean something.
#[inline(always)]
pub fn fill_current(record: Reserved) {
    set!(record.current_tgid = owners::current_tgid());
    set!(record.current_exit = owners::current_exit());
    set!(record.current_comm = tuple::bytes(owners::current_comm()));
}
