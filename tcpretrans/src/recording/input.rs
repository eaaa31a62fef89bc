//! The files of a recording: opened, and looked into before anything is read.

use std::{
    fs::{self, File},
    io::{self, Cursor, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    lines::{Line, Lines},
    session::Identity,
};
use crate::{
    event::What,
    form::{DecodeError, Decoder, Detail},
};

/// So much of a file is looked at before it is read: the first line and some events.
const HEAD: usize = 256 * 1024;

/// Why files cannot be read as a recording.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Nothing was given.
    #[error("no file was given: name a log that `tcpretrans -o FILE` wrote, or - for standard input")]
    NoFile,
    /// It cannot be opened, or not read.
    #[error("cannot read {name}: {source}")]
    Read {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A directory.
    #[error("{0} is a directory: name the files in it")]
    Directory(String),
    /// Standard input twice.
    #[error("- is given twice, but standard input can be read only once")]
    StdinTwice,
    /// Compressed.
    #[error("{name} is compressed: {hint}")]
    Compressed {
        /// Which.
        name: String,
        /// What to do.
        hint: String,
    },
    /// Something else.
    #[error("{name} is not a recording of tcpretrans: line 1: {why}")]
    NoRecording {
        /// Which.
        name: String,
        /// What is wrong with its first line.
        why: String,
    },
    /// A schema of a newer version.
    #[error("cannot read {name}: {source}")]
    Newer {
        /// Which.
        name: String,
        /// Which schema.
        source: DecodeError,
    },
    /// There is no line in any of them.
    #[error("{0} is empty: nothing was recorded")]
    Empty(String),
}

/// What can be read.
type ByteSource = Box<dyn Read + Send>;

/// A file that is open, or will be.
pub(super) struct InputFile {
    pub name: String,
    /// Bytes, if that is known beforehand.
    pub len: Option<u64>,
    pub head: Head,
    place: Place,
}

enum Place {
    /// Opened again when its turn comes: there may be more files than descriptors.
    Path(PathBuf),
    /// A pipe: what was looked at, and the rest.
    Open(ByteSource),
}

/// What the beginning of a file shows.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub empty: bool,
    /// The session that it belongs to, or begins with.
    pub session: Option<Identity>,
    /// Wall-clock time of the first event, ns; of `start` if there is no other.
    pub first_ns: Option<i64>,
}

impl InputFile {
    /// Opens and looks into it.
    pub(super) fn open(path: &Path) -> Result<InputFile, OpenError> {
        if path == Path::new("-") {
            let name = "standard input".to_owned();
            let mut stdin = io::stdin();
            let (input, bytes) = Self::of_stream(name, &mut stdin, has_line)?;
            return Ok(input.followed_by(bytes, stdin));
        }
        let name = path.display().to_string();
        let cannot = |source| OpenError::Read { name: name.clone(), source };
        let metadata = fs::metadata(path).map_err(cannot)?;
        if metadata.is_dir() {
            return Err(OpenError::Directory(name));
        }
        let mut file = File::open(path).map_err(cannot)?;
        // A pipe may have its next line tomorrow.
        let enough = if metadata.is_file() { |_: &[u8]| false } else { has_line };
        let (input, bytes) = Self::of_stream(name, &mut file, enough)?;
        if metadata.is_file() {
            return Ok(InputFile { len: Some(metadata.len()), place: Place::Path(path.to_owned()), ..input });
        }
        Ok(input.followed_by(bytes, file))
    }

    /// What is in memory already.
    pub(super) fn of_memory(name: &str, recording: Vec<u8>) -> Result<InputFile, OpenError> {
        let head = look_into(name, &recording[..recording.len().min(HEAD)])?;
        let len = Some(recording.len() as u64);
        Ok(InputFile {
            name: name.to_owned(),
            len,
            head,
            place: Place::Open(Box::new(Cursor::new(recording))),
        })
    }

    /// Reads until there is `enough`, or a head full.
    fn of_stream(
        name: String,
        stream: &mut impl Read,
        enough: fn(&[u8]) -> bool,
    ) -> Result<(InputFile, Vec<u8>), OpenError> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 8192];
        while bytes.len() < HEAD && !enough(&bytes) {
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(len) => bytes.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(OpenError::Read { name, source }),
            }
        }
        let head = look_into(&name, &bytes)?;
        Ok((InputFile { name, len: None, head, place: Place::Open(Box::new(io::empty())) }, bytes))
    }

    fn followed_by(self, bytes: Vec<u8>, rest: impl Read + Send + 'static) -> InputFile {
        InputFile { place: Place::Open(Box::new(Cursor::new(bytes).chain(rest))), ..self }
    }

    /// Begins to read.
    pub(super) fn lines(self) -> io::Result<Lines<ByteSource>> {
        Ok(Lines::new(match self.place {
            Place::Path(path) => Box::new(File::open(path)?),
            Place::Open(source) => source,
        }))
    }
}

fn has_line(bytes: &[u8]) -> bool {
    memchr::memchr(b'\n', bytes).is_some()
}

/// Do both lead to the same file?
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    identity(one).is_some_and(|file| identity(other) == Some(file))
}

/// Which file it is, however it is called; `None` for what is no file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}

/// What compressed files begin with, and what shows them.
const COMPRESSED: [(&[u8], &str); 4] =
    [(b"\x1f\x8b", "zcat"), (b"\x28\xb5\x2f\xfd", "zstdcat"), (b"\xfd7zXZ\0", "xzcat"), (b"BZh", "bzcat")];

fn look_into(name: &str, bytes: &[u8]) -> Result<Head, OpenError> {
    if let Some((_, tool)) = COMPRESSED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        let hint = match name {
            "standard input" => format!("put `{tool} |` before it"),
            name => format!("{tool} {name} | tcpretrans replay -"),
        };
        return Err(OpenError::Compressed { name: name.to_owned(), hint });
    }
    let mut head = Head { empty: bytes.is_empty(), ..Head::default() };
    let mut decoder = Decoder::new(Detail::WithoutKernel);
    let mut lines = Lines::new(bytes);
    let mut first_error = None;
    let mut is_first = true;
    // Reading from memory cannot fail.
    while let Ok(Some(line)) = lines.next_line() {
        let unfinished = matches!(line, Line::Unfinished(_));
        let why = match line {
            Line::Whole(line) | Line::Unfinished(line) => match decoder.decode(line) {
                Ok(decoded) => {
                    let wall_ns = decoded.clock.wall_ns(decoded.event.mono_ns);
                    head.first_ns = Some(wall_ns);
                    if let What::Start(start) = &decoded.event.what {
                        head.session.get_or_insert_with(|| Identity::of(&decoded.event, start));
                        continue;
                    }
                    return Ok(head);
                }
                Err(source @ DecodeError::NewerSchema(_)) if is_first => {
                    return Err(OpenError::Newer { name: name.to_owned(), source });
                }
                // A line that is cut in two at the end of the head says nothing.
                Err(_) if unfinished && !is_first => continue,
                Err(DecodeError::UnknownEvent(_)) => continue,
                Err(error) => error.to_string(),
            },
            Line::TooLong => "it is longer than any line of a recording".to_owned(),
        };
        is_first = false;
        first_error.get_or_insert(why);
    }
    match first_error {
        Some(why) if head.first_ns.is_none() => Err(OpenError::NoRecording { name: name.to_owned(), why }),
        _ => Ok(head),
    }
}
