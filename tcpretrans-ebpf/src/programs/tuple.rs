//! A connection's two ends.

use tcpretrans_ebpf::Field;

use super::{load::Typed, settings};

const AF_INET6: u16 = 10;
/// What begins the lower half of an IPv4-mapped address.
const MAPPED: u32 = 0x0000_ffff_u32.to_be();

/// An IPv6 address in network byte order, or an IPv4 one as ::ffff:a.b.c.d. In two words: bytes would be copied by a
/// call of a byte-wise memcpy.
#[derive(Clone, Copy)]
pub struct Address([u64; 2]);

impl Address {
    #[inline(always)]
    fn v4(address: u32) -> Address {
        Address([0, u64::from(MAPPED) | u64::from(address) << 32])
    }

    /// `struct in6_addr`: its union has an array of bytes first, which the verifier lets be read in any width.
    #[inline(always)]
    fn v6(ends: Typed, field: Field) -> Address {
        Address([ends.load_beyond(field, 0), ends.load_beyond(field, 8)])
    }

    #[inline(always)]
    pub fn is_ipv4(self) -> bool {
        self.0[0] == 0 && self.0[1] as u32 == MAPPED
    }

    #[inline(always)]
    pub fn bytes(self) -> [u8; 16] {
        bytes(self.0)
    }
}

/// The bytes of two words, as they lie in memory.
#[inline(always)]
pub fn bytes(words: [u64; 2]) -> [u8; 16] {
    // SAFETY: integers, of the same size.
    unsafe { core::mem::transmute::<[u64; 2], [u8; 16]>(words) }
}

/// Both ends.
pub struct Tuple {
    pub laddr: Address,
    pub raddr: Address,
    pub lport: u16,
    pub rport: u16,
}

impl Tuple {
    /// Reads both ends of a connection: `ends` is the socket `tp` itself, or a request to it, with a
    /// `struct sock_common` at its beginning.
    #[inline(always)]
    pub fn read(tp: Typed, ends: Typed) -> Tuple {
        let (lport, rport) = ports(tp, ends);
        // Not in two branches: the compiler would make one load of theirs, at an offset that it computes.
        let mut laddr = Address::v4(ends.load(Field::skc_rcv_saddr));
        let mut raddr = Address::v4(ends.load(Field::skc_daddr));
        let family: u16 = ends.load(Field::skc_family);
        if family == AF_INET6 && settings::location(Field::skc_v6_daddr).exists() {
            laddr = Address::v6(ends, Field::skc_v6_rcv_saddr);
            raddr = Address::v6(ends, Field::skc_v6_daddr);
        }
        Tuple { laddr, raddr, lport, rport }
    }
}

/// The ports, local first. A full socket's is released before CLOSE is announced: `inet_sport` still has it.
#[inline(always)]
fn ports(tp: Typed, ends: Typed) -> (u16, u16) {
    let mut local: u16 = ends.load(Field::skc_num);
    if local == 0 {
        local = u16::from_be(tp.load(Field::inet_sport));
    }
    (local, u16::from_be(ends.load(Field::skc_dport)))
}
