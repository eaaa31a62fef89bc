use std::{fs, os::unix::fs::PermissionsExt, process::Command, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::{event::samples as sample, form::decode, sink::rotation::numbered};

/// A log whose retries do not wait.
fn impatient(path: &Path, rotation: Option<Rotation>) -> LogFile {
    let mut log = LogFile::open(path, rotation).unwrap();
    log.outage = Outage::with_first_wait(Duration::ZERO);
    log.rotation_outage = Outage::with_first_wait(Duration::ZERO);
    log
}

fn begun(path: &Path, rotation: Option<Rotation>) -> LogFile {
    let mut log = impatient(path, rotation);
    put(&mut log, &sample::start_event());
    log.flush().unwrap();
    log
}

fn put(log: &mut LogFile, event: &Event) {
    log.write(event, &sample::CLOCK).unwrap();
}

/// An event that can be recognised.
fn numbered_event(number: u32) -> Event {
    let retransmit = crate::event::Retransmit { episode: number, ..sample::rto() };
    sample::event(sample::ipv4_flow(), sample::retransmit(retransmit))
}

/// What a file holds: `start`, episode numbers, `lost N`, or what is no event.
fn lines_of(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "half a line at the end of {}", path.display());
    text.lines()
        .map(|line| match decode(line.as_bytes()).map(|event| event.what) {
            Ok(What::Start(_)) => "start".to_owned(),
            Ok(What::Retransmit(retransmit)) => retransmit.episode.to_string(),
            Ok(What::Lost(lost)) => format!("lost {}", lost.records),
            Ok(other) => panic!("{other:?}"),
            Err(_) => format!("no event: {line}"),
        })
        .collect()
}

fn dir() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trace.jsonl");
    (dir, path)
}

fn line_len() -> u64 {
    let mut line = Vec::new();
    encode(&numbered_event(1), &sample::CLOCK, &mut line);
    line.len() as u64
}

#[test]
fn a_second_run_appends_with_a_start_of_its_own() {
    let (_dir, path) = dir();
    for number in [1, 2] {
        let mut log = begun(&path, None);
        put(&mut log, &numbered_event(number));
        log.finish().unwrap();
    }
    assert_eq!(lines_of(&path), ["start", "1", "start", "2"]);
}

#[test]
fn the_start_is_there_before_anything_happens() {
    let (_dir, path) = dir();
    let _log = begun(&path, None);
    assert_eq!(lines_of(&path), ["start"]);
}

#[test]
fn what_a_crashed_run_left_is_joined_to_nothing() {
    let (_dir, path) = dir();
    fs::write(&path, "{\"ts\":\"2026-").unwrap();
    let _log = begun(&path, None);
    assert_eq!(lines_of(&path), ["no event: {\"ts\":\"2026-", "start"]);
}

#[test]
fn files_rotate_at_their_size_and_each_begins_with_start() {
    let (_dir, path) = dir();
    // Room for a start line and two events or so.
    let max_bytes = line_len() * 3;
    let mut log = begun(&path, Some(Rotation { max_bytes, keep: 2 }));
    for number in 10..20 {
        put(&mut log, &numbered_event(number));
        if number % 3 == 0 {
            log.flush().unwrap();
        }
    }
    log.finish().unwrap();
    assert_eq!(lines_of(&numbered(&path, 2)), ["start", "14", "15"]);
    assert_eq!(lines_of(&numbered(&path, 1)), ["start", "16", "17"]);
    assert_eq!(lines_of(&path), ["start", "18", "19"]);
    assert!(!numbered(&path, 3).exists());
    for path in [path.clone(), numbered(&path, 1), numbered(&path, 2)] {
        assert!(fs::metadata(&path).unwrap().len() <= max_bytes);
    }
}

#[test]
fn a_limit_below_one_line_still_logs_every_event() {
    let (_dir, path) = dir();
    let mut log = begun(&path, Some(Rotation { max_bytes: 1, keep: 2 }));
    for number in 1..=3 {
        put(&mut log, &numbered_event(number));
    }
    log.finish().unwrap();
    assert_eq!(lines_of(&numbered(&path, 2)), ["start", "1"]);
    assert_eq!(lines_of(&numbered(&path, 1)), ["start", "2"]);
    assert_eq!(lines_of(&path), ["start", "3"]);
}

