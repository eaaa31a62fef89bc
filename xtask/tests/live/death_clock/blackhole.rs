//! One connection whose peer falls silent, from the first byte to its end.

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsRawFd,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use xtask::lab::{
    DEVICE, Family, LEFT, Lab, Packets, VOID,
    socket::{self, Options},
    trouble::Fate,
};

use super::{
    fact::Fact,
    kinds::{Act, Kind},
};
use crate::{
    limits,
    tracer::{is_of, patience},
    truth::mono_ns,
};

/// A connection that is going to die.
pub struct Blackhole {
    kind: &'static Kind,
    /// The socket's; a request has none that could be asked for.
    pub cookie: Option<u64>,
    lport: u16,
    socket: Option<TcpStream>,
    /// Keep the peer's end, and a listener, open.
    _others: (Option<TcpStream>, Option<TcpListener>),
}

/// A lab with the kind's settings; `None` if this kernel has no such setting.
pub fn prepare(kind: &Kind) -> Option<Lab> {
    let lab = Lab::new().unwrap();
    for (name, value) in kind.sysctls {
        let name = format!("net.ipv4.{name}");
        if kind.side(&lab).read_sysctl(&name).is_err() {
            if *value == "0" {
                continue;
            }
            let limit = if name.ends_with("rto_max_ms") { limits::LONGEST_RTO } else { limits::LINEAR_SYNS };
            assert!(limit.applies(), "{}: this kernel has no {name}", kind.name);
            return None;
        }
        kind.side(&lab).sysctl(&name, value).unwrap();
    }
    if !kind.route.is_empty() {
        let own = LEFT.v4.to_string();
        let mut words =
            vec!["route", "change", "10.77.0.0/24", "dev", DEVICE, "src", &own, "congctl", "cubic"];
        words.extend(kind.route);
        lab.left.command("ip", &words).unwrap();
    }
    Some(lab)
}

impl Blackhole {
    /// The peer falls silent.
    pub fn begin(kind: &'static Kind, lab: &Lab) -> Blackhole {
        match kind.act {
            Act::Sends | Act::SendsAndCloses => Self::sends(kind, lab),
            Act::Connects => Self::connects(kind, lab),
            Act::IsCalled => Self::is_called(kind, lab),
        }
    }

    /// The same, and two timeouts have passed.
    pub fn in_backoff(kind: &'static Kind, lab: &Lab) -> Blackhole {
        let blackhole = Self::begin(kind, lab);
        let socket = blackhole.socket.as_ref().unwrap();
        socket::await_info(socket, patience(), |info| info.retransmits >= 2).unwrap();
        blackhole
    }

    fn sends(kind: &'static Kind, lab: &Lab) -> Blackhole {
        let mut connection = lab.connect(kind.family, 0).unwrap();
        connection.warm_up().unwrap();
        let client = kind.equip(connection.client);
        let _ = lab.right.unreachable().unwrap();
        (&client).write_all(b"is anybody there?").unwrap();
        let cookie = Some(client.cookie().unwrap());
        let lport = client.local_addr().unwrap().port();
        let socket = (kind.act == Act::Sends).then_some(client);
        Blackhole { kind, cookie, lport, socket, _others: (Some(connection.server), None) }
    }

    fn connects(kind: &'static Kind, lab: &Lab) -> Blackhole {
        let socket = kind.equip(lab.left.run(|| socket::unconnected(kind.family)).unwrap());
        socket::start_connect(&socket, SocketAddr::new(VOID.of(kind.family), 9000)).unwrap();
        let cookie = Some(socket.cookie().unwrap());
        let lport = socket.local_addr().unwrap().port();
        Blackhole { kind, cookie, lport, socket: Some(socket), _others: (None, None) }
    }

    /// The caller vanishes after its first SYN: one that repeats it would restart the request's timer.
    fn is_called(kind: &'static Kind, lab: &Lab) -> Blackhole {
        let _ = lab.left.on_arrival(&Packets::all().syn_ack(), Fate::Vanish).unwrap();
        let mut listener = lab.listen(kind.family, 0).unwrap();
        if kind.syn_count != 0 {
            listener = listener.syn_count(kind.syn_count).unwrap();
        }
        let address = listener.local_addr().unwrap();
        let caller = lab.left.run(|| socket::unconnected(kind.family)).unwrap();
        socket::start_connect(&caller, address).unwrap();
        lab.right.run(|| {
            let start = Instant::now();
            while !is_listed(kind.family, SYN_RECV) {
                assert!(start.elapsed() < patience(), "the SYN did not arrive");
                thread::sleep(Duration::from_millis(5));
            }
        });
        drop(caller);
        Blackhole { kind, cookie: None, lport: address.port(), socket: None, _others: (None, Some(listener)) }
    }

    /// Is the event about this connection?
    pub fn owns(&self, event: &Value) -> bool {
        match self.cookie {
            Some(cookie) => is_of(event, cookie),
            None => event["flow"]["lport"] == self.lport,
        }
    }

    /// Waits until the kernel gives up, and tells what was to be seen of that without the tracer.
    pub fn await_end(&mut self, lab: &Lab) -> Fact {
        match self.socket.take() {
            Some(socket) => watch_descriptor(&socket),
            None => self.kind.side(lab).run(|| watch_listing(self.kind)),
        }
    }
}

/// The owner's view: poll() wakes up, and the socket has an error.
fn watch_descriptor(socket: &TcpStream) -> Fact {
    let mut polled = libc::pollfd { fd: socket.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one descriptor, which outlives the call.
    let ready = unsafe { libc::poll(&raw mut polled, 1, patience().as_millis() as i32) };
    let noticed_ns = mono_ns();
    assert_eq!(ready, 1, "it does not die");
    Fact { seen_alive_ns: 0, seen_dead_ns: noticed_ns, errno: socket.pending_error().unwrap(), closes: true }
}

const FIN_WAIT1: u8 = 4;
const SYN_RECV: u8 = 3;

/// So many listings in a row must lack a socket: a single one may pass over it while others of its bucket come and go.
const LISTINGS: usize = 4;

/// A socket without a descriptor is in the kernel's listing until it dies.
fn watch_listing(kind: &Kind) -> Fact {
    let request = kind.act == Act::IsCalled;
    let state = if request { SYN_RECV } else { FIN_WAIT1 };
    let start = Instant::now();
    let mut seen_alive_ns = 0;
    let mut missed_since = Vec::new();
    while missed_since.len() < LISTINGS {
        let before_ns = mono_ns();
        if is_listed(kind.family, state) {
            seen_alive_ns = before_ns;
            missed_since.clear();
        } else {
            missed_since.push(mono_ns());
        }
        assert!(start.elapsed() < patience(), "it does not die");
        thread::sleep(Duration::from_millis(2));
    }
    assert_ne!(seen_alive_ns, 0, "it is not listed at all");
    Fact { seen_alive_ns, seen_dead_ns: missed_since[0], errno: None, closes: !request }
}

/// Is there a socket in that state in the calling thread's namespace?
fn is_listed(family: Family, state: u8) -> bool {
    let file = match family {
        Family::V4 => "/proc/thread-self/net/tcp",
        Family::V6 => "/proc/thread-self/net/tcp6",
    };
    let state = format!("{state:02X}");
    let listing = fs::read_to_string(file).unwrap();
    listing.lines().skip(1).any(|line| line.split_whitespace().nth(3) == Some(state.as_str()))
}
