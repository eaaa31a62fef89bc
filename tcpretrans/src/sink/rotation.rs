//! FILE becomes FILE.1, FILE.1 becomes FILE.2, and so on; the oldest goes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// When to rotate, and how many old files to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// No file grows beyond this, but for a single line that is longer.
    pub max_bytes: u64,
    /// Old files to keep: FILE.1 is the newest.
    pub keep: u32,
}

/// FILE.`number`
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

/// Makes room for a new FILE.
///
/// # Errors
/// From renaming. FILE is then still there, and nothing was lost but what rotation takes away anyway.
pub(super) fn shift(path: &Path, keep: u32) -> io::Result<()> {
    if keep == 0 {
        return unless_missing(fs::remove_file(path));
    }
    // Up to the first gap: what lies beyond need not move, and `keep` may be huge.
    let gap = (1..keep).find(|&number| !numbered(path, number).exists()).unwrap_or(keep);
    for number in (1..gap).rev() {
        unless_missing(fs::rename(numbered(path, number), numbered(path, number + 1)))?;
    }
    unless_missing(fs::rename(path, numbered(path, 1)))
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in FILE, FILE.1, ... FILE.5.
    fn contents(path: &Path) -> Vec<String> {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_else(|_| "-".to_owned());
        std::iter::once(read(path.to_owned())).chain((1..=5).map(|n| read(numbered(path, n)))).collect()
    }

    #[test]
    fn the_newest_is_number_one_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.jsonl");
        for round in 1..=5 {
            fs::write(&path, round.to_string()).unwrap();
            shift(&path, 3).unwrap();
        }
        assert_eq!(contents(&path), ["-", "5", "4", "3", "-", "-"]);
    }

    #[test]
    fn gaps_are_filled_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.jsonl");
        for (number, text) in [(1, "one"), (3, "three")] {
            fs::write(numbered(&path, number), text).unwrap();
        }
        fs::write(&path, "now").unwrap();
        shift(&path, u32::MAX).unwrap();
        assert_eq!(contents(&path), ["-", "now", "one", "three", "-", "-"]);
    }

    #[test]
    fn nothing_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trace.jsonl");
        fs::write(&path, "now").unwrap();
        shift(&path, 0).unwrap();
        assert_eq!(contents(&path), ["-"; 6]);
        shift(&path, 0).unwrap();
        shift(&path, 2).unwrap();
    }
}