#[test]
fn a_file_that_is_full_already_rotates_before_the_first_line() {
    let (_dir, path) = dir();
    fs::write(&path, "x\n".repeat(1000)).unwrap();
    let _log = begun(&path, Some(Rotation { max_bytes: 1500, keep: 1 }));
    assert_eq!(lines_of(&path), ["start"]);
    assert_eq!(fs::metadata(numbered(&path, 1)).unwrap().len(), 2000);
}

#[test]
fn a_rotation_that_fails_loses_nothing() {
    let (dir, path) = dir();
    // A directory that cannot be replaced by a file stands in the way.
    fs::create_dir_all(numbered(&path, 1).join("in the way")).unwrap();
    let mut log = begun(&path, Some(Rotation { max_bytes: line_len() * 2, keep: 1 }));
    for number in 1..=3 {
        put(&mut log, &numbered_event(number));
    }
    let error = log.flush().unwrap_err().to_string();
    assert!(
        error.starts_with("cannot rotate ") && error.contains("writing continues in this file"),
        "{error}"
    );
    assert_eq!(lines_of(&path), ["start", "1", "2", "3"]);
    fs::remove_dir_all(numbered(&path, 1)).unwrap();
    put(&mut log, &numbered_event(4));
    log.finish().unwrap();
    assert_eq!(lines_of(&path), ["start", "4"]);
    assert_eq!(log.take_lost(), 0);
    drop(dir);
}

#[test]
fn a_file_that_was_moved_or_deleted_is_made_anew() {
    let (dir, path) = dir();
    let mut log = begun(&path, None);
    put(&mut log, &numbered_event(1));
    log.flush().unwrap();
    let moved = dir.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    put(&mut log, &numbered_event(2));
    log.flush().unwrap();
    fs::remove_file(&path).unwrap();
    put(&mut log, &numbered_event(3));
    let report = log.flush().unwrap_err().to_string();
    assert!(report.contains("trace.jsonl: it was deleted"), "{report}");
    put(&mut log, &numbered_event(4));
    log.flush().unwrap();
    assert_eq!(lines_of(&moved), ["start", "1"]);
    assert_eq!(lines_of(&path), ["start", "3", "4"], "the deleted file took event 2 with it");
    assert_eq!(log.take_lost(), 0);
}

#[test]
fn a_file_that_was_cut_begins_with_start_again() {
    let (_dir, path) = dir();
    let mut log = begun(&path, None);
    put(&mut log, &numbered_event(1));
    log.flush().unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    put(&mut log, &numbered_event(2));
    log.flush().unwrap();
    assert_eq!(lines_of(&path), ["start", "2"]);
}

#[test]
fn a_directory_that_is_gone_is_reported_once_and_tried_again() {
    let (dir, _) = dir();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("trace.jsonl");
    let mut log = begun(&path, None);
    fs::remove_dir_all(&inner).unwrap();
    put(&mut log, &numbered_event(1));
    let error = log.flush().unwrap_err().to_string();
    assert!(error.starts_with("cannot open ") && error.contains("No such file"), "{error}");
    put(&mut log, &numbered_event(2));
    log.flush().unwrap();
    fs::create_dir(&inner).unwrap();
    log.flush().unwrap();
    assert_eq!(lines_of(&path), ["start", "1", "2"], "a short outage loses nothing");
    assert_eq!(log.take_lost(), 0);
}

#[test]
fn a_path_that_cannot_be_opened_is_an_error_at_once() {
    let (dir, _) = dir();
    let error = LogFile::open(&dir.path().join("no/such"), None).unwrap_err().to_string();
    assert!(error.contains("is there such a directory"), "{error}");
    assert!(LogFile::open(dir.path(), None).is_err(), "a directory");
}

#[test]
fn one_file_has_one_writer() {
    let (_dir, path) = dir();
    let _log = begun(&path, None);
    let error = LogFile::open(&path, None).unwrap_err().to_string();
    assert!(error.contains("another process is logging to it"), "{error}");
}

