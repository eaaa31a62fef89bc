//! The filters that the kernel can decide. Each is off at no cost unless it was asked for.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_kernel,
    macros::map,
    maps::{
        Array, HashMap,
        lpm_trie::{Key, LpmTrie},
    },
};
use tcpretrans_ebpf::{
    FilterSettings,
    filter::{MAX_NETNS, MAX_PREFIXES, PortSet, address, port_set},
};

use super::{
    load,
    settings::{self, filter_is_on, snap, walk, walk_place},
    socket::Tuple,
};

const BPF_F_NO_PREALLOC: u32 = 1;

#[map]
static PORT_SETS: Array<PortSet> = Array::with_max_entries(port_set::COUNT, 0);

#[map]
static ADDRESSES: LpmTrie<[u8; 16], u32> = LpmTrie::with_max_entries(MAX_PREFIXES, BPF_F_NO_PREALLOC);

#[map]
static NETNS: HashMap<u32, u8> = HashMap::with_max_entries(MAX_NETNS, 0);

#[inline(always)]
fn port_in(set: u32, port: u16) -> bool {
    PORT_SETS.get_ptr(set).is_some_and(|words| {
        let word = unsafe { words.cast::<u64>().add(usize::from(port >> 6)).read() };
        word & (1 << (port & 63)) != 0
    })
}

#[inline(always)]
fn address_flags(addr: [u8; 16]) -> u32 {
    ADDRESSES.get(Key::new(128, addr)).copied().unwrap_or(0)
}

/// Does the connection pass all filters? `ends` is what has its addresses: the socket, or a request. One copy of it for
/// each program, and called only if a filter is on.
///
/// # Safety
/// `tp` from `Sock::of`; `ends` as [`Tuple::read`] wants it.
#[inline(never)]
pub unsafe fn pass(tp: *const u8, ends: *const u8) -> bool {
    unsafe { tuple_passes(&Tuple::read(tp, ends)) && context_passes(tp) }
}

/// Do the ports, the addresses and the family pass?
#[inline(always)]
fn tuple_passes(tuple: &Tuple) -> bool {
    if filter_is_on(FilterSettings::ONLY_IPV4) && !tuple.is_ipv4()
        || filter_is_on(FilterSettings::ONLY_IPV6) && tuple.is_ipv4()
    {
        return false;
    }
    if filter_is_on(FilterSettings::PORT_EITHER)
        && !port_in(port_set::EITHER, tuple.lport)
        && !port_in(port_set::EITHER, tuple.rport)
    {
        return false;
    }
    if filter_is_on(FilterSettings::PORT_LOCAL) && !port_in(port_set::LOCAL, tuple.lport) {
        return false;
    }
    if filter_is_on(FilterSettings::PORT_REMOTE) && !port_in(port_set::REMOTE, tuple.rport) {
        return false;
    }
    if filter_is_on(FilterSettings::ANY_ADDR) {
        let local = address_flags(tuple.laddr_bytes());
        let remote = address_flags(tuple.raddr_bytes());
        if filter_is_on(FilterSettings::ADDR_EITHER) && (local | remote) & address::EITHER == 0
            || filter_is_on(FilterSettings::ADDR_LOCAL) && local & address::LOCAL == 0
            || filter_is_on(FilterSettings::ADDR_REMOTE) && remote & address::REMOTE == 0
        {
            return false;
        }
    }
    true
}

/// Do the network namespace and the cgroup pass?
///
/// # Safety
/// `sk` must be a BTF-typed full socket, or listener.
#[inline(always)]
unsafe fn context_passes(sk: *const u8) -> bool {
    if filter_is_on(FilterSettings::NETNS) {
        let net = unsafe { load::pointer(sk, walk!(skc_net)) };
        let inum = unsafe { load::fixed::<u32>(net, snap!(netns)) };
        if unsafe { NETNS.get(inum) }.is_none() {
            return false;
        }
    }
    !filter_is_on(FilterSettings::CGROUP) || unsafe { cgroup_passes(sk) }
}

/// Is the socket's cgroup the wanted one or below it? The kernel keeps each cgroup's ancestors by level:
/// ids until 6.0 (`ancestor_ids`), pointers since (`ancestors`). Rare path: probe reads are fine here.
#[inline(always)]
unsafe fn cgroup_passes(sk: *const u8) -> bool {
    let wanted = settings::filter();
    let cgroup = unsafe { super::socket::cgroup(sk) };
    if cgroup == 0 {
        return false;
    }
    let level: u32 = unsafe { probe(cgroup, walk_place!(cgroup_level).offset()) };
    if level < wanted.cgroup_level {
        return false;
    }
    let index = wanted.cgroup_level as usize * 8;
    let ids = walk_place!(cgroup_ancestor_ids);
    let id: u64 = if ids.width() != 0 {
        unsafe { probe(cgroup, ids.offset() + index) }
    } else {
        let ancestor: u64 = unsafe { probe(cgroup, walk_place!(cgroup_ancestors).offset() + index) };
        unsafe { super::socket::cgroup_id_of(ancestor) }
    };
    id == wanted.cgroup_id
}

/// Reads kernel memory that the verifier has no type for; zero if it cannot be read.
#[inline(always)]
pub unsafe fn probe<T: Copy>(base: u64, offset: usize) -> T {
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            base.wrapping_add(offset as u64) as *const core::ffi::c_void,
        );
        value.assume_init()
    }
}
