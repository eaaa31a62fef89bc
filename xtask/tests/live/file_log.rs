//! `-o FILE`: a log beside what is printed, appended to, complete.

use std::{fs, path::Path};

use serde_json::Value;
use xtask::lab::Lab;

use crate::{
    storm::Storm,
    tracer::{Tracer, command, is_type, netns},
};

/// All lines of a log; each must be whole.
pub fn read_log(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(text.is_empty() || text.ends_with('\n'), "{} ends within a line", path.display());
    let parse = |line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()))
    };
    text.lines().map(parse).collect()
}

fn count(events: &[Value], name: &str) -> usize {
    events.iter().filter(|event| event["event"] == name).count()
}

/// What a log and a listener have in common: when each retransmission was.
pub fn times(events: &[Value]) -> Vec<u64> {
    let told = events.iter().filter(|event| event["event"] == "retransmit");
    told.map(|event| event["mono_ns"].as_u64().unwrap()).collect()
}

#[test]
fn a_second_run_appends() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let args = ["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()];

    let mut storm = Storm::gather(&lab, 3);
    let tracer = Tracer::start(&args);
    storm.break_out(&lab);
    tracer.wait_for_many("rto", 3, |event| is_type(event, "rto"));
    let outcome = tracer.finish();
    outcome.assert_clean();
    let first = fs::read_to_string(&log).unwrap();
    let events = read_log(&log);
    assert_eq!(times(&events), times(&outcome.events), "the log has what was printed");
    assert_eq!((count(&events, "start"), count(&events, "end")), (1, 1));
    assert_eq!((&events[0]["event"], &events.last().unwrap()["event"]), (&"start".into(), &"end".into()));

    let tracer = Tracer::start(&args);
    tracer.wait_for("rto", |event| is_type(event, "rto"));
    tracer.finish().assert_clean();
    let both = fs::read_to_string(&log).unwrap();
    assert!(both.starts_with(&first), "what was there stays as it was");
    let events = read_log(&log);
    assert_eq!((count(&events, "start"), count(&events, "end")), (2, 2));
}

#[test]
fn quiet_prints_nothing_and_logs_all() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let mut storm = Storm::gather(&lab, 1);
    let tracer = Tracer::start_quiet(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);
    storm.break_out(&lab);
    let start = std::time::Instant::now();
    while !fs::read_to_string(&log).is_ok_and(|text| text.contains(r#""type":"rto""#)) {
        assert!(start.elapsed() < crate::tracer::patience(), "nothing is logged while it runs");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let outcome = tracer.finish();
    assert_eq!((outcome.code, outcome.events.len()), (Some(0), 0), "{:?}", outcome.events);
    assert_eq!(count(&read_log(&log), "end"), 1);
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error() {
    require_lab!();
    let output = command(&["-o", "/no/such/directory/log.jsonl", "--duration", "1s"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{:?}: {stderr}", output.status);
    assert!(stderr.contains("/no/such/directory/log.jsonl"), "{stderr}");
}

#[test]
fn a_deleted_log_is_reported_and_written_anew() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let mut storm = Storm::gather(&lab, 3);
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);
    fs::remove_file(&log).unwrap();
    storm.break_out(&lab);
    tracer.wait_for_complaint(log.to_str().unwrap());
    tracer.wait_for_many("rto", 3, |event| is_type(event, "rto"));
    let outcome = tracer.finish();
    outcome.assert_clean();
    let events = read_log(&log);
    assert_eq!((&events[0]["event"], &events.last().unwrap()["event"]), (&"start".into(), &"end".into()));
    assert_eq!(
        times(&events),
        times(&outcome.events),
        "nothing that happened after it was deleted is missing"
    );
}

#[test]
fn a_log_whose_directory_vanished_is_reported_and_tracing_goes_on() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("logs");
    fs::create_dir(&folder).unwrap();
    let log = folder.join("log.jsonl");
    let mut storm = Storm::gather(&lab, 5);
    let tracer = Tracer::start(&["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()]);
    fs::remove_dir_all(&folder).unwrap();
    storm.break_out(&lab);
    tracer.wait_for_complaint(log.to_str().unwrap());
    let so_far = times(&tracer.events()).len();
    tracer.wait_for_many("further retransmit", so_far + 1, |event| event["event"] == "retransmit");
    let outcome = tracer.finish();
    outcome.assert_clean();
    assert!(!outcome.stderr.contains("panicked"), "{}", outcome.stderr);
}