#[test]
fn devices_are_written_and_neither_locked_nor_rotated() {
    let rotation = Some(Rotation { max_bytes: 1, keep: 1 });
    let mut log = begun(Path::new("/dev/null"), rotation);
    let _second = begun(Path::new("/dev/null"), rotation);
    put(&mut log, &numbered_event(1));
    log.finish().unwrap();
    assert!(!Path::new("/dev/null.1").exists());
}

/// A file system of 64 kB, as long as it lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(dir.path()).output();
        match mount {
            Ok(output) if output.status.success() => Some(SmallDisk(dir)),
            _ if std::env::var_os("CI").is_some() => panic!("cannot mount a tmpfs: {mount:?}"),
            _ => {
                eprintln!("skipped: only root may mount a tmpfs to fill");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_leaves_no_half_line_and_the_log_says_what_it_lacks() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path().join("trace.jsonl");
    let mut log = begun(&path, None);
    let (mut next, mut reports) = (0, Vec::new());
    // Several times as much as fits on the disk and into memory.
    let until = (TOO_MUCH as u64 * 2 / line_len()) as u32;
    while next < until {
        for _ in 0..10 {
            next += 1;
            if let Err(error) = log.write(&numbered_event(next), &sample::CLOCK) {
                reports.push(error.to_string());
            }
        }
        if let Err(error) = log.flush() {
            reports.push(error.to_string());
        }
    }
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("No space left on device"), "{reports:?}");
    assert!(reports[0].contains("free some space"), "{reports:?}");
    let before = lines_of(&path);
    assert!(
        before.len() > 10 && before.iter().skip(1).all(|number| number.parse::<u32>().is_ok()),
        "{before:?}"
    );
    let lost = log.take_lost();
    assert!(lost > 100, "{lost}");

    // There is room again.
    let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(disk.0.path()).status().unwrap();
    assert!(grown.success());
    log.flush().unwrap();
    put(&mut log, &numbered_event(u32::MAX));
    log.finish().unwrap();
    let after = lines_of(&path);
    let kept = next - lost as u32;
    let expected: Vec<String> = std::iter::once("start".to_owned())
        .chain((1..=kept).map(|number| number.to_string()))
        .chain([format!("lost {lost}"), u32::MAX.to_string()])
        .collect();
    let difference = after.iter().zip(&expected).find(|(after, expected)| after != expected);
    assert_eq!((difference, after.len()), (None, expected.len()));
    assert_eq!(log.take_lost(), 0, "reported already");
}

#[test]
fn the_end_does_not_wait_for_the_next_attempt() {
    let Some(disk) = SmallDisk::mount() else { return };
    let path = disk.0.path().join("trace.jsonl");
    let mut log = LogFile::open(&path, None).unwrap();
    fs::write(disk.0.path().join("filler"), vec![0; 60 * 1024]).unwrap();
    for number in 1..=10 {
        put(&mut log, &numbered_event(number));
    }
    assert!(log.flush().is_err());
    fs::remove_file(disk.0.path().join("filler")).unwrap();
    log.flush().unwrap();
    assert!(lines_of(&path).len() < 10, "it is waiting");
    log.finish().unwrap();
    assert_eq!(lines_of(&path).len(), 10);
    assert_eq!(log.take_lost(), 0);
}

#[test]
fn what_never_came_out_is_counted_at_the_end() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut log = begun(&disk.0.path().join("trace.jsonl"), None);
    for number in 1..=100 {
        put(&mut log, &numbered_event(number));
    }
    assert!(log.finish().is_err());
    let written = lines_of(&disk.0.path().join("trace.jsonl")).len() as u64 - 1;
    assert_eq!(log.take_lost() + written, 100);
}

#[test]
fn an_event_about_a_loss_of_output_is_not_for_the_output_that_lost_it() {
    let (_dir, path) = dir();
    let mut log = begun(&path, None);
    put(&mut log, &sample::lost(5, LostWhere::Output));
    put(&mut log, &sample::lost(6, LostWhere::Ring));
    log.finish().unwrap();
    assert_eq!(lines_of(&path), ["start", "lost 6"]);
}
