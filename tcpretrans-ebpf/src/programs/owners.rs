//! The memory of who opened which socket; see [`OwnerSlot`].

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_task},
    macros::map,
    maps::Array,
};
use tcpretrans_ebpf::{Field, OwnerSlot, owner::exit};

use super::load::probe;

#[map]
static OWNERS: Array<OwnerSlot> = Array::with_max_entries(OwnerSlot::COUNT, 0);

/// What is known of a socket of which nothing is.
static UNKNOWN: OwnerSlot = OwnerSlot::FREE;

/// A slot of the array. Other CPUs may read and write it at the same time ([`OwnerSlot::check`]), hence volatile; and
/// the compiler would gather zeroes into a call of a byte-wise memset.
#[derive(Clone, Copy)]
struct Slot(*mut OwnerSlot);

/// What is known of a socket, to be read.
#[derive(Clone, Copy)]
pub struct Owner(*const OwnerSlot);

impl Owner {
    #[inline(always)]
    pub fn as_ptr(self) -> *const OwnerSlot {
        self.0
    }
}

impl Slot {
    #[inline(always)]
    fn at(index: u32) -> Option<Slot> {
        OWNERS.get_ptr_mut(index).map(Slot)
    }

    #[inline(always)]
    fn as_ptr(self) -> *mut OwnerSlot {
        self.0
    }
}

macro_rules! get {
    ($slot:expr, $($field:tt)+) => {
        // SAFETY: a `Slot` and an `Owner` are what a lookup gave, or static: there for as long as the program runs.
        unsafe { (&raw const (*$slot.as_ptr()).$($field)+).read_volatile() }
    };
}
pub(super) use get;

macro_rules! put {
    ($slot:expr, $field:ident $([$index:literal])? = $value:expr) => {{
        let value = $value;
        // SAFETY: a `Slot` is what a lookup gave: there for as long as the program runs.
        unsafe { (&raw mut (*$slot.as_ptr()).$field $([$index])?).write_volatile(value) }
    }};
}

/// The socket's own slot.
#[inline(always)]
fn find(sk: u64) -> Option<Slot> {
    let index = OwnerSlot::index(sk);
    let first = Slot::at(index)?;
    if get!(first, sk) == sk {
        return Some(first);
    }
    let second = Slot::at(index ^ 1)?;
    (get!(second, sk) == sk).then_some(second)
}

/// The socket's own slot, or a free one, or else another's.
#[inline(always)]
fn find_room(sk: u64) -> Option<Slot> {
    let index = OwnerSlot::index(sk);
    let first = Slot::at(index)?;
    let second = Slot::at(index ^ 1)?;
    let (first_sk, second_sk) = (get!(first, sk), get!(second, sk));
    let in_second = second_sk == sk || first_sk != sk && first_sk != 0 && second_sk == 0;
    Some(if in_second { second } else { first })
}

#[inline(always)]
pub fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Address of the current task. Not typed: that (`bpf_get_current_task_btf`) needs 5.11. It is read from where a socket
/// opens or closes, not at each retransmission.
#[inline(always)]
fn current_task() -> u64 {
    // SAFETY: the helper takes nothing and gives a number.
    unsafe { bpf_get_current_task() }
}

/// The current process's name, as `ss -p` and `ps` show it. The thread's own (`bpf_get_current_comm`) often is that
/// of a pool, such as "tokio-runtime-w".
#[inline(always)]
pub fn current_comm() -> [u64; 2] {
    let leader: u64 = probe(current_task(), Field::task_group_leader);
    probe(leader, Field::task_comm)
}

/// How the current task is dying, if it is.
#[inline(always)]
pub fn current_exit() -> u8 {
    const PF_EXITING: u32 = 4;
    const SIGNAL: u32 = 0x7f;
    let task = current_task();
    let flags: u32 = probe(task, Field::task_flags);
    if flags & PF_EXITING == 0 {
        return 0;
    }
    let code: u32 = probe(task, Field::task_exit_code);
    exit::DYING | (code & SIGNAL) as u8
}

