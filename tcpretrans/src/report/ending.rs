//! When a recording ends, found out without reading all of it: `--since 2h` has to know beforehand.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
};

use serde::Deserialize;

use crate::{failure::Failure, form::Timestamp, options::UsageError};

/// So much of a file's end is looked at first; a line is at most some kilobytes long.
const FIRST_LOOK: u64 = 64 * 1024;
/// A file that has no time in so much of its end has none.
const LAST_LOOK: u64 = 16 * 1024 * 1024;

#[derive(Deserialize)]
struct Line {
    ts: Timestamp,
}

/// What is no file cannot be looked at twice.
///
/// # Errors
/// For standard input, pipes and the like. `option` is what would need it.
pub(super) fn refuse_streams(files: &[PathBuf], option: &'static str) -> Result<(), UsageError> {
    let is_stream = |path: &&PathBuf| {
        path.as_os_str() == "-"
            || fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    };
    let Some(stream) = files.iter().find(is_stream) else { return Ok(()) };
    let name = if stream.as_os_str() == "-" { "standard input".into() } else { stream.display().to_string() };
    Err(UsageError::value(
        option,
        format!(
            "the end of {name} is not known in advance: give the date, too ('2026-11-22 03:00'), or name a file"
        ),
    ))
}

/// The latest time in the files, ns since 1970.
///
/// # Errors
/// If a file cannot be read or has no time. `option` is what wanted to know.
pub(super) fn of(files: &[PathBuf], option: &'static str) -> Result<i64, Failure> {
    let mut latest = None;
    for path in files {
        let cannot = || Failure::io::<io::Error>(format!("cannot read {}", path.display()));
        let mut file = File::open(path).map_err(cannot())?;
        let len = file.metadata().map_err(cannot())?.len();
        latest = latest.max(last_time(&mut file, len).map_err(cannot())?);
    }
    let nothing = || UsageError::value(option, "no line of the recording has a time to count from");
    Ok(latest.ok_or_else(nothing)?)
}

/// The time of the last whole line; lines may be damaged.
fn last_time(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<i64>> {
    let mut look = FIRST_LOOK;
    loop {
        let from = len.saturating_sub(look);
        file.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        file.by_ref().take(look).read_to_end(&mut tail)?;
        let lines = tail.split(|&byte| byte == b'\n').rev();
        // What the look begins in the middle of is no JSON.
        let mut times = lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        match times.next() {
            Some(line) => return Ok(Some(line.ts.wall_ns)),
            None if from == 0 || look >= LAST_LOOK => return Ok(None),
            None => look *= 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_memory(text: &[u8]) -> Option<i64> {
        last_time(&mut io::Cursor::new(text), text.len() as u64).expect("memory can be read")
    }

    const LINE: &str = r#"{"ts":"1970-01-01T00:00:05.000000000Z","mono_ns":1,"event":"lost"}"#;

    #[test]
    fn the_last_line_that_is_whole_tells() {
        assert_eq!(in_memory(format!("{LINE}\n").as_bytes()), Some(5_000_000_000));
        assert_eq!(in_memory(LINE.as_bytes()), Some(5_000_000_000), "without its newline");
        let cut = format!("{LINE}\n{}", LINE.replace("05", "06").split_at(40).0);
        assert_eq!(in_memory(cut.as_bytes()), Some(5_000_000_000), "cut by a crash");
        assert_eq!(in_memory(b""), None);
        assert_eq!(in_memory(b"no\nrecording\n"), None);
    }

    #[test]
    fn looks_back_as_far_as_needed() {
        let damage = "x".repeat(3 * FIRST_LOOK as usize);
        assert_eq!(in_memory(format!("{LINE}\n{damage}").as_bytes()), Some(5_000_000_000));
        let many = format!("{}{}\n", format!("{LINE}\n").repeat(5000), LINE.replace("05.", "07."));
        assert_eq!(in_memory(many.as_bytes()), Some(7_000_000_000));
    }

    #[test]
    fn a_stream_cannot_be_asked() {
        let error = refuse_streams(&["-".into()], "--since").unwrap_err().to_string();
        assert!(error.starts_with("--since: the end of standard input is not known in advance: "), "{error}");
    }
}
