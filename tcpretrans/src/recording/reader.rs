//! From files to events.

use std::{collections::VecDeque, io, path::PathBuf};

use super::{
    damage::Damage,
    input::{self, InputFile, OpenError},
    lines::{Line, Lines},
    order,
    session::{Identity, Session},
};
use crate::{
    event::{Clock, Event, Start, What},
    form::{DecodeError, Decoded, Decoder, Detail, Timestamp},
};

/// Within a session the records of two CPUs may be out of order by a little; by more than this they are not.
const DISORDER_NS: u64 = 1_000_000_000;

/// An event, as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The event.
    pub event: Event,
    /// The clock by which it was written.
    pub clock: Clock,
    /// Which run of the tracer it belongs to, from 0.
    pub session: u32,
    /// Before it, lines of the same session are missing: a file that was rotated away, or damage.
    pub after_gap: bool,
}

/// A file could be opened, but reading failed on the way.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {name} after line {line}: {source}")]
pub struct ReadError {
    name: String,
    line: u64,
    source: io::Error,
}

/// The events of a recording, session by session, in order of time.
#[derive(Debug)]
pub struct Reader {
    waiting: VecDeque<InputFile>,
    file: Option<FileBeingRead>,
    decoder: Decoder,
    damage: Damage,
    session: Option<Session>,
    /// Sessions begun so far.
    sessions: u32,
    gap: bool,
    /// Skipping what a newer version wrote.
    unreadable: bool,
    /// Wall-clock time of the latest event, ns.
    latest_ns: i64,
    /// Of the session's latest event.
    latest_mono_ns: u64,
    bytes_before: u64,
    total_bytes: Option<u64>,
}

impl std::fmt::Debug for InputFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InputFile({})", self.name)
    }
}

#[derive(Debug)]
struct FileBeingRead {
    name: String,
    lines: Lines<Box<dyn io::Read + Send>>,
    number: u64,
    /// Nothing of it has been handed out yet.
    fresh: bool,
}

impl Reader {
    /// Opens all files and looks into them; `-` is standard input.
    ///
    /// # Errors
    /// [`OpenError`] for the first that is no recording.
    pub fn open(files: &[PathBuf], detail: Detail) -> Result<Reader, OpenError> {
        let mut damage = Damage::default();
        let mut inputs: Vec<InputFile> = Vec::with_capacity(files.len());
        for (at, path) in files.iter().enumerate() {
            let same = |other: &PathBuf| {
                input::is_same_file(path, other) || path.as_os_str() == "-" && other == path
            };
            match files[..at].iter().any(same) {
                false => inputs.push(InputFile::open(path)?),
                true if path.as_os_str() == "-" => return Err(OpenError::StdinTwice),
                true => damage.note(format!("{} is given twice and read once", path.display())),
            }
        }
        Self::of_inputs(inputs, detail, damage)
    }

