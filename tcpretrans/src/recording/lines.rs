//! Lines of a recording, in bounded memory whatever is in the file.

use std::io::{self, Read};

/// No line is longer: it would be no line of ours.
pub const LONGEST_LINE: usize = 1 << 20;

/// How much is read at a time. Measured: more gains nothing, less costs.
const CHUNK: usize = 256 * 1024;

/// One line, without its newline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// As it should be.
    Whole(&'a [u8]),
    /// The last one, which has no newline.
    Unfinished(&'a [u8]),
    /// Longer than [`LONGEST_LINE`]; it was skipped.
    TooLong,
}

/// Splits what is read into lines.
pub struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// What is in the buffer and was not handed out.
    start: usize,
    end: usize,
    /// Up to here there is no newline.
    searched: usize,
    /// Within a line that is too long.
    skipping: bool,
    over: bool,
    bytes: u64,
}

impl<R> std::fmt::Debug for Lines<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lines({} bytes read)", self.bytes)
    }
}

impl<R: Read> Lines<R> {
    /// The lines of `source`.
    pub fn new(source: R) -> Lines<R> {
        Lines {
            source,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            searched: 0,
            skipping: false,
            over: false,
            bytes: 0,
        }
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Is there a whole line that needs no reading?
    pub fn has_line(&self) -> bool {
        memchr::memchr(b'\n', &self.buffer[self.searched..self.end]).is_some()
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// From reading.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..self.end]) {
                let line = self.start..self.searched + at;
                self.start = line.end + 1;
                self.searched = self.start;
                if std::mem::take(&mut self.skipping) || line.len() > LONGEST_LINE {
                    return Ok(Some(Line::TooLong));
                }
                return Ok(Some(Line::Whole(&self.buffer[line])));
            }
            self.searched = self.end;
            if self.over {
                let line = self.start..self.end;
                self.start = self.end;
                return Ok(match (std::mem::take(&mut self.skipping), line.is_empty()) {
                    (true, _) => Some(Line::TooLong),
                    (false, true) => None,
                    (false, false) if line.len() > LONGEST_LINE => Some(Line::TooLong),
                    (false, false) => Some(Line::Unfinished(&self.buffer[line])),
                });
            }
            self.fill()?;
        }
    }

    /// Reads more; makes room first.
    fn fill(&mut self) -> io::Result<()> {
        if self.skipping || self.end - self.start > LONGEST_LINE {
            self.skipping = true;
            self.start = self.end;
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        self.searched = self.end;
        if self.buffer.len() - self.end < CHUNK / 2 {
            self.buffer.resize(self.end + CHUNK, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.over = true,
                Ok(bytes) => {
                    self.end += bytes;
                    self.bytes += bytes as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands out as little at a time as it is told to.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(buffer.len()).min(self.0.len());
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    /// Each line, and its length where it is too long to show.
    fn all(bytes: &[u8], step: usize) -> Vec<String> {
        let mut lines = Lines::new(Trickle(bytes, step));
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push(match line {
                Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                Line::Unfinished(line) => format!("{}...", String::from_utf8_lossy(line)),
                Line::TooLong => "too long".to_owned(),
            });
        }
        assert!(lines.buffer.capacity() <= 2 * LONGEST_LINE + 4 * CHUNK, "memory is bounded");
        all
    }

    #[test]
    fn the_last_line_may_lack_its_newline() {
        assert_eq!(all(b"one\n\ntwo", 100), ["one", "", "two..."]);
        assert_eq!(all(b"one\n", 1), ["one"]);
        assert_eq!(all(b"", 1), Vec::<String>::new());
        assert_eq!(all(b"\n", 1), [""]);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let long = vec![b'x'; 5 * LONGEST_LINE];
        assert_eq!(all(&[&long[..], b"\nnext\n"].concat(), 99_999), ["too long", "next"]);
        assert_eq!(all(&[b"before\n", &long[..]].concat(), 99_999), ["before", "too long"]);
    }

    #[test]
    fn the_longest_line_is_a_line() {
        for (len, told) in [(LONGEST_LINE, "whole"), (LONGEST_LINE + 1, "too long")] {
            let line = [vec![b'x'; len], b"\ny\n".to_vec()].concat();
            let first = all(&line, 1 << 17).swap_remove(0);
            assert_eq!(if first.len() == len { "whole" } else { first.as_str() }, told);
        }
    }

    proptest! {
        #[test]
        fn however_it_comes_the_lines_are_the_same(
            text in "[a-c\\n]{0,300}", step in 1_usize..40,
        ) {
            let mut expected: Vec<String> = text.split('\n').map(str::to_owned).collect();
            match expected.pop() {
                Some(last) if !last.is_empty() => expected.push(last + "..."),
                _ => {}
            }
            prop_assert_eq!(all(text.as_bytes(), step), expected);
        }
    }
}
