//! `-o FILE`: a recording that survives full disks, rotation, logrotate and crashes.

mod args;
mod open_file;

use std::{
    io, mem,
    path::{Path, PathBuf},
    time::Instant,
};

pub(crate) use args::LogArgs;
#[cfg(test)]
pub(crate) use args::LogConfig;
use bytes::BytesMut;
use open_file::OpenFile;

use super::{Rotation, Sink, SinkError, outage::Outage, reports_lost_output, rotation, stream::count_lines};
use crate::{
    event::{Clock, Event, Lost, LostWhere, What},
    form::encode,
};

/// Lines beyond this are written without waiting for the flush.
const ENOUGH: usize = 256 * 1024;

/// Lines beyond this are lost while the file cannot be written: some thousand.
const TOO_MUCH: usize = 4 * 1024 * 1024;

/// A file of JSON Lines. Every file begins with the `start` event that was written first, rotated ones too;
/// that of an appended run stands where the run begins.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    rotation: Option<Rotation>,
    /// `None`: to be opened before the next write.
    file: Option<OpenFile>,
    start: Option<Event>,
    /// How many files of this trace have begun.
    parts: u32,
    /// The `start` line that the file lacks.
    head: BytesMut,
    waiting: BytesMut,
    line: Vec<u8>,
    outage: Outage,
    rotation_outage: Outage,
    /// The file was deleted, which is not reported yet.
    was_deleted: bool,
    /// Events lost since it was last asked.
    lost: u64,
    /// Events lost that the file does not report yet.
    unreported: u64,
    /// Of the last event.
    mono_ns: u64,
    clock: Clock,
}

impl LogFile {
    /// Opens the file for appending; makes it if need be.
    ///
    /// # Errors
    /// [`SinkError::Outage`] if that is impossible.
    pub(crate) fn open(path: &Path, rotation: Option<Rotation>) -> Result<LogFile, SinkError> {
        let file = OpenFile::append(path).map_err(|source| SinkError::Outage {
            doing: "open",
            place: path.display().to_string(),
            source,
            hint: "is there such a directory, and may you write there?",
        })?;
        Ok(LogFile {
            path: path.to_owned(),
            rotation,
            file: Some(file),
            start: None,
            parts: 0,
            head: BytesMut::new(),
            waiting: BytesMut::new(),
            line: Vec::new(),
            outage: Outage::none(),
            rotation_outage: Outage::none(),
            was_deleted: false,
            lost: 0,
            unreported: 0,
            mono_ns: 0,
            clock: Clock::default(),
        })
    }

    fn encode(&mut self, event: &Event) {
        self.line.clear();
        encode(event, &self.clock, &mut self.line);
    }

    /// A new file, or a new run in an old one: it begins with `start`.
    fn begin(&mut self) -> Result<(), SinkError> {
        let Some(mut start) = self.start.take() else { return Ok(()) };
        if let What::Start(start) = &mut start.what {
            // The wall clock may have been set meanwhile.
            start.clock_ns = self.clock.wall_minus_mono_ns;
            self.parts += 1;
            start.part = Some(self.parts);
        }
        self.encode(&start);
        self.start = Some(start);
        self.head = BytesMut::from(self.line.as_slice());
        Ok(())
    }

