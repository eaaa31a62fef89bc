//! An IPv6 socket that serves an IPv4 client: people know it by its IPv4 addresses.

use std::{
    io::Write,
    net::{Ipv6Addr, SocketAddr, TcpStream},
};

use xtask::lab::{LEFT, Lab, RIGHT, connection};

use crate::tracer::{Tracer, is_type, netns};

#[test]
fn a_mapped_address_is_told_as_ipv4_and_found_by_it() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let id = netns(&lab.right);
    let (v4, v6) = (
        Tracer::start(&["--netns", &id, "-4", "--laddr", &RIGHT.v4.to_string()]),
        Tracer::start(&["--netns", &id, "-6"]),
    );
    let listener = lab.right.run(|| connection::listener(Ipv6Addr::UNSPECIFIED.into(), 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let _client = lab.left.run(|| TcpStream::connect(SocketAddr::new(RIGHT.v4.into(), port))).unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    assert!(peer.is_ipv6(), "the socket itself is an IPv6 one: {peer}");
    let _trouble = lab.left.unreachable().unwrap();
    server.write_all(b"hello").unwrap();

    let event = v4.wait_for("rto", |event| is_type(event, "rto"));
    let flow = &event["flow"];
    assert_eq!(flow["family"], "ipv4", "{event}");
    assert_eq!((&flow["laddr"], &flow["lport"]), (&RIGHT.v4.to_string().into(), &port.into()), "{event}");
    assert_eq!(
        (&flow["raddr"], &flow["rport"]),
        (&LEFT.v4.to_string().into(), &peer.port().into()),
        "{event}"
    );
    assert_eq!(flow["pid"], std::process::id(), "accepted, so found among the open files: {event}");
    v4.finish().assert_clean();
    let v6 = v6.finish();
    v6.assert_clean();
    assert!(v6.retransmits().is_empty(), "-6 does not mean it: {:?}", v6.retransmits());
}
