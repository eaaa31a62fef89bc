//! A tracer that runs beside the traffic, and what it had counted in the end.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    lab::{Lab, Namespace},
    running::Running,
    tracer,
};

/// A tracer of a lab's two namespaces.
#[derive(Debug)]
pub struct Traced(Running);

impl Traced {
    /// Starts it and waits until its programs are attached.
    ///
    /// # Errors
    /// If it does not start, with what it said.
    pub fn start(program: &Path, lab: &Lab) -> Result<Traced> {
        let netns = |side: &Namespace| ["--netns".to_owned(), side.inode().to_string()];
        tracer::start_quiet(program, [netns(&lab.left), netns(&lab.right)].concat()).map(Traced)
    }

    /// Ctrl-C, and what came of it.
    ///
    /// # Errors
    /// If it does not end well, or its log is not whole.
    pub fn finish(mut self) -> Result<Log> {
        self.0.interrupt().context("the tracer")?;
        Log::parse(&fs::read_to_string(self.0.path(tracer::LOG)).context("cannot read the tracer's log")?)
    }
}

/// One end of a connection: local, remote.
pub type Ends = (SocketAddr, SocketAddr);

/// What the events of one end add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Segments that the kernel counted, sent or not.
    pub segs: u64,
    /// Payload bytes in them.
    pub bytes: u64,
    /// Segments without an event.
    pub unseen: u64,
}

/// A tracer's log.
#[derive(Debug)]
pub struct Log {
    /// The last line.
    pub end: End,
    /// Does this kernel show attempts that fail?
    pub failures_told: bool,
    /// Sums by the end that they belong to. A SYN-ACK belongs to the connection that comes of it.
    pub sums: BTreeMap<Ends, Sum>,
}

impl Log {
    /// Reads it.
    ///
    /// # Errors
    /// If a line is no event, or the last one is not `end`.
    pub fn parse(text: &str) -> Result<Log> {
        let mut sums: BTreeMap<Ends, Sum> = BTreeMap::new();
        let mut last = "";
        let mut failures_told = true;
        for line in text.lines() {
            last = line;
            let event: Value = serde_json::from_str(line).with_context(|| format!("no event: {line}"))?;
            if event["event"] == "start" {
                failures_told = event["features"]["retransmit_err"] == true;
            }
            let Some(ends) = ends(&event["flow"]) else { continue };
            let number = |name: &str| event[name].as_u64().unwrap_or(0);
            match event["event"].as_str() {
                Some("retransmit") if is_counted(&event["err"]) => {
                    let sum = sums.entry(ends).or_default();
                    sum.segs += number("segs");
                    sum.bytes += number("bytes");
                }
                Some("lost") => sums.entry(ends).or_default().unseen += number("segs"),
                _ => {}
            }
        }
        Ok(Log { end: End::parse(last)?, failures_told, sums })
    }
}

/// Has the kernel counted the attempt as a retransmission, by the event's `err`? What stops it before
/// `__tcp_retransmit_skb` counts is not counted.
pub fn is_counted(err: &Value) -> bool {
    !matches!(err.as_str(), Some("EBUSY" | "EAGAIN" | "EHOSTUNREACH" | "ENOMEM" | "EINVAL"))
}

fn ends(flow: &Value) -> Option<Ends> {
    let end = |addr: &str, port: &str| {
        Some(SocketAddr::new(flow[addr].as_str()?.parse().ok()?, flow[port].as_u64()?.try_into().ok()?))
    };
    Some((end("laddr", "lport")?, end("raddr", "rport")?))
}

/// The `end` event.
#[derive(Debug, Clone, PartialEq)]
pub struct End(Value);

impl End {
    /// Reads the line.
    ///
    /// # Errors
    /// If it is another one.
    pub fn parse(line: &str) -> Result<End> {
        let end: Value = serde_json::from_str(line).context("the log's last line is no event")?;
        ensure!(end["event"] == "end", "the log has no end: {line}");
        Ok(End(end))
    }

    /// A number.
    pub fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or(0)
    }

    /// The sum of some of an object's numbers; the object by its name, or `outer.inner`.
    pub fn of(&self, object: &str, names: &[&str]) -> u64 {
        let object = object.split('.').fold(&self.0, |value, name| &value[name]);
        names.iter().map(|name| object[name].as_u64().unwrap_or(0)).sum()
    }

    /// The sum of an object's numbers.
    pub fn all(&self, object: &str) -> u64 {
        self.0[object].as_object().into_iter().flatten().filter_map(|(_, number)| number.as_u64()).sum()
    }
}

#[cfg(test)]
mod tests {
    use tcpretrans::event::SendError;

    use super::*;

    #[test]
    fn whoever_verifies_the_counts_knows_the_same_errors() {
        let errors = (1..134).map(SendError::Errno).chain([SendError::QueueDrop]);
        for error in errors {
            let name = error.name();
            assert_eq!(is_counted(&name.as_ref().into()), error.is_counted(), "{name}");
        }
        assert!(is_counted(&Value::Null), "sent");
    }

    #[test]
    fn events_add_up_by_the_end_they_belong_to() {
        let flow = r#""flow":{"laddr":"10.77.0.1","lport":1,"raddr":"10.77.0.2","rport":2}"#;
        let line = |rest: &str| format!("{{{flow},{rest}}}\n");
        let text = [
            r#"{"event":"start"}"#.to_owned() + "\n",
            line(r#""event":"retransmit","segs":2,"bytes":2896,"err":null"#),
            line(r#""event":"retransmit","segs":1,"bytes":7,"err":"EPERM""#),
            line(r#""event":"retransmit","segs":1,"bytes":7,"err":"EBUSY""#),
            line(r#""event":"lost","where":"unseen","records":1,"segs":3"#),
            r#"{"event":"end","segs":{"rto":3}}"#.to_owned() + "\n",
        ]
        .concat();
        let log = Log::parse(&text).unwrap();
        let ends = ("10.77.0.1:1".parse().unwrap(), "10.77.0.2:2".parse().unwrap());
        assert_eq!(log.sums, BTreeMap::from([(ends, Sum { segs: 3, bytes: 2903, unseen: 3 })]));
        assert_eq!(log.end.all("segs"), 3);
        assert!(Log::parse(&text[..text.len() - 2]).is_err(), "cut");
    }
}
