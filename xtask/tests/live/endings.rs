//! How a trace ends: signals, a closed pipe, `--duration`, `--count`. Always in good order, with exit code 0.

use std::{
    io::{BufRead, BufReader, Read},
    process::Stdio,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use xtask::lab::Lab;

use crate::{
    storm::Storm,
    tracer::{Tracer, command, is_type, netns, number, patience},
};

#[test]
fn sigint_and_sigterm_write_the_end() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let mut storm = Storm::gather(&lab, 2);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
        storm.break_out(&lab);
        tracer.wait_for("rto", |event| is_type(event, "rto"));
        tracer.signal(signal);
        let outcome = tracer.outcome();
        outcome.assert_clean();
        let end = outcome.end();
        assert!(number(end, "duration_ms") > 0, "{end}");
        let mut told = std::collections::BTreeMap::new();
        for event in outcome.retransmits().into_iter().filter(|event| event["err"].is_null()) {
            *told.entry(event["type"].as_str().unwrap()).or_insert(0) += number(event, "segs");
        }
        for (ty, segs) in told {
            assert_eq!(number(&end["segs"], ty), segs, "`segs` by type: {end}");
        }
    }
}

#[test]
fn a_trace_in_which_nothing_happens_ends_as_well() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let outcome = Tracer::start(&["--netns", &netns(&lab.left)]).finish();
    outcome.assert_clean();
    assert_eq!(outcome.events.len(), 2, "`start` and `end`: {:?}", outcome.events);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let mut storm = Storm::gather(&lab, 5);
    let mut child = command(&["--netns", &netns(&lab.left), "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    head.read_line(&mut line).unwrap();
    assert!(line.contains(r#""event":"start""#), "{line}");
    drop(head);
    storm.break_out(&lab);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < patience(), "it goes on without anybody to read");
        std::thread::sleep(Duration::from_millis(10));
    };
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn duration_ends_it() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "--duration", "500ms"]);
    let outcome = tracer.outcome();
    outcome.assert_clean();
    assert!(number(outcome.end(), "duration_ms") >= 500, "{}", outcome.end());
}

/// What `--count` counts.
const PRINTED: [&str; 4] = ["retransmit", "threshold", "recovered", "closed"];

#[test]
fn count_ends_it_after_so_many_events() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let mut storm = Storm::gather(&lab, 20);
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "--count", "7"]);
    storm.break_out(&lab);
    let outcome = tracer.outcome();
    outcome.assert_clean();
    let printed =
        outcome.events.iter().filter(|event| PRINTED.contains(&event["event"].as_str().unwrap())).count();
    assert_eq!(printed, 7, "{:?}", outcome.events);
}
