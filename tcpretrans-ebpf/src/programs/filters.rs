//! The filters that the kernel can decide. Each is off at no cost unless it was asked for.

use aya_ebpf::{
    macros::map,
    maps::{
        Array, HashMap,
        lpm_trie::{Key, LpmTrie},
    },
};
use tcpretrans_ebpf::{
    Field, FilterSettings,
    filter::{MAX_NETNS, MAX_PREFIXES, PortSet, address, port_set},
};

use super::{
    load::{Typed, probe, probe_beyond},
    settings::{self, filter_is_on, location},
    socket::{cgroup, cgroup_id_of},
    tuple::Tuple,
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
        // SAFETY: the lookup gave a whole set, and a port's word is within it.
        let word = unsafe { words.cast::<u64>().add(usize::from(port >> 6)).read() };
        word & (1 << (port & 63)) != 0
    })
}

#[inline(always)]
fn address_flags(addr: [u8; 16]) -> u32 {
    ADDRESSES.get(Key::new(128, addr)).copied().unwrap_or(0)
}

/// Does the connection pass all filters? `tp` is the socket, `ends` as [`Tuple::read`] wants it. One copy of it for each
/// program, and called only if a filter is on.
#[inline(never)]
pub fn pass(tp: Typed, ends: Typed) -> bool {
    tuple_passes(&Tuple::read(tp, ends)) && context_passes(tp)
}

/// Do the ports, the addresses and the family pass?
#[inline(always)]
fn tuple_passes(tuple: &Tuple) -> bool {
    if filter_is_on(FilterSettings::ONLY_IPV4) && !tuple.raddr.is_ipv4()
        || filter_is_on(FilterSettings::ONLY_IPV6) && tuple.raddr.is_ipv4()
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
        let local = address_flags(tuple.laddr.bytes());
        let remote = address_flags(tuple.raddr.bytes());
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
#[inline(always)]
fn context_passes(sk: Typed) -> bool {
    if filter_is_on(FilterSettings::NETNS) {
        let inum: u32 = sk.follow(Field::skc_net).load(Field::netns);
        if NETNS.get_ptr(inum).is_none() {
            return false;
        }
    }
    !filter_is_on(FilterSettings::CGROUP) || cgroup_passes(sk)
}

/// Is the socket's cgroup the wanted one or below it? The kernel keeps each cgroup's ancestors by level:
/// ids until 6.0 (`ancestor_ids`), pointers since (`ancestors`). Rare path: probe reads are fine here.
#[inline(always)]
fn cgroup_passes(sk: Typed) -> bool {
    let wanted = settings::filter();
    let cgroup = cgroup(sk);
    if cgroup == 0 {
        return false;
    }
    let level: u32 = probe(cgroup, Field::cgroup_level);
    if level < wanted.cgroup_level {
        return false;
    }
    let index = wanted.cgroup_level as usize * 8;
    let id: u64 = if location(Field::cgroup_ancestor_ids).exists() {
        probe_beyond(cgroup, Field::cgroup_ancestor_ids, index)
    } else {
        cgroup_id_of(probe_beyond(cgroup, Field::cgroup_ancestors, index))
    };
    id == wanted.cgroup_id
}
