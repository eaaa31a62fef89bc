//! What is read of a socket beside its own fields.

use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_skc_to_tcp_sock};
use tcpretrans_ebpf::{Field, tcp_state};

use super::{
    load::{Typed, probe},
    settings::{self, location},
};

/// A full TCP socket.
#[derive(Clone, Copy)]
pub struct Sock {
    /// As the tracepoint passes it. The kernel (6.1 and later) trusts it: loads need no check while they run.
    pub sk: Typed,
    /// The same as `struct tcp_sock`.
    pub tp: Typed,
}

impl Sock {
    /// The full TCP socket behind `sk`; `None`: a mini socket, a request, or another protocol.
    #[inline(always)]
    pub fn of(sk: Typed) -> Option<Sock> {
        if sk.is_null() {
            return None;
        }
        // SAFETY: the helper looks at the socket's protocol and state before it casts; null if it is no tcp_sock.
        let tp = unsafe { bpf_skc_to_tcp_sock(sk.as_ptr().cast_mut().cast()) };
        let tp = Typed::new(tp.cast_const().cast());
        (!tp.is_null()).then_some(Sock { sk, tp })
    }

    /// A number for the socket, good for its life: its address less another's. The verifier lets pointers be
    /// subtracted but not hashed, and so no kernel address ever leaves the kernel.
    #[inline(always)]
    pub fn identity(self) -> u64 {
        (self.sk.as_ptr() as u64).wrapping_sub(settings::base_of_identities())
    }

    /// The cookie, as `ss -e` shows it; 0: nobody has asked for it, and this kernel does not let programs ask.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        let cookie = self.sk.load(Field::skc_cookie);
        if cookie == 0 && settings::has_cookie_helper() {
            // SAFETY: the helper takes a socket, as the verifier sees to, and gives it a cookie if it has none.
            return unsafe { bpf_get_socket_cookie(self.sk.as_ptr().cast_mut().cast()) };
        }
        cookie
    }

    /// The cgroup's id; 0 unknown. By direct loads where the kernel types the pointer.
    #[inline(always)]
    pub fn cgroup_id(self) -> u64 {
        if !location(Field::sk_cgroup).exists() {
            return cgroup_id_of(cgroup(self.tp));
        }
        // Pointers are followed from `tp`: at each that comes from a trusted pointer the verifier searches all of the
        // kernel's types by name for whether it may be trusted, too, half a millisecond at a time.
        let cgroup = self.tp.follow(Field::sk_cgroup);
        if cgroup.is_null() {
            return 0;
        }
        let kn = cgroup.follow(Field::cgroup_kn);
        if kn.is_null() { 0 } else { kn.load(Field::kernfs_id) }
    }

    /// Inode of the socket's file: `sk_ino` (6.17), or by way of the file; 0 if there is none.
    #[inline(always)]
    pub fn inode(self) -> u64 {
        if location(Field::sk_ino).exists() {
            return self.sk.load(Field::sk_ino);
        }
        let socket = self.tp.follow(Field::sk_socket);
        if socket.is_null() {
            return 0;
        }
        let file = socket.follow(Field::socket_file);
        if file.is_null() {
            return 0;
        }
        let inode = file.follow(Field::file_inode);
        if inode.is_null() { 0 } else { inode.load(Field::inode_ino) }
    }

    /// Has it ever retransmitted? Then it is worth a record.
    #[inline(always)]
    pub fn has_retransmitted(self) -> bool {
        self.tp.load::<u32>(Field::total_retrans) != 0
    }

    /// `enum tcp_ca_state`
    #[inline(always)]
    pub fn ca_state(self) -> u8 {
        self.tp.load_bits(Field::ca_state)
    }
}

/// Address of a socket's cgroup; 0 unknown. Before 5.15 one word is either the pointer or, with its low bits
/// set, something else.
#[inline(always)]
pub fn cgroup(sk: Typed) -> u64 {
    if location(Field::sk_cgroup).exists() {
        sk.load(Field::sk_cgroup)
    } else if location(Field::sk_cgroup_val).exists() {
        let word: u64 = sk.load(Field::sk_cgroup_val);
        if word & 3 == 0 { word } else { 0 }
    } else {
        0
    }
}

/// `cgroup->kn->id`
#[inline(always)]
pub fn cgroup_id_of(cgroup: u64) -> u64 {
    if cgroup == 0 || !location(Field::cgroup_kn).exists() || !location(Field::kernfs_id).exists() {
        return 0;
    }
    let kn: u64 = probe(cgroup, Field::cgroup_kn);
    if kn == 0 { 0 } else { probe(kn, Field::kernfs_id) }
}

/// States of mini sockets and requests, of which only `struct sock_common` exists.
#[inline(always)]
pub fn is_mini(state: u8) -> bool {
    state == tcp_state::TIME_WAIT || state == tcp_state::NEW_SYN_RECV
}
