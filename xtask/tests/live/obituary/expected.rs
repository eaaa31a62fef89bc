//! What an ending must be told as.

use std::{
    net::{SocketAddr, TcpStream},
    process,
    time::Duration,
};

use serde_json::Value;
use xtask::lab::{
    Connection, Family, Lab, Namespace,
    socket::{self, Options},
};

use crate::tracer::{Tracer, netns, patience};

/// The columns of the table of endings.
pub struct Ending<'a> {
    pub cause: &'a str,
    pub who: Option<&'a str>,
    pub knob: Option<&'a str>,
    pub error: Option<&'a str>,
    /// What the sentence must say.
    pub note: &'a [&'a str],
}

impl Ending<'_> {
    /// Compares.
    pub fn check(&self, closed: &Value) {
        let text = |field: &str| closed[field].as_str();
        assert_eq!(text("cause"), Some(self.cause), "{closed:#}");
        assert_eq!(text("who"), self.who, "{closed:#}");
        assert_eq!(text("knob"), self.knob, "{closed:#}");
        assert_eq!(text("error"), self.error, "{closed:#}");
        let note = text("note").unwrap_or_default();
        for words in self.note {
            assert!(note.contains(words), "the sentence lacks `{words}`: {note}");
        }
    }

    /// Compares all but the error.
    pub fn check_but_error(&self, closed: &Value) {
        Ending { error: closed["error"].as_str(), ..*self }.check(closed);
    }

    /// Compares, and the error with what the socket itself reports (SO_ERROR).
    pub fn check_with(&self, closed: &Value, socket: &TcpStream) {
        self.check(closed);
        let own =
            socket.pending_error().unwrap().map(|errno| format!("{:?}", nix::errno::Errno::from_raw(errno)));
        assert_eq!(closed["error"].as_str(), own.as_deref(), "SO_ERROR: {closed:#}");
    }
}

/// A lab and its tracers, started before anything happens.
pub struct Scene {
    pub lab: Lab,
    pub tracer: Tracer,
}

/// Which side is traced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    Left,
    Right,
}

impl Scene {
    /// A lab whose left side is traced.
    pub fn new() -> Scene {
        Self::traced(On::Left, &[])
    }

    /// The same with `--all-closes`.
    pub fn with_all_closes() -> Scene {
        Self::traced(On::Left, &["--all-closes"])
    }

    pub fn traced(on: On, more: &[&str]) -> Scene {
        let lab = Lab::new().unwrap();
        let tracer = trace(if on == On::Left { &lab.left } else { &lab.right }, more);
        Scene { lab, tracer }
    }

    /// A connection that has carried a few bytes each way.
    pub fn warm(&self) -> Connection {
        warm(&self.lab)
    }

    /// The end of a socket.
    pub fn end_of(&self, id: u64) -> Value {
        end_of(&self.tracer, id)
    }

    /// No flow may have more than one end, and nothing may be left or lost.
    pub fn finish(self) -> Vec<Value> {
        let outcome = self.tracer.finish();
        outcome.assert_clean();
        let mut ids: Vec<_> =
            closed_events(&outcome.events).map(|event| event["flow"]["id"].to_string()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "a flow ended twice: {:#?}", outcome.events);
        assert_eq!(outcome.end()["flows_left"], 0, "{}", outcome.end());
        outcome.events
    }
}

/// A tracer of one side.
pub fn trace(side: &Namespace, more: &[&str]) -> Tracer {
    Tracer::start(&[&["--netns", &netns(side)], more].concat())
}

pub fn warm(lab: &Lab) -> Connection {
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    connection
}

pub fn closed_events(events: &[Value]) -> impl Iterator<Item = &Value> {
    events.iter().filter(|event| event["event"] == "closed")
}

/// Waits for the end of a socket by its cookie.
pub fn end_of(tracer: &Tracer, id: u64) -> Value {
    let id = format!("{id:x}");
    tracer.wait_for("closed", |event| event["event"] == "closed" && event["flow"]["id"] == *id)
}

/// Waits for the end of a socket by its ports.
pub fn end_between(tracer: &Tracer, lport: u16, rport: u16) -> Value {
    tracer.wait_for("closed", |event| {
        event["event"] == "closed" && event["flow"]["lport"] == lport && event["flow"]["rport"] == rport
    })
}

/// Waits until the kernel has closed a socket that the test still holds.
pub fn await_death(socket: &TcpStream) {
    socket::await_info(socket, patience(), |info| info.state == socket::CLOSE).unwrap();
}

/// Waits for so many RTOs without an answer.
pub fn await_rtos(socket: &TcpStream, rtos: u8) {
    socket::await_info(socket, patience(), |info| info.retransmits >= rtos).unwrap();
}

/// A socket that calls `to`, and the call is under way.
pub fn call(lab: &Lab, to: SocketAddr, prepare: impl FnOnce(TcpStream) -> TcpStream + Send) -> TcpStream {
    let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
    let socket = prepare(lab.left.run(|| socket::unconnected(family)).unwrap());
    socket::start_connect(&socket, to).unwrap();
    socket
}

/// `(live-..., pid N)`: this process as sentences name it.
pub fn this_process() -> String {
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
    format!("({}, pid {})", comm.trim(), process::id())
}

pub fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// A time of an event, ns since 1970.
pub fn wall_ns(time: &Value) -> i128 {
    let text = time.as_str().unwrap_or_else(|| panic!("no time: {time}"));
    text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()
}
