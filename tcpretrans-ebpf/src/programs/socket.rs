//! Reading a socket into a record.

use aya_ebpf::helpers::generated::{
    bpf_get_socket_cookie, bpf_jiffies64, bpf_ktime_get_ns, bpf_skc_to_tcp_sock,
};
use tcpretrans_ebpf::{Kind, OwnerSlot, Record, Spot, snapshot_fields, tcp_state};

use super::{
    filters::probe,
    load, owners,
    settings::{self, place, snap, walk, walk_place},
};

const AF_INET6: u16 = 10;

/// A connection's two ends. Addresses are four network-order words, IPv4 as ::ffff:a.b.c.d.
pub struct Tuple {
    pub laddr: [u32; 4],
    pub raddr: [u32; 4],
    pub lport: u16,
    pub rport: u16,
}

const MAPPED: u32 = 0x0000_ffff_u32.to_be();

impl Tuple {
    #[inline(always)]
    pub fn is_ipv4(&self) -> bool {
        self.raddr[0] == 0 && self.raddr[1] == 0 && self.raddr[2] == MAPPED
    }

    #[inline(always)]
    pub fn laddr_bytes(&self) -> [u8; 16] {
        unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(self.laddr) }
    }

    #[inline(always)]
    pub fn raddr_bytes(&self) -> [u8; 16] {
        unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(self.raddr) }
    }

    /// Reads both ends of a connection: `ends` is the socket `tp` itself, or a request to it.
    ///
    /// # Safety
    /// Both must be BTF-typed; `ends` must have a `struct sock_common` at its beginning.
    #[inline(always)]
    pub unsafe fn read(tp: *const u8, ends: *const u8) -> Tuple {
        let mut tuple = Tuple { laddr: [0, 0, MAPPED, 0], raddr: [0, 0, MAPPED, 0], lport: 0, rport: 0 };
        unsafe {
            (tuple.lport, tuple.rport) = ports(tp, ends);
            // Not in two branches: the compiler would make one load of theirs, at an offset that it computes.
            tuple.laddr[3] = load::fixed::<u32>(ends, walk!(skc_rcv_saddr));
            tuple.raddr[3] = load::fixed::<u32>(ends, walk!(skc_daddr));
            let family = load::fixed::<u16>(ends, snap!(skc_family));
            if family == AF_INET6 && walk_place!(skc_v6_daddr).width() != 0 {
                tuple.laddr = in6(ends, walk!(skc_v6_rcv_saddr));
                tuple.raddr = in6(ends, walk!(skc_v6_daddr));
            }
        }
        tuple
    }
}

/// The ports, local first. A full socket's is released before CLOSE is announced: `inet_sport` still has it.
#[inline(always)]
unsafe fn ports(tp: *const u8, ends: *const u8) -> (u16, u16) {
    unsafe {
        let mut local = load::fixed::<u16>(ends, walk!(skc_num));
        if local == 0 {
            local = u16::from_be(load::fixed::<u16>(tp, walk!(inet_sport)));
        }
        (local, u16::from_be(load::fixed::<u16>(ends, walk!(skc_dport))))
    }
}

/// `struct in6_addr`, word by word: its union has an array of bytes first, which the verifier lets be read in
/// any width.
#[inline(always)]
unsafe fn in6(base: *const u8, spot: Spot) -> [u32; 4] {
    let at = spot.stand_in();
    unsafe {
        [
            base.wrapping_add(at).cast::<u32>().read_volatile(),
            base.wrapping_add(at + 4).cast::<u32>().read_volatile(),
            base.wrapping_add(at + 8).cast::<u32>().read_volatile(),
            base.wrapping_add(at + 12).cast::<u32>().read_volatile(),
        ]
    }
}

/// A full TCP socket.
#[derive(Clone, Copy)]
pub struct Sock {
    /// As the tracepoint passes it. The kernel (6.1 and later) trusts it: loads need no check while they run.
    pub sk: *const u8,
    /// The same as `struct tcp_sock`.
    pub tp: *const u8,
}

impl Sock {
    /// The full TCP socket behind `sk`; `None`: a mini socket, a request, or another protocol.
    #[inline(always)]
    pub fn of(sk: *const u8) -> Option<Sock> {
        if sk.is_null() {
            return None;
        }
        let tp = unsafe { bpf_skc_to_tcp_sock(sk.cast_mut().cast()).cast::<u8>().cast_const() };
        (!tp.is_null()).then_some(Sock { sk, tp })
    }
}

/// A number for the socket, good for its life: its address less another's. The verifier lets pointers be
/// subtracted but not hashed, and so no kernel address ever leaves the kernel.
#[inline(always)]
pub fn identity(sk: *const u8) -> u64 {
    (sk as u64).wrapping_sub(settings::walk_offsets() as u64)
}

