//! The memory of who opened which socket; see [`OwnerSlot`].

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel, generated::bpf_get_current_task},
    macros::map,
    maps::Array,
};
use tcpretrans_ebpf::{OwnerSlot, owner::exit};

use super::{filters::probe, settings::walk_place};

#[map]
static OWNERS: Array<OwnerSlot> = Array::with_max_entries(OwnerSlot::COUNT, 0);

/// The socket's own slot.
#[inline(always)]
fn find(sk: u64) -> Option<*mut OwnerSlot> {
    let index = OwnerSlot::index(sk);
    let first = OWNERS.get_ptr_mut(index)?;
    if unsafe { (*first).sk } == sk {
        return Some(first);
    }
    let second = OWNERS.get_ptr_mut(index ^ 1)?;
    (unsafe { (*second).sk } == sk).then_some(second)
}

/// The socket's own slot, or a free one, or else another's.
#[inline(always)]
fn find_room(sk: u64) -> Option<*mut OwnerSlot> {
    let index = OwnerSlot::index(sk);
    let first = OWNERS.get_ptr_mut(index)?;
    let second = OWNERS.get_ptr_mut(index ^ 1)?;
    let (first_sk, second_sk) = unsafe { ((*first).sk, (*second).sk) };
    let in_second = second_sk == sk || first_sk != sk && first_sk != 0 && second_sk == 0;
    Some(if in_second { second } else { first })
}

#[inline(always)]
pub fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The current process's name, as `ss -p` and `ps` show it. The thread's own (`bpf_get_current_comm`) often is that
/// of a pool, such as "tokio-runtime-w".
#[inline(always)]
pub fn current_comm() -> [u64; 2] {
    // Untyped reads: typed ones of the current task (`bpf_get_current_task_btf`) need 5.11. They happen where a
    // socket opens or closes, not at each retransmission.
    unsafe {
        let task = bpf_get_current_task();
        let leader = task + walk_place!(task_group_leader).offset() as u64;
        let leader = bpf_probe_read_kernel(leader as *const u64).unwrap_or(task);
        let comm = leader + walk_place!(task_comm).offset() as u64;
        bpf_probe_read_kernel(comm as *const [u64; 2]).unwrap_or([0; 2])
    }
}

/// How the current task is dying, if it is.
#[inline(always)]
pub fn current_exit() -> u8 {
    const PF_EXITING: u32 = 4;
    const SIGNAL: u32 = 0x7f;
    unsafe {
        let task = bpf_get_current_task();
        let flags: u32 = probe(task, walk_place!(task_flags).offset());
        if flags & PF_EXITING == 0 {
            return 0;
        }
        let code: u32 = probe(task, walk_place!(task_exit_code).offset());
        exit::DYING | (code & SIGNAL) as u8
    }
}

/// Volatile, or the compiler would gather zeroes into a call of a byte-wise memset.
macro_rules! put {
    ($slot:ident . $field:ident = $value:expr) => {
        (&raw mut (*$slot).$field).write_volatile($value)
    };
}

#[inline(always)]
unsafe fn put_owner(slot: *mut OwnerSlot, sk: u64, born_ns: u64, tgid: u32, comm: [u64; 2]) {
    unsafe {
        let words = (&raw mut (*slot).comm).cast::<u64>();
        words.write_volatile(comm[0]);
        words.add(1).write_volatile(comm[1]);
        put!(slot.tgid = tgid);
        put!(slot.check = OwnerSlot::check_of(sk, born_ns, tgid, comm));
    }
}

#[inline(always)]
fn remember(sk: u64, born_ns: u64, tgid: u32, comm: [u64; 2]) {
    if let Some(slot) = find_room(sk) {
        unsafe {
            put!(slot.sk = sk);
            put!(slot.born_ns = born_ns);
            put!(slot.fin_ns = 0);
            put_owner(slot, sk, born_ns, tgid, comm);
        }
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
///
/// # Safety
/// `slot` from [`find`].
#[inline(always)]
unsafe fn put_fin(slot: *mut OwnerSlot, now_ns: u64, idle_jiffies: u32) {
    unsafe {
        if (*slot).fin_ns == 0 {
            put!(slot.fin_ns = now_ns);
            put!(slot.fin_idle_jiffies = idle_jiffies);
            put!(slot.fin_exit = 0);
        }
    }
}

/// Remembers who closes: the current task. It also counts as the owner where the opener is not known, which is so
/// for accepted sockets: once closed, nobody holds them whom userspace could find.
///
/// # Safety
/// `slot` from [`find`].
#[inline(always)]
unsafe fn put_closer(slot: *mut OwnerSlot, sk: u64) {
    unsafe {
        put!(slot.fin_exit = u32::from(current_exit()));
        if (*slot).tgid == 0 {
            put_owner(slot, sk, (*slot).born_ns, current_tgid(), current_comm());
        }
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
    unsafe {
        if fin != Fin::Answered {
            put_fin(slot, now_ns(), idle_jiffies());
        }
        if fin != Fin::Received {
            put_closer(slot, sk);
        }
    }
}

/// The socket has closed: its slot is free for others, and what is known of it no longer true of its next life.
#[inline(always)]
pub fn forget(sk: u64) {
    if let Some(slot) = find(sk) {
        unsafe { put!(slot.sk = 0) };
    }
}

/// What is known of `sk`, if the slot is whole.
#[inline(always)]
pub fn recall(sk: u64) -> Option<*const OwnerSlot> {
    let slot = find(sk)?.cast_const();
    let owner = unsafe { &*slot };
    let whole = owner.check == OwnerSlot::check_of(sk, owner.born_ns, owner.tgid, owner.comm);
    whole.then_some(slot)
}
