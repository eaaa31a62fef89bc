//! Whole lines or nothing: a write that fails half-way leaves no half line behind.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
};

use bytes::{Buf, BytesMut};

/// What lines are written to.
pub trait Target: Write {
    /// Takes the last `bytes` back that were written.
    ///
    /// # Errors
    /// Where that is impossible: a pipe, a terminal, a failing file system.
    fn take_back(&mut self, bytes: u64) -> io::Result<()>;
}

impl Target for File {
    fn take_back(&mut self, bytes: u64) -> io::Result<()> {
        let metadata = self.metadata()?;
        match metadata.len().checked_sub(bytes) {
            Some(len) if metadata.is_file() => {
                self.set_len(len)?;
                // Without O_APPEND (`tcpretrans > file`) the next write would leave a hole.
                self.seek(SeekFrom::Start(len)).map(|_| ())
            }
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Writes lines whole.
#[derive(Debug)]
pub(crate) struct WholeLines<T> {
    target: T,
    /// The output ends in a line without its newline.
    torn: bool,
}

impl<T: Target> WholeLines<T> {
    /// `torn`: what is there already ends in a line without its newline, as a crash leaves it.
    pub(crate) fn new(target: T, torn: bool) -> Self {
        WholeLines { target, torn }
    }

    /// What is written to.
    pub(crate) fn target(&self) -> &T {
        &self.target
    }

    /// Writes the lines and removes from `lines` what is out. A target that takes no more for now
    /// (`WouldBlock`) is no failure: the rest stays in `lines`, and the next call goes on there.
    ///
    /// # Errors
    /// The target's. `lines` then begins with the first line that is not out.
    pub(crate) fn write(&mut self, lines: &mut BytesMut) -> io::Result<()> {
        if self.torn && !lines.is_empty() {
            self.target.write_all(b"\n")?;
            self.torn = false;
        }
        let mut written = 0;
        while written < lines.len() {
            let error = match self.target.write(&lines[written..]) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(bytes) => {
                    written += bytes;
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => break,
                _ => {
                    self.undo_half_line(lines, written);
                    return Err(error);
                }
            }
        }
        lines.advance(written);
        Ok(())
    }

    fn undo_half_line(&mut self, lines: &mut BytesMut, written: usize) {
        let whole = lines[..written].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let half = written - whole;
        lines.advance(whole);
        if half > 0 && self.target.take_back(half as u64).is_err() {
            self.torn = true;
            // Only its newline is missing, which the next write begins with: the line is out.
            if lines.get(half) == Some(&b'\n') {
                lines.advance(half + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A disk that is full from time to time.
    #[derive(Default)]
    struct Disk {
        content: Vec<u8>,
        /// What the next writes do: bytes to take, or an error.
        fate: Vec<Option<usize>>,
        can_take_back: bool,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = match self.fate.pop() {
                None => bytes.len(),
                Some(Some(most)) => bytes.len().min(most.max(1)),
                Some(None) => return Err(io::ErrorKind::StorageFull.into()),
            };
            self.content.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Disk {
        fn take_back(&mut self, bytes: u64) -> io::Result<()> {
            if !self.can_take_back {
                return Err(io::ErrorKind::Other.into());
            }
            let len = self.content.len() - bytes as usize;
            self.content.truncate(len);
            Ok(())
        }
    }

    fn lines_of(disk: &Disk) -> Vec<&str> {
        std::str::from_utf8(&disk.content).unwrap().lines().collect()
    }

    #[test]
    fn a_half_line_is_taken_back() {
        let disk = Disk { fate: vec![None, Some(6)], can_take_back: true, ..Disk::default() };
        let mut out = WholeLines::new(disk, false);
        let mut lines = BytesMut::from("one\ntwo\nthree\n");
        assert_eq!(out.write(&mut lines).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(out.target().content, b"one\n");
        assert_eq!(lines, "two\nthree\n");
        out.write(&mut lines).unwrap();
        assert_eq!(out.target().content, b"one\ntwo\nthree\n");
        assert!(lines.is_empty());
    }

    #[test]
    fn a_half_line_that_stays_is_joined_to_nothing() {
        let disk = Disk { fate: vec![None, Some(6)], can_take_back: false, ..Disk::default() };
        let mut out = WholeLines::new(disk, false);
        let mut lines = BytesMut::from("one\ntwo\n");
        out.write(&mut lines).unwrap_err();
        out.write(&mut lines).unwrap();
        assert_eq!(out.target().content, b"one\ntw\ntwo\n");
    }

    #[test]
    fn what_a_crash_left_is_joined_to_nothing() {
        let mut out = WholeLines::new(Disk::default(), true);
        out.write(&mut BytesMut::new()).unwrap();
        assert_eq!(out.target().content, b"", "nothing to write, nothing to part");
        out.write(&mut BytesMut::from("one\n")).unwrap();
        out.write(&mut BytesMut::from("two\n")).unwrap();
        assert_eq!(out.target().content, b"\none\ntwo\n");
    }

    #[test]
    fn a_slow_reader_gets_the_rest_later() {
        struct Slow(Vec<u8>, usize);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.1 == 0 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                let taken = bytes.len().min(self.1);
                self.1 -= taken;
                self.0.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Target for Slow {
            fn take_back(&mut self, _: u64) -> io::Result<()> {
                panic!("nothing failed")
            }
        }
        let mut out = WholeLines::new(Slow(Vec::new(), 6), false);
        let mut lines = BytesMut::from("one\ntwo\n");
        out.write(&mut lines).unwrap();
        assert_eq!(lines, "o\n");
        out.target.1 = 100;
        out.write(&mut lines).unwrap();
        assert_eq!(out.target().0, b"one\ntwo\n");
    }

    proptest! {
        #[test]
        fn all_lines_come_out_once_and_whole(
            texts in prop::collection::vec("[a-z]{0,12}", 1..12),
            fate in prop::collection::vec(prop::option::of(0_usize..20), 0..20),
        ) {
            let disk = Disk { fate, can_take_back: true, ..Disk::default() };
            let mut out = WholeLines::new(disk, false);
            let all: String = texts.iter().map(|text| format!("{text}\n")).collect();
            let mut lines = BytesMut::from(all.as_str());
            while out.write(&mut lines).is_err() {
                let content = &out.target().content;
                prop_assert!(content.is_empty() || content.ends_with(b"\n"));
                prop_assert!(all.as_bytes().starts_with(content));
            }
            prop_assert_eq!(&out.target().content, all.as_bytes());
        }

        #[test]
        fn without_taking_back_each_line_is_there_whole(
            texts in prop::collection::vec("[a-z]{3,12}[0-9]", 1..12),
            fate in prop::collection::vec(prop::option::of(0_usize..20), 0..20),
        ) {
            let mut out = WholeLines::new(Disk { fate, ..Disk::default() }, false);
            let all: String = texts.iter().map(|text| format!("{text}\n")).collect();
            let mut lines = BytesMut::from(all.as_str());
            while out.write(&mut lines).is_err() {}
            // A digit ends each text: halves have none.
            let whole: Vec<&str> =
                lines_of(out.target()).into_iter().filter(|line| line.ends_with(|c: char| c.is_ascii_digit())).collect();
            prop_assert_eq!(whole, texts);
        }
    }
}