/// Address of the socket's cgroup; 0 unknown. Before 5.15 one word is either the pointer or, with its low bits
/// set, something else.
#[inline(always)]
pub unsafe fn cgroup(sk: *const u8) -> u64 {
    if walk_place!(sk_cgroup).width() != 0 {
        unsafe { load::fixed::<u64>(sk, walk!(sk_cgroup)) }
    } else if walk_place!(sk_cgroup_val).width() != 0 {
        let word = unsafe { load::fixed::<u64>(sk, walk!(sk_cgroup_val)) };
        if word & 3 == 0 { word } else { 0 }
    } else {
        0
    }
}

/// `cgroup->kn->id`
#[inline(always)]
pub unsafe fn cgroup_id_of(cgroup: u64) -> u64 {
    if cgroup == 0 || walk_place!(cgroup_kn).width() == 0 || walk_place!(kernfs_id).width() == 0 {
        return 0;
    }
    unsafe {
        let kn: u64 = probe(cgroup, walk_place!(cgroup_kn).offset());
        if kn == 0 { 0 } else { probe(kn, walk_place!(kernfs_id).offset()) }
    }
}

/// The cgroup's id, by direct loads where the kernel types the pointer.
#[inline(always)]
unsafe fn cgroup_id(sk: *const u8) -> u64 {
    if walk_place!(sk_cgroup).width() == 0 {
        return unsafe { cgroup_id_of(cgroup(sk)) };
    }
    unsafe {
        let cgroup = load::pointer(sk, walk!(sk_cgroup));
        if cgroup.is_null() {
            return 0;
        }
        let kn = load::pointer(cgroup, walk!(cgroup_kn));
        if kn.is_null() {
            return 0;
        }
        load::fixed::<u64>(kn, walk!(kernfs_id))
    }
}

/// Inode of the socket's file: `sk_ino` (6.17), or by way of the file; 0 if there is none.
#[inline(always)]
unsafe fn inode(sk: *const u8, tp: *const u8) -> u64 {
    unsafe {
        if walk_place!(sk_ino).width() != 0 {
            return load::fixed::<u64>(sk, walk!(sk_ino));
        }
        let socket = load::pointer(tp, walk!(sk_socket));
        if socket.is_null() {
            return 0;
        }
        let file = load::pointer(socket, walk!(socket_file));
        if file.is_null() {
            return 0;
        }
        let inode = load::pointer(file, walk!(file_inode));
        if inode.is_null() {
            return 0;
        }
        load::fixed::<u64>(inode, walk!(inode_ino))
    }
}

macro_rules! load_form {
    (bits $ty:ty, $base:expr, $spot:expr, $place:expr) => {
        load::bits($base, $spot, $place)
    };
    (narrow $ty:ty, $base:expr, $spot:expr, $place:expr) => {
        load::narrow($base, $spot)
    };
    ($whole:ident $ty:ty, $base:expr, $spot:expr, $place:expr) => {
        load::fixed::<$ty>($base, $spot)
    };
}

/// Zeroes a few bytes without a memset call.
#[inline(always)]
unsafe fn zero_bytes(bytes: *mut u8, count: usize) {
    let mut index = 0;
    while index < count {
        unsafe { bytes.add(index).write_volatile(0) };
        index += 1;
    }
}

/// What the table's offsets count from.
struct Bases {
    sk: *const u8,
    tp: *const u8,
    net: *const u8,
}

macro_rules! define_fill {
    ($($name:ident: $ty:ident = $base:ident $form:ident $homes:tt;)*) => {
        /// Copies every field of the table.
        #[inline(always)]
        unsafe fn fill_snapshot(record: *mut Record, bases: Bases) {
            unsafe {
                $(
                    let value = load_form!(
                        $form $ty, bases.$base, snap!($name), place!(settings::snapshot_offsets(), $name)
                    );
                    (&raw mut (*record).sock.$name).write_volatile(value);
                )*
                zero_bytes((&raw mut (*record).sock.pad).cast(), size_of_val(&(*record).sock.pad));
            }
        }
    };
}
snapshot_fields!(define_fill);

/// Writes a field of a record in place: building a `Record` on the stack would not fit there. Volatile, or the
/// compiler would gather the zeroes into calls of a byte-wise memset.
macro_rules! set {
    ($record:ident . $field:ident = $value:expr) => {
        (&raw mut (*$record).$field).write_volatile($value)
    };
}
pub(super) use set;