    fn try_flush(&mut self) -> Result<(), SinkError> {
        let now = Instant::now();
        let written = self.write_all(now);
        match written {
            Ok(rotated) => {
                self.outage.over();
                rotated.and(self.report_deletion())
            }
            Err(SinkError::Outage { .. }) if !self.outage.failed(now) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The outer error: not written. The inner one: written, but not rotated.
    fn write_all(&mut self, now: Instant) -> Result<Result<(), SinkError>, SinkError> {
        self.check_file()?;
        let mut rotated = Ok(());
        let mut may_rotate = self.rotation_outage.may_try(now);
        while !(self.head.is_empty() && self.waiting.is_empty()) {
            let room = self.room().filter(|_| may_rotate);
            let Some(file) = &mut self.file else { break };
            let needed = (self.head.len() + first_line(&self.waiting)) as u64;
            if room.is_some_and(|room| needed > room) && file.has_events() {
                rotated = self.rotate(now)?;
                may_rotate = rotated.is_ok();
                continue;
            }
            let len = match room {
                Some(room) => whole_lines_within(&self.waiting, room.saturating_sub(self.head.len() as u64)),
                None => self.waiting.len(),
            };
            let mut chunk = self.waiting.split_to(len);
            let result = file.write_head(&mut self.head).and_then(|()| file.write_events(&mut chunk));
            // What is not out goes back to where it was.
            let full = !chunk.is_empty();
            chunk.unsplit(mem::take(&mut self.waiting));
            self.waiting = chunk;
            result.map_err(|source| self.trouble("write to", source))?;
            if full {
                break;
            }
            self.report_losses()?;
        }
        Ok(rotated)
    }

    /// Bytes that the file may still take; `None`: as many as there are.
    fn room(&self) -> Option<u64> {
        let file = self.file.as_ref().filter(|file| file.is_regular())?;
        Some(self.rotation?.max_bytes.saturating_sub(file.len()))
    }

    /// The file may have been moved, removed or cut by others (logrotate), or never been opened.
    fn check_file(&mut self) -> Result<(), SinkError> {
        if let Some(file) = &mut self.file {
            if file.is_still_at(&self.path) {
                if file.was_cut() {
                    self.begin()?;
                }
                return Ok(());
            }
            let deleted = file.was_deleted();
            self.file = None;
            self.open_again()?;
            // Where it cannot be opened again, that is the report.
            self.was_deleted = deleted;
            return Ok(());
        }
        self.open_again()
    }

    /// A file that was moved is where somebody put it (logrotate). One that was deleted took its events with it.
    fn report_deletion(&mut self) -> Result<(), SinkError> {
        if !mem::take(&mut self.was_deleted) {
            return Ok(());
        }
        Err(SinkError::Outage {
            doing: "keep writing to",
            place: self.path.display().to_string(),
            source: io::Error::other("it was deleted"),
            hint: "its events are lost, and a new file was created",
        })
    }

    fn open_again(&mut self) -> Result<(), SinkError> {
        self.file = Some(OpenFile::append(&self.path).map_err(|source| self.trouble("open", source))?);
        self.begin()
    }

    /// The inner error: cannot be rotated, so the file grows on.
    fn rotate(&mut self, now: Instant) -> Result<Result<(), SinkError>, SinkError> {
        let keep = self.rotation.map_or(0, |rotation| rotation.keep);
        if let Err(source) = rotation::shift(&self.path, keep) {
            let report = SinkError::Outage {
                doing: "rotate",
                place: self.path.display().to_string(),
                source,
                hint: "writing continues in this file, and rotation is tried again",
            };
            self.rotation_outage.failed(now);
            return Ok(Err(report));
        }
        self.rotation_outage.over();
        self.file = None;
        self.open_again().map(Ok)
    }

    /// After an outage, the file itself says what it lacks.
    fn report_losses(&mut self) -> Result<(), SinkError> {
        if self.unreported == 0 {
            return Ok(());
        }
        let lost = Lost::counted(mem::take(&mut self.unreported), LostWhere::Output);
        self.encode(&Event { mono_ns: self.mono_ns, flow: None, what: What::Lost(lost) });
        self.waiting.extend_from_slice(&self.line);
        Ok(())
    }

    fn trouble(&self, doing: &'static str, source: io::Error) -> SinkError {
        let hint = match source.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => {
                "tracing continues; free some space, and the log continues, too"
            }
            _ => "tracing continues, and writing is tried again",
        };
        SinkError::Outage { doing, place: self.path.display().to_string(), source, hint }
    }

    fn lose(&mut self, events: u64) {
        self.lost += events;
        self.unreported += events;
    }
}

/// Length of the first line, newline included.
fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |at| at + 1)
}

/// Length of the lines at the beginning that fit into `room`: at least one.
fn whole_lines_within(lines: &[u8], room: u64) -> usize {
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(lines.len());
    match lines[..room].iter().rposition(|&byte| byte == b'\n') {
        Some(at) => at + 1,
        None => first_line(lines),
    }
}

impl Sink for LogFile {
    fn write(&mut self, event: &Event, clock: &Clock) -> Result<(), SinkError> {
        self.clock = *clock;
        self.mono_ns = event.mono_ns;
        if matches!(event.what, What::Start(_)) {
            self.start = Some(event.clone());
            self.parts = 0;
            return self.begin();
        }
        // The file reports its own losses, once it can be written again. Were it to take this event,
        // then each event lost would make another one to lose.
        if reports_lost_output(event) {
            return Ok(());
        }
        self.encode(event);
        if self.waiting.len() + self.line.len() > TOO_MUCH {
            self.lose(1);
            return Ok(());
        }
        self.waiting.extend_from_slice(&self.line);
        if self.waiting.len() >= ENOUGH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if self.head.is_empty() && self.waiting.is_empty() || !self.outage.may_try(Instant::now()) {
            return Ok(());
        }
        self.try_flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let result = self.try_flush();
        self.lose(count_lines(&self.waiting));
        self.waiting.clear();
        result
    }

    fn take_lost(&mut self) -> u64 {
        mem::take(&mut self.lost)
    }
}

#[cfg(test)]
mod tests;