#[inline(always)]
fn put_owner(slot: Slot, sk: u64, born_ns: u64, tgid: u32, comm: [u64; 2]) {
    put!(slot, comm[0] = comm[0]);
    put!(slot, comm[1] = comm[1]);
    put!(slot, tgid = tgid);
    put!(slot, check = OwnerSlot::check_of(sk, born_ns, tgid, comm));
}

#[inline(always)]
fn remember(sk: u64, born_ns: u64, tgid: u32, comm: [u64; 2]) {
    if let Some(slot) = find_room(sk) {
        put!(slot, sk = sk);
        put!(slot, born_ns = born_ns);
        put!(slot, fin_ns = OwnerSlot::FREE.fin_ns);
        put!(slot, fin_idle_jiffies = OwnerSlot::FREE.fin_idle_jiffies);
        put!(slot, fin_exit = OwnerSlot::FREE.fin_exit);
        put_owner(slot, sk, born_ns, tgid, comm);
    }
}

/// Remembers the current task as the opener of `sk`. Only where `current` is the owner.
#[inline(always)]
pub fn remember_current(sk: u64, born_ns: u64) {
    remember(sk, born_ns, current_tgid(), current_comm());
}

/// A socket that the softirq created: its owner is not known, and a predecessor at the same address must not
/// pass for it.
#[inline(always)]
pub fn remember_birth(sk: u64, born_ns: u64) {
    remember(sk, born_ns, 0, [0; 2]);
}

/// Remembers the first FIN: when, and how long ago (jiffies) data was last sent.
#[inline(always)]
fn put_fin(slot: Slot, now_ns: u64, idle_jiffies: u32) {
    if get!(slot, fin_ns) == 0 {
        put!(slot, fin_ns = now_ns);
        put!(slot, fin_idle_jiffies = idle_jiffies);
    }
}

/// Remembers who closes: the current task. It also counts as the owner where the opener is not known, which is so
/// for accepted sockets: once closed, nobody holds them whom userspace could find.
#[inline(always)]
fn put_closer(slot: Slot, sk: u64) {
    put!(slot, fin_exit = u32::from(current_exit()));
    if get!(slot, tgid) == 0 {
        put_owner(slot, sk, get!(slot, born_ns), current_tgid(), current_comm());
    }
}

/// What happens to the ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fin {
    /// This side closes first.
    Sent,
    /// The peer does.
    Received,
    /// This side closes after the peer.
    Answered,
}

/// Remembers a FIN; `idle_jiffies` is how long ago data was last sent.
#[inline(always)]
pub fn remember_fin(sk: u64, fin: Fin, now_ns: impl FnOnce() -> u64, idle_jiffies: impl FnOnce() -> u32) {
    let Some(slot) = find(sk) else { return };
    if fin != Fin::Answered {
        put_fin(slot, now_ns(), idle_jiffies());
    }
    if fin != Fin::Received {
        put_closer(slot, sk);
    }
}

/// The socket has closed: its slot is free for others, and what is known of it no longer true of its next life.
#[inline(always)]
pub fn forget(sk: u64) {
    if let Some(slot) = find(sk) {
        put!(slot, sk = 0);
    }
}

/// What is known of `sk`, if the slot is whole.
#[inline(always)]
pub fn recall(sk: u64) -> Owner {
    match find(sk) {
        Some(slot) if is_whole(slot, sk) => Owner(slot.0),
        _ => Owner(&raw const UNKNOWN),
    }
}

#[inline(always)]
fn is_whole(slot: Slot, sk: u64) -> bool {
    let comm = [get!(slot, comm[0]), get!(slot, comm[1])];
    get!(slot, check) == OwnerSlot::check_of(sk, get!(slot, born_ns), get!(slot, tgid), comm)
}
