//! Archives in the format `newc`, which the kernel unpacks as its first file system
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::{Component, Path, PathBuf},
};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// An archive being written. Everything belongs to root.
pub(super) struct Archive<W> {
    out: W,
    entries: u32,
    written: BTreeSet<PathBuf>,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Archive<W> {
        Archive { out, entries: 0, written: BTreeSet::new() }
    }

    /// Adds a directory and those above it. The kernel does not make a missing one: it drops what is in it.
    pub(super) fn directory(&mut self, path: &Path) -> io::Result<()> {
        let path = relative(path);
        let above: Vec<&Path> = path.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        for directory in above.into_iter().rev() {
            if self.written.insert(directory.to_owned()) {
                self.entry(directory, DIRECTORY | 0o755, (0, 0), b"")?;
            }
        }
        Ok(())
    }

    /// Adds a file, unless that path has been added before.
    pub(super) fn file(&mut self, path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
        self.leaf(path, FILE | mode, (0, 0), content)
    }

    /// Adds a symbolic link, unless that path has been added before.
    pub(super) fn symlink(&mut self, path: &Path, to: &str) -> io::Result<()> {
        self.leaf(path, SYMLINK | 0o777, (0, 0), to.as_bytes())
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, path: &Path, major: u32, minor: u32) -> io::Result<()> {
        self.leaf(path, CHARACTER_DEVICE | 0o600, (major, minor), b"")
    }

    /// Ends the archive and gives what it was written to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry(Path::new("TRAILER!!!"), 0, (0, 0), b"")?;
        Ok(self.out)
    }

    fn leaf(&mut self, path: &Path, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        let path = relative(path);
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        if self.written.insert(path.clone()) { self.entry(&path, mode, device, content) } else { Ok(()) }
    }

    fn entry(&mut self, path: &Path, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        let name =
            path.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))?;
        let size = u32::try_from(content.len()).map_err(|_| io::Error::other("a file of 4 GiB"))?;
        self.entries += 1;
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        // inode, mode, uid, gid, links, mtime, size, device (major, minor), rdev (major, minor), name's length, check
        let fields =
            [self.entries, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name.len() as u32 + 1, 0];
        let mut header = String::from("070701");
        for field in fields {
            header += &format!("{field:08x}");
        }
        header += name;
        self.padded(&[header.as_bytes(), b"\0"].concat())?;
        self.padded(content)
    }

    /// Headers and contents begin at multiples of four.
    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.write_all(&[0; 3][..bytes.len().wrapping_neg() % 4])
    }
}

/// Without the root, for names in the archive.
fn relative(path: &Path) -> PathBuf {
    path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{MetadataExt, PermissionsExt},
        process::{Command, Stdio},
    };

    use super::*;

    fn sample() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.file(Path::new("/a/b/five"), 0o750, b"12345").unwrap();
        archive.file(Path::new("/a/b/five"), 0o600, b"only the first counts").unwrap();
        archive.symlink(Path::new("/a/link"), "b/five").unwrap();
        archive.directory(Path::new("/a/empty")).unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn everything_is_aligned_and_named_once() {
        let bytes = sample();
        assert_eq!(bytes.len() % 4, 0);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(text.matches("070701").count(), 6, "a, a/b, a/b/five, a/link, a/empty, trailer");
        assert!(text.find("a/b\0") < text.find("a/b/five\0"), "parents come first");
        assert!(!text.contains("only the first"));
    }

    /// The one other reader there is; machines without it have the kernel's only.
    #[test]
    fn cpio_unpacks_it() {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new("cpio")
            .args(["-id", "--quiet"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            eprintln!("skipped: there is no cpio here");
            return;
        };
        child.stdin.take().unwrap().write_all(&sample()).unwrap();
        assert!(child.wait().unwrap().success());
        let five = dir.path().join("a/link");
        assert_eq!(std::fs::read(&five).unwrap(), b"12345");
        let metadata = five.metadata().unwrap();
        assert_eq!((metadata.permissions().mode() & 0o777, metadata.size()), (0o750, 5));
        assert!(dir.path().join("a/empty").is_dir());
    }
}
