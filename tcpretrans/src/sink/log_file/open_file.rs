//! The file behind a log, while it is open.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
};

use bytes::BytesMut;

use crate::sink::whole_lines::WholeLines;

/// An open log file.
#[derive(Debug)]
pub(super) struct OpenFile {
    out: WholeLines<File>,
    /// Device and inode.
    identity: (u64, u64),
    is_regular: bool,
    len: u64,
    /// Is there more in it than a `start` line?
    has_events: bool,
    was_cut: bool,
}

impl OpenFile {
    /// Opens for appending; makes the file if need be.
    ///
    /// # Errors
    /// From opening; also if another process logs to it.
    pub(super) fn append(path: &Path) -> io::Result<OpenFile> {
        let file = open(path)?;
        let metadata = file.metadata()?;
        let is_regular = metadata.is_file();
        if is_regular {
            // Two writers would rotate and truncate each other's lines away. File systems without locks go without.
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                return Err(io::Error::other("another process is logging to it"));
            }
        }
        Ok(OpenFile {
            identity: (metadata.dev(), metadata.ino()),
            is_regular,
            len: metadata.len(),
            has_events: metadata.len() > 0,
            was_cut: false,
            out: WholeLines::new(file, is_regular && ends_torn(path, metadata.len())),
        })
    }

    /// Is it a file and no device or pipe?
    pub(super) fn is_regular(&self) -> bool {
        self.is_regular
    }

    /// Its length.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Is there more in it than a `start` line?
    pub(super) fn has_events(&self) -> bool {
        self.has_events
    }

    /// Is it still what the path leads to? Notes its length on the way.
    pub(super) fn is_still_at(&mut self, path: &Path) -> bool {
        if !self.is_regular {
            return true;
        }
        match fs::metadata(path) {
            Ok(metadata) => {
                self.was_cut = metadata.len() < self.len;
                self.len = metadata.len();
                (metadata.dev(), metadata.ino()) == self.identity
            }
            Err(_) => false,
        }
    }

    /// Has it no name left, so that nobody can ever read it again? Where it cannot be asked: no.
    pub(super) fn was_deleted(&self) -> bool {
        self.is_regular && self.out.target().metadata().is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Has somebody cut it since it was last looked at (logrotate's copytruncate)?
    pub(super) fn was_cut(&mut self) -> bool {
        if self.was_cut {
            self.has_events = self.len > 0;
        }
        std::mem::take(&mut self.was_cut)
    }

    /// Writes a `start` line.
    ///
    /// # Errors
    /// See [`WholeLines::write`].
    pub(super) fn write_head(&mut self, line: &mut BytesMut) -> io::Result<()> {
        self.write(line)
    }

    /// Writes events' lines.
    ///
    /// # Errors
    /// See [`WholeLines::write`].
    pub(super) fn write_events(&mut self, lines: &mut BytesMut) -> io::Result<()> {
        let before = lines.len();
        let result = self.write(lines);
        self.has_events |= lines.len() < before;
        result
    }

    fn write(&mut self, lines: &mut BytesMut) -> io::Result<()> {
        let before = lines.len();
        let result = self.out.write(lines);
        self.len += (before - lines.len()) as u64;
        result
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Does the file end in a line without its newline? A crash, or a power cut, leaves such a line.
fn ends_torn(path: &Path, len: u64) -> bool {
    let Some(last) = len.checked_sub(1) else { return false };
    let mut byte = [0];
    // A file that may be written but not read keeps its secret; a line too many does less harm than a joined one.
    match File::open(path).and_then(|file| file.read_exact_at(&mut byte, last)) {
        Ok(()) => byte != *b"\n",
        Err(_) => true,
    }
}
