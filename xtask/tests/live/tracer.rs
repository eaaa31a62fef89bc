//! A running tracer: started, waited for, listened to, stopped.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Condvar, LazyLock, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
pub use xtask::running::patience;
use xtask::{
    lab::Namespace,
    running::Running,
    tracer::{self, build},
};

use crate::replayed;

/// The program under test.
pub static PROGRAM: LazyLock<PathBuf> =
    LazyLock::new(|| build::for_tests().unwrap_or_else(|error| panic!("{error:#}")));

/// `tcpretrans ARGS`, not started.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(&*PROGRAM);
    // A colour or a width of the developer's terminal is none of a test's business.
    command.args(args).env_remove("COLUMNS").stdin(Stdio::null());
    command
}

/// `--netns`'s value for a namespace.
pub fn netns(namespace: &Namespace) -> String {
    namespace.inode().to_string()
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Lines of standard output.
    pub events: Vec<Value>,
    /// Standard error.
    pub stderr: String,
    /// Exit code; `None`: killed by a signal.
    pub code: Option<i32>,
}

impl Outcome {
    /// The `retransmit` events.
    pub fn retransmits(&self) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == "retransmit").collect()
    }

    /// The `end` event.
    pub fn end(&self) -> &Value {
        let last = self.events.last().unwrap_or_else(|| panic!("no output at all; {self:?}"));
        assert_eq!(last["event"], "end", "the last line must be `end`; stderr: {}", self.stderr);
        last
    }

    /// Asserts that the run began, ended and left as it should.
    pub fn assert_clean(&self) {
        assert_eq!(self.code, Some(0), "exit code; stderr: {}", self.stderr);
        assert_eq!(self.events[0]["event"], "start", "the first line must be `start`");
        self.end();
        let malformed = self.events.iter().find(|event| event["event"] == "malformed");
        assert_eq!(malformed, None, "every line must be JSON");
    }
}

#[derive(Default)]
struct Lines {
    seen: Mutex<(Vec<Value>, bool)>,
    /// As they came.
    text: Mutex<String>,
    grown: Condvar,
}

/// A tracer that runs.
pub struct Tracer {
    running: Running,
    lines: Arc<Lines>,
    reader: JoinHandle<()>,
}

impl Tracer {
    /// Starts `tcpretrans --format json ARGS` and waits until its programs are attached.
    pub fn start(args: &[&str]) -> Tracer {
        Self::launch(command(args))
    }

    /// Starts `tcpretrans --quiet ARGS`.
    pub fn start_quiet(args: &[&str]) -> Tracer {
        let mut command = command(args);
        command.arg("--quiet");
        Self::spawn(command)
    }

