//! Standard output, be it a terminal, a pipe or a file.

use std::{
    fs::File,
    io::{self, IsTerminal},
    os::fd::AsFd,
    time::Instant,
};

use bytes::BytesMut;

use super::{
    SinkError,
    outage::Outage,
    whole_lines::{Target, WholeLines},
};

/// Lines beyond this are written without waiting for the flush.
const ENOUGH: usize = 64 * 1024;

/// Lines beyond this are lost while the output cannot be written.
const TOO_MUCH: usize = 1024 * 1024;

/// A buffered output of whole lines.
#[derive(Debug)]
pub struct Stream<T> {
    out: WholeLines<T>,
    waiting: BytesMut,
    outage: Outage,
    lost: u64,
}

impl Stream<File> {
    /// Standard output, and whether it is a terminal.
    ///
    /// # Errors
    /// If it is closed.
    pub fn stdout() -> io::Result<(Self, bool)> {
        let stdout = io::stdout();
        let file = File::from(stdout.as_fd().try_clone_to_owned()?);
        Ok((Stream::new(file), stdout.is_terminal()))
    }
}

impl<T: Target> Stream<T> {
    /// Writes to `target`.
    pub fn new(target: T) -> Self {
        Stream {
            out: WholeLines::new(target, false),
            waiting: BytesMut::new(),
            outage: Outage::none(),
            lost: 0,
        }
    }

    /// Takes an event's line, newline included.
    ///
    /// # Errors
    /// As [`crate::sink::Sink::flush`].
    pub fn push(&mut self, line: &[u8]) -> Result<(), SinkError> {
        self.push_or(line, 1)
    }

    /// Takes a line whose loss is none: a header, or the news of a loss, which would else be lost itself and
    /// make more news.
    ///
    /// # Errors
    /// As [`crate::sink::Sink::flush`].
    pub fn push_aside(&mut self, line: &[u8]) -> Result<(), SinkError> {
        self.push_or(line, 0)
    }

    fn push_or(&mut self, line: &[u8], loss: u64) -> Result<(), SinkError> {
        if self.waiting.len() + line.len() > TOO_MUCH {
            self.lost += loss;
            return Ok(());
        }
        self.waiting.extend_from_slice(line);
        if self.waiting.len() >= ENOUGH { self.flush() } else { Ok(()) }
    }

    /// See [`crate::sink::Sink::flush`].
    ///
    /// # Errors
    /// As there.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        let now = Instant::now();
        if self.waiting.is_empty() || !self.outage.may_try(now) {
            return Ok(());
        }
        self.try_write(now)
    }

    /// See [`crate::sink::Sink::finish`].
    ///
    /// # Errors
    /// As there.
    pub fn finish(&mut self) -> Result<(), SinkError> {
        let result = self.try_write(Instant::now());
        self.lost += count_lines(&self.waiting);
        self.waiting.clear();
        result
    }

    /// See [`crate::sink::Sink::take_lost`].
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    fn try_write(&mut self, now: Instant) -> Result<(), SinkError> {
        match self.out.write(&mut self.waiting) {
            Ok(()) => {
                self.outage.over();
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(SinkError::Closed),
            Err(source) if self.outage.failed(now) => Err(SinkError::Outage {
                doing: "write to",
                place: "standard output".to_owned(),
                source,
                hint: "tracing continues, and writing is tried again",
            }),
            Err(_) => Ok(()),
        }
    }
}

/// How many events a buffer holds.
pub(crate) fn count_lines(lines: &[u8]) -> u64 {
    lines.iter().filter(|&&byte| byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::fd::OwnedFd,
        time::Duration,
    };

    use super::*;

    /// Takes all, or fails with this errno.
    #[derive(Default)]
    struct Fickle {
        content: Vec<u8>,
        errno: Option<i32>,
    }

    impl Write for Fickle {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.errno {
                Some(errno) => Err(io::Error::from_raw_os_error(errno)),
                None => self.content.write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Target for Fickle {
        fn take_back(&mut self, _: u64) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_outage() {
        let (reader, writer) = io::pipe().unwrap();
        let mut stream = Stream::new(File::from(OwnedFd::from(writer)));
        stream.push(b"one\n").unwrap();
        stream.flush().unwrap();
        drop(reader);
        stream.push(b"two\n").unwrap();
        assert!(matches!(stream.flush(), Err(SinkError::Closed)));
    }

    #[test]
    fn nothing_is_written_before_the_flush_unless_it_is_much() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut stream = Stream::new(File::from(OwnedFd::from(writer)));
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        let read = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        for _ in 0..100 {
            stream.push(&line).unwrap();
        }
        assert!(stream.waiting.len() < ENOUGH);
        stream.finish().unwrap();
        drop(stream);
        assert_eq!(read.join().unwrap().unwrap(), line.repeat(100));
    }

    #[test]
    fn an_outage_is_reported_once_and_loses_only_what_does_not_fit() {
        let mut stream = Stream::new(Fickle { errno: Some(libc::EIO), ..Fickle::default() });
        stream.outage = Outage::with_first_wait(Duration::ZERO);
        stream.push(b"one\n").unwrap();
        let report = stream.flush().unwrap_err().to_string();
        assert!(report.starts_with("cannot write to standard output: Input/output error"), "{report}");
        stream.flush().unwrap();
        let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
        for _ in 0..1100 {
            stream.push(&line).unwrap();
        }
        let lost = stream.take_lost();
        assert!((76..80).contains(&lost), "{lost}");
        stream.push_aside(&line).unwrap();
        assert_eq!(stream.take_lost(), 0, "reported, and a header is no event");
        stream.out = WholeLines::new(Fickle::default(), false);
        stream.flush().unwrap();
        assert_eq!(count_lines(&stream.out.target().content) + lost, 1101);
    }

    #[test]
    fn what_cannot_be_written_at_the_end_is_lost() {
        let mut stream = Stream::new(Fickle { errno: Some(libc::ENOSPC), ..Fickle::default() });
        stream.push(b"one\n").unwrap();
        stream.push(b"two\n").unwrap();
        assert!(stream.finish().is_err());
        assert_eq!(stream.take_lost(), 2);
    }
}
