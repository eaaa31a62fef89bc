//! A hundred thousand short connections with mixed endings: no wrong cause, no state left behind.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use xtask::lab::{
    Lab, VOID,
    socket::{self, Options},
};

use crate::tracer::{command, netns, patience};

/// Of each: how many a round has. Ten in all.
const PLAIN: u64 = 4;
const RESET: u64 = 3;
const REFUSED: u64 = 2;
const ABANDONED: u64 = 1;

const WORKERS: u64 = 2;

/// Closes that may be untold: the ring has room for some 90,000 records, three a connection.
const MOST_UNTOLD: u64 = 10_000;

/// One worker's rounds. Client and server live in one thread: each step waits for the one before. `told_a_round` are
/// the closes that the tracer tells of; the churn does not run away from it, for the tests may share their CPUs.
fn churn(worker: u64, rounds: u64, told: &Told, told_a_round: u64) {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let closed_port = {
        let passing = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        passing.local_addr().unwrap().port()
    };
    for round in 0..rounds {
        let start = Instant::now();
        while told.closed.load(Ordering::Relaxed) + MOST_UNTOLD < round * WORKERS * told_a_round {
            assert!(start.elapsed() < patience(), "the tracer does not tell of the closes");
            thread::sleep(Duration::from_millis(5));
        }
        // Many addresses, or the ports that TIME_WAIT holds would run out.
        let host = Ipv4Addr::new(127, 0, worker as u8 + 1, (round % 250) as u8 + 1);
        let meet = || {
            let client = TcpStream::connect((host, port)).unwrap();
            (client, listener.accept().unwrap().0)
        };
        for _ in 0..PLAIN {
            let (client, mut server) = meet();
            drop(client);
            assert_eq!(server.read(&mut [0]).unwrap(), 0);
        }
        for _ in 0..RESET {
            let (client, mut server) = meet();
            drop(client.linger(0).unwrap());
            assert_eq!(server.read(&mut [0]).unwrap_err().raw_os_error(), Some(libc::ECONNRESET));
        }
        for _ in 0..REFUSED {
            TcpStream::connect((host, closed_port)).unwrap_err();
        }
        for _ in 0..ABANDONED {
            let caller = socket::unconnected(xtask::lab::Family::V4).unwrap();
            socket::start_connect(&caller, SocketAddr::new(VOID.v4.into(), port)).unwrap();
        }
    }
}

/// What the tracer's output says, too much to keep.
#[derive(Default)]
struct Told {
    closed: AtomicU64,
}

/// Connections that ended in one way.
#[derive(Debug, Default)]
struct Ended {
    all: u64,
    /// Those of them that had retransmitted.
    retransmitted: u64,
}