    /// Starts a prepared command, which may be a wrapper that ends in the tracer's own arguments.
    pub fn launch(mut command: Command) -> Tracer {
        command.args(["--format", "json"]);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Tracer {
        command.stdout(Stdio::piped());
        let mut running = tracer::start(command).unwrap();
        let lines = Arc::new(Lines::default());
        let stdout = running.take_stdout().unwrap();
        let reader = thread::spawn({
            let lines = lines.clone();
            move || read_lines(BufReader::new(stdout), &lines)
        });
        let running = tracer::attached(running).unwrap_or_else(|error| panic!("{error:#}"));
        Tracer { running, lines, reader }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// What it has said on standard error.
    pub fn stderr(&self) -> String {
        self.running.stderr()
    }

    /// What it has printed.
    pub fn events(&self) -> Vec<Value> {
        self.lines.seen.lock().unwrap().0.clone()
    }

    /// Waits for an event; past ones count.
    pub fn wait_for(&self, what: &str, suits: impl Fn(&Value) -> bool) -> Value {
        self.wait_for_many(what, 1, suits).remove(0)
    }

    /// Waits for `count` events; past ones count.
    pub fn wait_for_many(&self, what: &str, count: usize, suits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let enough = |events: &[Value]| events.iter().filter(|event| suits(event)).count() >= count;
        self.wait_until(&format!("{count} × {what}"), enough);
        self.events().into_iter().filter(|event| suits(event)).take(count).collect()
    }

    /// Waits until the events so far suit.
    pub fn wait_until(&self, what: &str, suits: impl Fn(&[Value]) -> bool) {
        let start = Instant::now();
        let mut seen = self.lines.seen.lock().unwrap();
        while !suits(&seen.0) {
            let left = patience().saturating_sub(start.elapsed());
            if seen.1 || left.is_zero() {
                let why = if seen.1 { "the tracer's output ended" } else { "time is up" };
                let digest = digest(&seen.0);
                // The reader needs the lock.
                drop(seen);
                panic!("waited for {what}: {why}.\nstderr: {}\nevents: {digest}", self.stderr());
            }
            seen = self.lines.grown.wait_timeout(seen, left.min(Duration::from_millis(200))).unwrap().0;
        }
    }

    /// Waits until standard error has a text.
    pub fn wait_for_complaint(&self, text: &str) {
        let start = Instant::now();
        while !self.stderr().contains(text) {
            assert!(start.elapsed() < patience(), "no `{text}` on standard error: {}", self.stderr());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.running.signal(signal).unwrap();
    }

    /// Ctrl-C, and waits for the end.
    pub fn finish(self) -> Outcome {
        self.signal(Signal::SIGINT);
        self.outcome()
    }

    /// Waits for the end.
    pub fn outcome(mut self) -> Outcome {
        let status = self.running.end().unwrap();
        self.reader.join().unwrap();
        let events = self.lines.seen.lock().unwrap().0.clone();
        let outcome = Outcome { events, stderr: self.running.stderr(), code: status.code() };
        replayed::assert_same(&self.lines.text.lock().unwrap(), &outcome.events, status.success());
        outcome
    }
}

fn read_lines(stdout: impl BufRead, lines: &Lines) {
    for line in stdout.lines() {
        let Ok(line) = line else { break };
        let event: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| json!({"event": "malformed", "line": line}));
        if event["event"] == "lost" && event["where"] == "recursion" {
            eprintln!("{TOLD_OF_LOSS}: {event}");
        }
        let mut text = lines.text.lock().unwrap();
        text.push_str(&line);
        text.push('\n');
        drop(text);
        lines.seen.lock().unwrap().0.push(event);
        lines.grown.notify_all();
    }
    lines.seen.lock().unwrap().1 = true;
    lines.grown.notify_all();
}

/// What stands on standard error if the kernel skipped a program (on a preemptible kernel, a task that was running
/// it may have been displaced by another that wanted to). The tracer counts and tells that, as it should; but the
/// record may be the one that a test waits for, so [`crate::attempts`] looks for this.
pub const TOLD_OF_LOSS: &str = "the kernel skipped a program, and the tracer told of it";

/// The last events, short enough to read in a failure.
fn digest(events: &[Value]) -> String {
    let mut text = format!("{} in all\n", events.len());
    for event in events.iter().rev().take(40).rev() {
        let flow = &event["flow"];
        let _ = writeln!(
            text,
            "  {} {} {}:{} > {}:{} n={} rto={} err={} cause={}",
            event["event"],
            event["type"],
            flow["laddr"],
            flow["lport"],
            flow["raddr"],
            flow["rport"],
            event["retransmits"],
            event["rto_ms"],
            event["err"],
            event["cause"],
        );
    }
    text
}

/// Is it a `retransmit` of this type?
pub fn is_type(event: &Value, ty: &str) -> bool {
    event["event"] == "retransmit" && event["type"] == ty
}

/// Is it of the socket with this cookie?
pub fn is_of(event: &Value, cookie: u64) -> bool {
    event["flow"]["id"] == format!("{cookie:x}")
}

/// A number of an event.
pub fn number(event: &Value, field: &str) -> u64 {
    event[field].as_u64().unwrap_or_else(|| panic!("`{field}` is no number in {event}"))
}