    /// Reads what is in memory; `name` stands for the file's.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn of_memory(name: &str, recording: Vec<u8>, detail: Detail) -> Result<Reader, OpenError> {
        Self::of_inputs(vec![InputFile::of_memory(name, recording)?], detail, Damage::default())
    }

    fn of_inputs(inputs: Vec<InputFile>, detail: Detail, mut damage: Damage) -> Result<Reader, OpenError> {
        let Some(first) = inputs.first() else { return Err(OpenError::NoFile) };
        if inputs.iter().all(|input| input.head.empty) {
            return Err(OpenError::Empty(first.name.clone()));
        }
        for input in inputs.iter().filter(|input| input.head.empty) {
            damage.note(format!("{} is empty", input.name));
        }
        let total_bytes = inputs.iter().map(|input| input.len).sum();
        Ok(Reader {
            waiting: order::by_time(inputs).into(),
            file: None,
            decoder: Decoder::new(detail),
            damage,
            session: None,
            sessions: 0,
            gap: false,
            unreadable: false,
            latest_ns: i64::MIN,
            latest_mono_ns: 0,
            bytes_before: 0,
            total_bytes,
        })
    }

    /// What is wrong with the recording, as far as it has been read.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Bytes in all files; `None` if one of them is a pipe.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_before + self.file.as_ref().map_or(0, |file| file.lines.bytes())
    }

    /// Does the next event wait for the files, perhaps for long (a pipe)?
    pub fn must_read(&self) -> bool {
        self.file.as_ref().is_none_or(|file| !file.lines.has_line())
    }

    fn advance(&mut self) -> Result<Option<Recorded>, ReadError> {
        loop {
            if self.file.is_none() && !self.next_file()? {
                self.session_is_over();
                return Ok(None);
            }
            let Some(file) = &mut self.file else { continue };
            let error = |source| ReadError { name: file.name.clone(), line: file.number, source };
            let line = match file.lines.next_line() {
                Ok(line) => line,
                Err(source) => return Err(error(source)),
            };
            let Some(line) = line else {
                self.bytes_before += file.lines.bytes();
                self.file = None;
                continue;
            };
            file.number += 1;
            let decoded = match line {
                // A tracer that goes on after a crash begins a new line; an empty one is none.
                Line::Whole([] | [b'\r']) => continue,
                Line::Whole(line) => self.decoder.decode(line).map_err(|error| error_in(error, false)),
                Line::Unfinished(line) => self.decoder.decode(line).map_err(|error| error_in(error, true)),
                Line::TooLong => Err(Wrong::Damaged("longer than any line of a recording".to_owned())),
            };
            match decoded {
                Ok(decoded) => {
                    if let Some(recorded) = self.take(decoded) {
                        return Ok(Some(recorded));
                    }
                }
                Err(Wrong::UnknownEvent) => self.damage.unknown_event(),
                Err(Wrong::NewerSchema(why)) => {
                    self.damage.line(&file.name, file.number, why);
                    self.unreadable = true;
                }
                Err(Wrong::Damaged(why)) => {
                    self.damage.line(&file.name, file.number, why);
                    self.gap = true;
                }
            }
        }
    }

    fn next_file(&mut self) -> Result<bool, ReadError> {
        let Some(input) = self.waiting.pop_front() else { return Ok(false) };
        let name = input.name.clone();
        let lines = input.lines().map_err(|source| ReadError { name: name.clone(), line: 0, source })?;
        self.file = Some(FileBeingRead { name, lines, number: 0, fresh: true });
        Ok(true)
    }

    /// Finds out where an event belongs; `None` if it is nothing for the caller.
    fn take(&mut self, Decoded { event, clock }: Decoded) -> Option<Recorded> {
        if let What::Start(start) = &event.what {
            self.unreadable = false;
            if self.goes_on(&event, start) {
                return None;
            }
            self.session_is_over();
            self.begin(&event, start, clock);
        }
        if self.unreadable {
            return None;
        }
        self.check_time(&event, clock);
        if let (What::End(_), Some(session)) = (&event.what, &mut self.session) {
            session.ended = true;
        }
        let session = self.sessions.saturating_sub(1);
        Some(Recorded { event, clock, session, after_gap: std::mem::take(&mut self.gap) })
    }

    /// Is it the `start` of a further file of this session?
    fn goes_on(&mut self, event: &Event, start: &Start) -> bool {
        let Some(session) = &mut self.session else { return false };
        if session.identity != Identity::of(event, start) {
            return false;
        }
        if let (Some(before), Some(now)) = (session.part, start.part)
            && now > before + 1
        {
            self.damage.note(format!(
                "files between {before} and {now} of the recording that began at {} are missing",
                Timestamp { wall_ns: session.began_ns }
            ));
            self.gap = true;
        }
        session.part = start.part;
        true
    }

    fn begin(&mut self, event: &Event, start: &Start, clock: Clock) {
        let began_ns = clock.wall_ns(event.mono_ns);
        self.sessions += 1;
        self.gap = false;
        if let Some(part @ 2..) = start.part {
            self.damage.note(format!(
                "of the recording that began at {} the first {} missing: of connections that were retransmitting \
                 then it has only the rest",
                Timestamp { wall_ns: began_ns },
                if part == 2 { "file is".to_owned() } else { format!("{} files are", part - 1) },
            ));
            self.gap = true;
        }
        self.latest_mono_ns = 0;
        self.session =
            Some(Session { identity: Identity::of(event, start), began_ns, part: start.part, ended: false });
    }

    fn check_time(&mut self, event: &Event, clock: Clock) {
        let wall_ns = clock.wall_ns(event.mono_ns);
        let Some(file) = &mut self.file else { return };
        let is_start = matches!(event.what, What::Start(_));
        if std::mem::take(&mut file.fresh) && wall_ns < self.latest_ns {
            self.damage.note(format!(
                "{} begins before the end of what was read before it: recordings that overlap in time are shown one \
                 after the other",
                file.name
            ));
        } else if !is_start && event.mono_ns.saturating_add(DISORDER_NS) < self.latest_mono_ns {
            self.damage.note(format!(
                "{}:{} goes back in time within one recording: does the file hold parts of it twice?",
                file.name, file.number
            ));
            // Once for each leap: what follows goes on from there.
            self.latest_mono_ns = event.mono_ns;
        }
        self.latest_ns = self.latest_ns.max(wall_ns);
        if !is_start {
            self.latest_mono_ns = self.latest_mono_ns.max(event.mono_ns);
        }
    }

    fn session_is_over(&mut self) {
        if let Some(session) = self.session.take().filter(|session| !session.ended) {
            self.damage.note(format!(
                "the recording that began at {} has no end: the tracer was killed, is still running, or the file is \
                 cut",
                Timestamp { wall_ns: session.began_ns }
            ));
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Recorded, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

enum Wrong {
    UnknownEvent,
    NewerSchema(String),
    Damaged(String),
}

fn error_in(error: DecodeError, unfinished: bool) -> Wrong {
    match error {
        DecodeError::UnknownEvent(_) if !unfinished => Wrong::UnknownEvent,
        DecodeError::NewerSchema(_) => Wrong::NewerSchema(error.to_string()),
        _ if unfinished => Wrong::Damaged("the file ends within this line".to_owned()),
        _ => Wrong::Damaged(error.to_string()),
    }
}