/// Reads the output to its end: closes by cause, and the last line.
/// Each cause's first event is shown: of an unexpected one that is what a reader needs.
fn listen(stdout: impl Read, told: &Told) -> (BTreeMap<String, Ended>, Value) {
    let mut causes = BTreeMap::new();
    let mut last = String::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.unwrap();
        if line.contains(r#""event":"closed""#) {
            let at = line.find(r#""cause":""#).unwrap() + r#""cause":""#.len();
            let cause = line[at..].split('"').next().unwrap();
            let ended: &mut Ended = causes.entry(cause.to_owned()).or_default();
            if ended.all == 0 {
                println!("{line}");
            }
            ended.all += 1;
            ended.retransmitted += u64::from(!line.contains(r#""retransmissions":0,"#));
            told.closed.fetch_add(1, Ordering::Relaxed);
        }
        last = line;
    }
    (causes, serde_json::from_str(&last).unwrap())
}

/// Churns so many connections under a tracer, until it has told of `told_of` closes.
fn trace_churn(connections: u64, more: &[&str], told_of: u64) -> (BTreeMap<String, Ended>, Value) {
    let lab = Lab::new().unwrap();
    // In a small machine TIME_WAIT has no room for all of them, and who finds none is answered with a reset. In a slow
    // one, probes would make troubled connections of ordinary ones.
    lab.left.sysctl("net.ipv4.tcp_max_tw_buckets", "262144").unwrap();
    lab.left.sysctl("net.ipv4.tcp_early_retrans", "0").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let ready = scratch.path().join("ready");
    let inode = netns(&lab.left);
    // Two CPUs may have to share both the churn and the tracing of it.
    let args = ["--netns", &inode, "--format", "json", "--ring-size", "64M", "--ready-file"];
    let mut command = command(&args);
    let mut tracer = command.arg(&ready).args(more).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = tracer.stdout.take().unwrap();
    let told = Arc::new(Told::default());
    let reader = thread::spawn({
        let told = told.clone();
        move || listen(stdout, &told)
    });
    let start = Instant::now();
    while !ready.exists() {
        assert!(
            start.elapsed() < patience() && tracer.try_wait().unwrap().is_none(),
            "the tracer does not start"
        );
        thread::sleep(Duration::from_millis(5));
    }
    let rounds = connections / (PLAIN + RESET + REFUSED + ABANDONED) / WORKERS;
    lab.left.run(|| {
        // Threads stay in the namespace of the thread that starts them.
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let told = &told;
                scope.spawn(move || churn(worker, rounds, told, told_of / rounds / WORKERS));
            }
        });
    });
    let (mut so_far, mut grown) = (0, Instant::now());
    while so_far < told_of && grown.elapsed() < xtask::lab::patient(Duration::from_secs(5)) {
        thread::sleep(Duration::from_millis(50));
        let now = told.closed.load(Ordering::Relaxed);
        if now > so_far {
            (so_far, grown) = (now, Instant::now());
        }
    }
    kill(Pid::from_raw(tracer.id() as i32), Signal::SIGINT).unwrap();
    let outcome = reader.join().unwrap();
    assert_eq!(tracer.wait().unwrap().code(), Some(0));
    outcome
}

/// No wrong cause, no end told twice, no state left. What the kernel says it kept from the programs (one that is
/// interrupted by its own tracepoint does not run again) may be missing.
fn check(causes: &BTreeMap<String, Ended>, end: &Value, expected: &BTreeMap<String, u64>) {
    assert_eq!(end["event"], "end", "{end}");
    assert_eq!(end["flows_left"], 0, "state was left behind: {end}");
    let lost = |place: &str| end["lost"][place].as_u64().unwrap();
    assert_eq!((lost("ring"), lost("map"), lost("output")), (0, 0, 0), "{end}");
    let missing: u64 = expected
        .iter()
        .map(|(cause, count)| count.saturating_sub(causes.get(cause).map_or(0, |ended| ended.all)))
        .sum();
    assert!(missing <= lost("recursion"), "{missing} ends were not told: {end}");
    // In a machine that stands still for a second, timers fire for connections that nothing is wrong with.
    let excused = |ended: &Ended| if xtask::lab::slowness() > 1 { ended.retransmitted } else { 0 };
    let within =
        |(cause, ended): (&String, &Ended)| ended.all <= *expected.get(cause).unwrap_or(&0) + excused(ended);
    assert!(causes.iter().all(within), "{causes:?}");
}

fn expected(connections: u64, shares: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let all = PLAIN + RESET + REFUSED + ABANDONED;
    shares.iter().map(|&(cause, share)| (cause.to_owned(), connections / all * share)).collect()
}

#[test]
fn a_hundred_thousand_connections_leave_nothing_behind() {
    require_lab!();
    // An emulated machine would take minutes.
    let connections = 100_000 / u64::from(xtask::lab::slowness());
    let expected = expected(
        connections,
        &[
            ("closed_by_local", PLAIN),
            ("closed_by_peer", PLAIN),
            ("reset_by_local", RESET),
            ("reset_by_peer", RESET),
            ("connect_refused", REFUSED),
            ("connect_abandoned", ABANDONED),
        ],
    );
    let (causes, end) = trace_churn(connections, &["--all-closes"], expected.values().sum());
    check(&causes, &end, &expected);
}

#[test]
fn untroubled_connections_in_between_are_not_told_of() {
    require_lab!();
    const CONNECTIONS: u64 = 10_000;
    let expected = expected(
        CONNECTIONS,
        &[
            ("reset_by_local", RESET),
            ("reset_by_peer", RESET),
            ("connect_refused", REFUSED),
            ("connect_abandoned", ABANDONED),
        ],
    );
    let (causes, end) = trace_churn(CONNECTIONS, &[], expected.values().sum());
    check(&causes, &end, &expected);
}
