//! Which flow a record belongs to.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use tcpretrans_ebpf::{Attempt, Kind, Record};

use crate::{
    event::{Flow, FlowId},
    socket::{SnapshotExt, TcpState},
};

/// Whose socket it is, as far as the system knows. Resolved before correlation: it takes I/O.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owner {
    /// The owning process.
    pub pid: Option<u32>,
    /// Its name.
    pub comm: Option<Arc<str>>,
    /// Path of the socket's cgroup.
    pub cgroup: Option<Arc<str>>,
}

/// An address as the wire has it: IPv4 is mapped into IPv6.
pub(super) fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// A connection's ends and namespace: what a request socket and the child that comes of it have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    laddr: [u8; 16],
    raddr: [u8; 16],
    lport: u16,
    rport: u16,
    netns: u32,
}

impl Ends {
    /// The ends of the connection that a record is about.
    pub(super) fn of(record: &Record) -> Ends {
        Ends {
            laddr: record.laddr,
            raddr: record.raddr,
            lport: record.lport,
            rport: record.rport,
            netns: record.sock.netns,
        }
    }
}

/// Is this about a request, which is no socket yet? Then the record's socket is the listener.
pub(super) fn is_request(kind: Kind, record: &Record) -> bool {
    kind.attempt() == Some(Attempt::SynAck) && record.sock.state() == TcpState::Listen
}

/// The flow's id. The socket's cookie where the kernel gives one; else, and for requests, a number of ours.
pub(super) fn flow_id(kind: Kind, record: &Record) -> FlowId {
    if is_request(kind, record) {
        return request_id(Ends::of(record));
    }
    if record.cookie != 0 {
        return FlowId(record.cookie);
    }
    own_id(record)
}

/// The id of a socket whose cookie is not known. Not by when it was opened: that is forgotten at CLOSE, and
/// records of the end come later.
pub(super) fn own_id(record: &Record) -> FlowId {
    let mut hasher = DefaultHasher::new();
    (record.sk, Ends::of(record)).hash(&mut hasher);
    FlowId(hasher.finish() | OURS)
}

/// Marks ids that are no cookie.
const OURS: u64 = 1 << 63;

/// The id of the request for a connection between these ends.
pub(super) fn request_id(ends: Ends) -> FlowId {
    let mut hasher = DefaultHasher::new();
    ends.hash(&mut hasher);
    FlowId(hasher.finish() | OURS)
}

/// The flow as users see it.
pub(super) fn flow(id: FlowId, record: &Record, owner: &Owner) -> Flow {
    Flow {
        laddr: address(record.laddr),
        lport: record.lport,
        raddr: address(record.raddr),
        rport: record.rport,
        netns: record.sock.netns,
        id,
        pid: owner.pid,
        comm: owner.comm.clone(),
        uid: Some(record.sock.sk_uid),
        cgroup: owner.cgroup.clone(),
    }
}

#[cfg(test)]
mod tests {
    use tcpretrans_ebpf::tcp_state;

    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let mapped = "::ffff:10.0.0.1".parse::<Ipv6Addr>().expect("valid").octets();
        assert_eq!(address(mapped), "10.0.0.1".parse::<IpAddr>().expect("valid"));
        let six = "2001:db8::1".parse::<Ipv6Addr>().expect("valid");
        assert_eq!(address(six.octets()), IpAddr::V6(six));
    }

    #[test]
    fn a_request_is_known_by_its_ends() {
        let mut record = Record { cookie: 7, lport: 80, rport: 4000, ..Record::default() };
        record.sock.skc_state = tcp_state::LISTEN;
        let first = flow_id(Kind::SynAck, &record);
        assert_ne!(first, FlowId(7), "the cookie is the listener's");
        assert_eq!(first, request_id(Ends::of(&record)));
        record.rport = 4001;
        assert_ne!(flow_id(Kind::SynAck, &record), first);
    }
}
