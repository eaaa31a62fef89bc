//! Recordings as they are found in the morning.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{Detail, OpenError, Reader};
use crate::{
    event::{Clock, Event, Lost, LostWhere, Start, What, samples as sample},
    form::encode,
};

const SECOND: u64 = 1_000_000_000;

/// A directory of logs.
struct Logs(TempDir);

impl Logs {
    fn new() -> Logs {
        Logs(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

fn line(event: &Event) -> String {
    let mut line = Vec::new();
    encode(event, &sample::CLOCK, &mut line);
    String::from_utf8(line).unwrap()
}

/// `start` of the run that began at that second.
fn start(began_s: u64, part: u32) -> String {
    let start = Start { part: Some(part), ..sample::start() };
    line(&Event { mono_ns: began_s * SECOND, flow: None, what: What::Start(Box::new(start)) })
}

/// An event at that second, which is known by it.
fn event(at_s: u64) -> String {
    let lost = Lost::counted(at_s, LostWhere::Ring);
    line(&Event { mono_ns: at_s * SECOND, flow: None, what: What::Lost(lost) })
}

fn end(at_s: u64) -> String {
    line(&Event { mono_ns: at_s * SECOND, flow: None, what: What::End(Box::default()) })
}

fn join(lines: &[String]) -> String {
    lines.concat()
}

/// What is read: `start`, `end`, or the second of an event, with the session, and `!` after a gap. Then the reader.
fn read(files: &[PathBuf]) -> (Vec<String>, Reader) {
    let mut reader = Reader::open(files, Detail::Whole).unwrap_or_else(|error| panic!("{error}"));
    let mut seen = Vec::new();
    for recorded in &mut reader {
        let recorded = recorded.unwrap();
        let what = match recorded.event.what {
            What::Start(_) => "start".to_owned(),
            What::End(_) => "end".to_owned(),
            What::Lost(lost) => lost.records.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(recorded.clock, sample::CLOCK);
        seen.push(format!("{}:{what}{}", recorded.session, if recorded.after_gap { "!" } else { "" }));
    }
    (seen, reader)
}

fn refused(files: &[PathBuf]) -> OpenError {
    Reader::open(files, Detail::Whole).expect_err("it is no recording")
}

#[test]
fn rotated_files_in_any_order_are_one_session() {
    let logs = Logs::new();
    let newest = logs.write("log.jsonl", join(&[start(1, 3), event(6), end(7)]));
    let middle = logs.write("log.jsonl.1", join(&[start(1, 2), event(4), event(5)]));
    let oldest = logs.write("log.jsonl.2", join(&[start(1, 1), event(2), event(3)]));
    let expected = ["0:start", "0:2", "0:3", "0:4", "0:5", "0:6", "0:end"];
    for files in [
        [newest.clone(), middle.clone(), oldest.clone()],
        [oldest.clone(), middle.clone(), newest.clone()],
        [middle, oldest, newest],
    ] {
        let (seen, reader) = read(&files);
        assert_eq!(seen, expected);
        assert_eq!((reader.damage().is_any(), reader.damage().notes()), (false, &[][..]));
        assert_eq!(reader.bytes_read(), reader.total_bytes().unwrap());
    }
}

#[test]
fn what_was_rotated_away_is_reported() {
    let logs = Logs::new();
    let rest = logs.write("log.jsonl.1", join(&[start(1, 3), event(4)]));
    let newest = logs.write("log.jsonl", join(&[start(1, 5), event(6), end(7)]));
    let (seen, reader) = read(&[rest, newest]);
    assert_eq!(seen, ["0:start!", "0:4", "0:6!", "0:end"]);
    let notes = reader.damage().notes();
    assert!(notes[0].contains("the first 2 files are missing"), "{notes:?}");
    assert!(notes[1].contains("files between 3 and 5 "), "{notes:?}");
    assert!(!reader.damage().is_any(), "nothing is damaged");
}

#[test]
fn appended_runs_are_sessions_of_their_own() {
    let logs = Logs::new();
    let log = logs.write("log", join(&[start(1, 1), event(2), end(3), start(4, 1), event(5), end(6)]));
    let (seen, reader) = read(&[log]);
    assert_eq!(seen, ["0:start", "0:2", "0:end", "1:start", "1:5", "1:end"]);
    assert_eq!(reader.damage().notes(), [""; 0]);
}

#[test]
fn a_run_without_an_end_is_reported() {
    let logs = Logs::new();
    let log = logs.write("log", join(&[start(1, 1), event(2), start(4, 1), event(5)]));
    let (seen, reader) = read(&[log]);
    assert_eq!(seen, ["0:start", "0:2", "1:start", "1:5"]);
    let notes = reader.damage().notes();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.iter().all(|note| note.contains("has no end: the tracer was killed")), "{notes:?}");
}

#[test]
fn a_cut_line_is_damage_with_its_number() {
    let logs = Logs::new();
    let text = join(&[start(1, 1), event(2), event(3)]);
    let log = logs.write("log", &text[..text.len() - 10]);
    let (seen, reader) = read(std::slice::from_ref(&log));
    assert_eq!(seen, ["0:start", "0:2"]);
    let expected = format!("{}:3: the file ends within this line", log.display());
    assert_eq!((reader.damage().count(), reader.damage().first()), (1, &[expected][..]));
    // Only the newline is missing: the line is whole.
    let log = logs.write("log", &text[..text.len() - 1]);
    let (seen, reader) = read(&[log]);
    assert_eq!((seen.len(), reader.damage().count()), (3, 0));
}

#[test]
fn damage_is_skipped_and_leaves_a_gap() {
    let logs = Logs::new();
    let nul = "\0".repeat(100) + "\n";
    let other = "{\"some\":\"json\"}\n".to_owned();
    let long = "x".repeat(2 << 20) + "\n";
    let log =
        logs.write("log", join(&[start(1, 1), nul, event(2), other, long, "\n".into(), event(3), end(4)]));
    let (seen, reader) = read(&[log]);
    assert_eq!(seen, ["0:start", "0:2!", "0:3!", "0:end"]);
    let damage = reader.damage();
    let lines: Vec<bool> = [":2: not a line", ":4: not a line", ":5: longer than any line"]
        .iter()
        .zip(damage.first())
        .map(|(wrong, seen)| seen.contains(wrong))
        .collect();
    assert_eq!((damage.count(), lines), (3, vec![true; 3]), "{:?}", damage.first());
}

#[test]
fn bytes_that_are_no_text_are_reported() {
    let logs = Logs::new();
    let mut bytes = join(&[start(1, 1), event(2), end(4)]).into_bytes();
    let at = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 20;
    bytes[at] = 0xff;
    let (seen, reader) = read(&[logs.write("log", bytes)]);
    assert_eq!(seen, ["0:start", "0:end!"]);
    assert!(reader.damage().first()[0].contains(":2: not a line of a recording: byte 20 is not UTF-8"));
}

#[test]
fn events_of_a_newer_version_are_no_damage() {
    let logs = Logs::new();
    let newer = event(2).replace("\"lost\"", "\"marvel\"");
    let (seen, reader) = read(&[logs.write("log", join(&[start(1, 1), newer, event(3), end(4)]))]);
    assert_eq!(seen, ["0:start", "0:3", "0:end"]);
    assert_eq!((reader.damage().count(), reader.damage().unknown_events()), (0, 1));
}

#[test]
fn a_schema_of_a_newer_version_is_not_guessed_at() {
    let logs = Logs::new();
    let newer = start(5, 1).replace("\"schema\":1", "\"schema\":2");
    let mixed = join(&[start(1, 1), event(2), end(3), newer.clone(), event(6), end(7), start(8, 1), end(9)]);
    let (seen, reader) = read(&[logs.write("mixed", mixed)]);
    assert_eq!(seen, ["0:start", "0:2", "0:end", "1:start", "1:end"]);
    assert_eq!(reader.damage().count(), 1);
    let error = refused(&[logs.write("newer", join(&[newer, event(6)]))]).to_string();
    assert!(error.contains("has schema 2"), "{error}");
}

#[test]
fn lines_before_the_first_start_are_read() {
    let logs = Logs::new();
    let (seen, _) = read(&[logs.write("tail", join(&[event(2), event(3), end(4)]))]);
    assert_eq!(seen, ["0:2", "0:3", "0:end"]);
}

#[test]
fn files_that_are_no_recordings_are_refused() {
    let logs = Logs::new();
    let dir = logs.path("dir");
    fs::create_dir(&dir).unwrap();
    for (file, wrong) in [
        (logs.path("missing"), "cannot read"),
        (dir, "is a directory: name the files in it"),
        (logs.write("gzip", b"\x1f\x8b\x08\0rest"), "is compressed: zcat "),
        (logs.write("zstd", b"\x28\xb5\x2f\xfdrest"), "is compressed: zstdcat "),
        (
            logs.write("json", "{\"a\":1}\n{\"b\":2}\n"),
            "is not a recording of tcpretrans: line 1: not a line",
        ),
        (logs.write("text", "Hello\n"), "is not a recording"),
        (logs.write("binary", [0xde, 0xad, 0xbe, 0xef].repeat(1000)), "is not UTF-8"),
        (logs.write("empty", ""), "is empty: nothing was recorded"),
        (logs.write("long", "y".repeat(3 << 20)), "is not a recording"),
    ] {
        let error = refused(std::slice::from_ref(&file)).to_string();
        assert!(error.contains(wrong) && error.contains(file.to_str().unwrap()), "{error}");
    }
    assert!(matches!(refused(&[]), OpenError::NoFile));
    let zcat = refused(&[logs.path("gzip")]).to_string();
    assert!(zcat.ends_with("gzip | tcpretrans replay -"), "{zcat}");
}

#[test]
fn an_empty_file_beside_others_is_only_reported() {
    let logs = Logs::new();
    let log = logs.write("log.1", join(&[start(1, 1), end(2)]));
    let (seen, reader) = read(&[logs.write("log", ""), log]);
    assert_eq!(seen, ["0:start", "0:end"]);
    assert!(reader.damage().notes()[0].ends_with("is empty"));
}

#[test]
fn a_file_that_is_given_twice_is_read_once() {
    let logs = Logs::new();
    let log = logs.write("log", join(&[start(1, 1), event(2), end(3)]));
    let link = logs.path("link");
    std::os::unix::fs::symlink(&log, &link).unwrap();
    let (seen, reader) = read(&[log.clone(), link, log]);
    assert_eq!(seen, ["0:start", "0:2", "0:end"]);
    assert!(reader.damage().notes()[0].ends_with("is given twice and read once"));
}

#[test]
fn recordings_that_overlap_are_reported() {
    let logs = Logs::new();
    let one = logs.write("one", join(&[start(1, 1), event(2), event(9), end(10)]));
    let two = logs.write("two", join(&[start(3, 1), event(4), end(11)]));
    let (seen, reader) = read(&[two, one]);
    assert_eq!(seen, ["0:start", "0:2", "0:9", "0:end", "1:start", "1:4", "1:end"]);
    assert!(reader.damage().notes()[0].contains("overlap in time"), "{:?}", reader.damage().notes());
}

#[test]
fn the_files_of_one_tracer_stay_together() {
    let logs = Logs::new();
    let old = logs.write("a.1", join(&[start(1, 1), event(2), event(5)]));
    let new = logs.write("a", join(&[start(1, 2), event(8), end(9)]));
    let other = logs.write("b", join(&[start(3, 1), event(4), end(10)]));
    let (seen, _) = read(&[new, other, old]);
    assert_eq!(seen, ["0:start", "0:2", "0:5", "0:8", "0:end", "1:start", "1:4", "1:end"]);
}

#[test]
fn a_copy_that_was_put_together_twice_is_reported() {
    let logs = Logs::new();
    let twice = [start(1, 1), event(2), event(5), start(1, 1), event(2), event(5), end(6)];
    let (_, reader) = read(&[logs.write("log", join(&twice))]);
    assert!(reader.damage().notes()[0].contains("goes back in time"), "{:?}", reader.damage().notes());
}

#[test]
fn the_clock_is_that_of_the_line() {
    let logs = Logs::new();
    let later = Clock { wall_minus_mono_ns: sample::CLOCK.wall_minus_mono_ns + 7_000_000_000 };
    let mut set = Vec::new();
    encode(&sample::lost(1, LostWhere::Ring), &later, &mut set);
    let log = logs.write("log", [start(1, 1).into_bytes(), set].concat());
    let clocks: Vec<Clock> = Reader::open(&[log], Detail::WithoutKernel)
        .unwrap()
        .map(|recorded| recorded.unwrap().clock)
        .collect();
    assert_eq!(clocks, [sample::CLOCK, later]);
}
