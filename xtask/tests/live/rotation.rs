//! `--rotate-size`, `--rotate-keep`: files that stay small and few, each complete in itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use xtask::lab::Lab;

use crate::{
    file_log::{read_log, times},
    storm::Storm,
    tracer::{Tracer, command, is_type, netns},
};

const SIZE: u64 = 16 * 1024;
const KEEP: usize = 3;

/// The log's files, oldest first.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<(u64, PathBuf)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let first: Value =
                read_log(&path).into_iter().next().unwrap_or_else(|| panic!("{path:?} is empty"));
            assert_eq!(first["event"], "start", "{path:?} begins with {first}");
            // A rotated file's `start` may repeat the trace's own; its first event tells its age.
            let age = read_log(&path).get(1).map_or(u64::MAX, |event| event["mono_ns"].as_u64().unwrap());
            (age, path)
        })
        .collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

#[test]
fn files_stay_small_few_and_complete() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let mut storm = Storm::gather(&lab, 60);
    let tracer = Tracer::start(
        &[
            &["--netns", &netns(&lab.left), "-o", log.to_str().unwrap()][..],
            &["--rotate-size", &SIZE.to_string(), "--rotate-keep", &KEEP.to_string()],
        ]
        .concat(),
    );
    storm.break_out(&lab);
    // Each line is some hundred bytes or more: many times the size that is kept.
    tracer.wait_for_many("rto", 240, |event| is_type(event, "rto"));
    let outcome = tracer.finish();
    outcome.assert_clean();

    let files = files(dir.path());
    assert_eq!(files.len(), KEEP + 1, "{KEEP} old ones and the newest: {files:?}");
    assert_eq!(files.last(), Some(&log), "the newest has the log's own name");
    let mut logged = Vec::new();
    for file in &files {
        let events = read_log(file);
        let size = fs::metadata(file).unwrap().len();
        let longest = fs::read_to_string(file).unwrap().lines().map(str::len).max().unwrap() as u64;
        assert!(size <= SIZE + longest, "{file:?} has {size} bytes");
        let starts = events.iter().filter(|event| event["event"] == "start").count();
        assert_eq!(starts, 1, "{file:?}");
        logged.extend(times(&events));
    }
    assert_eq!(read_log(&log).last().unwrap()["event"], "end");
    let replayed = command(&["replay", "--format", "json"]).args(&files).output().unwrap();
    let stderr = String::from_utf8_lossy(&replayed.stderr);
    assert_eq!(replayed.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("files are missing"), "what was rotated away is told: {stderr}");
    let again: Vec<Value> = replayed
        .stdout
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(times(&again), logged, "each retransmission that is in the files");

    let all = times(&outcome.events);
    assert!(all.ends_with(&logged), "the files have the latest events, in order and without a gap");
    assert!(logged.len() < all.len(), "older files are gone");
}