/// What is remembered of the socket's owner and its FIN. Word by word: an array would be zeroed by a call of a byte-wise
/// memset, and take more time than all the rest.
#[inline(always)]
unsafe fn fill_owner(record: *mut Record, owner: Option<*const OwnerSlot>) {
    unsafe {
        let comm = (&raw mut (*record).owner_comm).cast::<u64>();
        let Some(owner) = owner else {
            set!(record.born_ns = 0);
            set!(record.fin_ns = 0);
            comm.write_volatile(0);
            comm.add(1).write_volatile(0);
            set!(record.owner_tgid = 0);
            set!(record.fin_idle_jiffies = u32::MAX);
            set!(record.fin_exit = 0);
            return;
        };
        let fin_ns = (*owner).fin_ns;
        let (mut fin_idle_jiffies, mut fin_exit) = (u32::MAX, 0);
        if fin_ns != 0 {
            fin_idle_jiffies = (*owner).fin_idle_jiffies;
            fin_exit = (*owner).fin_exit;
        }
        set!(record.born_ns = (*owner).born_ns);
        set!(record.fin_ns = fin_ns);
        comm.write_volatile((*owner).comm[0]);
        comm.add(1).write_volatile((*owner).comm[1]);
        set!(record.owner_tgid = (*owner).tgid);
        set!(record.fin_idle_jiffies = fin_idle_jiffies);
        set!(record.fin_exit = fin_exit as u8);
    }
}

/// Fills what all kinds have in common, and zeroes the details.
///
/// # Safety
/// `record` from `reserve`; `ends` as [`Tuple::read`] wants it.
#[inline(always)]
pub unsafe fn fill(record: *mut Record, kind: Kind, sock: Sock, ends: *const u8) {
    let Sock { sk, tp } = sock;
    unsafe {
        let number = identity(sk);
        set!(record.mono_ns = bpf_ktime_get_ns());
        set!(record.jiffies = bpf_jiffies64());
        set!(record.sk = number);
        // The helper gives the socket a cookie if nobody has asked for one yet.
        let mut cookie = load::fixed::<u64>(sk, walk!(skc_cookie));
        if cookie == 0 && settings::has_cookie_helper() {
            cookie = bpf_get_socket_cookie(sk.cast_mut().cast());
        }
        set!(record.cookie = cookie);
        // Pointers are followed from `tp`: at each that comes from a trusted pointer the verifier searches all of the
        // kernel's types by name for whether it may be trusted, too, half a millisecond at a time.
        set!(record.cgroup_id = cgroup_id(tp));
        set!(record.inode = inode(sk, tp));

        fill_owner(record, owners::recall(number));

        let tuple = Tuple::read(tp, ends);
        (&raw mut (*record).laddr).cast::<[u32; 4]>().write_volatile(tuple.laddr);
        (&raw mut (*record).raddr).cast::<[u32; 4]>().write_volatile(tuple.raddr);
        set!(record.lport = tuple.lport);
        set!(record.rport = tuple.rport);

        set!(record.kind = kind as u8);
        set!(record.current_tgid = 0);
        set!(record.current_exit = 0);
        let current_comm = (&raw mut (*record).current_comm).cast::<u64>();
        current_comm.write_volatile(0);
        current_comm.add(1).write_volatile(0);
        set!(record.seq = 0);
        set!(record.end_seq = 0);
        set!(record.skb_len = 0);
        set!(record.err = 0);
        set!(record.rst_reason = u32::MAX);
        set!(record.req_timeout = 0);
        set!(record.req_expires = 0);
        set!(record.segs = 0);
        set!(record.sacked = 0);
        set!(record.old = 0);
        set!(record.new = 0);
        set!(record.has_skb = 0);
        set!(record.num_retrans = 0);
        set!(record.num_timeout = 0);
        zero_bytes((&raw mut (*record).reserved).cast(), size_of_val(&(*record).reserved));

        let net = load::pointer(tp, walk!(skc_net));
        fill_snapshot(record, Bases { sk, tp, net });
    }
}

/// Adds the current task, for the kinds where it may mean something.
///
/// # Safety
/// As [`fill`].
#[inline(always)]
pub unsafe fn fill_current(record: *mut Record) {
    unsafe {
        set!(record.current_tgid = owners::current_tgid());
        set!(record.current_exit = owners::current_exit());
        (&raw mut (*record).current_comm).cast::<[u64; 2]>().write_volatile(owners::current_comm());
    }
}

/// States of mini sockets and requests, of which only `struct sock_common` exists.
#[inline(always)]
pub fn is_mini(state: u8) -> bool {
    state == tcp_state::TIME_WAIT || state == tcp_state::NEW_SYN_RECV
}
