//! Network namespaces: which one a user means, which there are, and work done inside one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use nix::sched::{CloneFlags, setns};

/// From here on a number is a namespace's inode and no PID: the first of the inodes reserved for the initial
/// namespaces (`MNT_NS_INIT_INO` in uapi/linux/nsfs.h); those of other namespaces begin at 0xF0000000
/// (`PROC_DYNAMIC_FIRST`), and PIDs end at 2^22 (`PID_MAX_LIMIT`).
pub(crate) const FIRST_INODE: u32 = 0xEFFF_FFF8;

/// Where `ip netns add` puts its names.
const NAMED: &str = "/run/netns";

const NSFS_MAGIC: libc::c_long = 0x6e73_6673;
/// `_IO(NSIO, 3)` of uapi/linux/nsfs.h.
const NS_GET_NSTYPE: u32 = 0xb703;

/// Why a text names no network namespace.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetnsError {
    /// A number too small for a namespace, and no process has it.
    #[error(
        "no process has PID {0}; a namespace's own number is {FIRST_INODE} or more (see readlink /proc/PID/ns/net)"
    )]
    NoProcess(u32),
    /// More than 32 bits.
    #[error("{0} is neither a PID nor a namespace number")]
    TooLarge(String),
    /// No such name.
    #[error("there is no network namespace named '{0}' ({NAMED}/{0} does not exist; see ip netns list)")]
    NoName(String),
    /// The file cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file, but no network namespace.
    #[error("{0} is not a network namespace")]
    NotANamespace(String),
}

/// Inode number of the namespace that a user names: a namespace's number, a PID, a name of `ip netns`, or a path.
///
/// # Errors
/// [`NetnsError`] in one sentence.
pub(crate) fn resolve(text: &str) -> Result<u32, NetnsError> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Whatever has more than 32 bits is neither.
        let number: u32 = text.parse().map_err(|_| NetnsError::TooLarge(text.to_owned()))?;
        if number >= FIRST_INODE {
            return Ok(number);
        }
        return match inode_of(Path::new(&format!("/proc/{number}/ns/net"))) {
            Err(NetnsError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(NetnsError::NoProcess(number))
            }
            other => other,
        };
    }
    if text.contains('/') {
        return inode_of(Path::new(text));
    }
    match inode_of(&Path::new(NAMED).join(text)) {
        Err(NetnsError::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(NetnsError::NoName(text.to_owned()))
        }
        other => other,
    }
}

/// Inode number of this process's network namespace.
///
/// # Errors
/// [`NetnsError::Open`] without /proc.
pub(crate) fn current() -> Result<u32, NetnsError> {
    inode_of(Path::new("/proc/self/ns/net"))
}

fn inode_of(path: &Path) -> Result<u32, NetnsError> {
    open(path).map(|(_, inode)| inode)
}

fn open(path: &Path) -> Result<(File, u32), NetnsError> {
    let shown = || path.display().to_string();
    let open_error = |source| NetnsError::Open { path: shown(), source };
    // Not to hang on a FIFO that somebody takes for a namespace.
    let file =
        fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(open_error)?;
    let filesystem = nix::sys::statfs::fstatfs(&file).map_err(|errno| open_error(errno.into()))?;
    // SAFETY: the request takes no argument and writes nothing; on other files than nsfs it is not made.
    let is_netns = filesystem.filesystem_type().0 as libc::c_long == NSFS_MAGIC
        && unsafe { libc::ioctl(file.as_raw_fd(), NS_GET_NSTYPE as _) } == libc::CLONE_NEWNET;
    let inode = file.metadata().map_err(open_error)?.ino();
    match u32::try_from(inode) {
        Ok(inode) if is_netns => Ok((file, inode)),
        _ => Err(NetnsError::NotANamespace(shown())),
    }
}

/// A namespace that can be entered.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// Its inode number.
    pub inum: u32,
    /// How people know it: `this one`, a name of `ip netns`, or a process in it.
    pub label: String,
    file: File,
}

/// The namespaces that this process can see, its own first, then the named ones, then those of running
/// processes; at most `limit`. The second value says how many more there were.
///
/// # Errors
/// [`NetnsError`] if its own cannot be opened; those of others that cannot be opened are left out.
pub(crate) fn visible(limit: usize) -> Result<(Vec<Namespace>, usize), NetnsError> {
    let (own, own_inum) = open(Path::new("/proc/self/ns/net"))?;
    let mut found = vec![Namespace { inum: own_inum, label: "this one".to_owned(), file: own }];
    let mut others = BTreeMap::new();
    let mut add = |path: &Path, label: &dyn Fn() -> String, first_of_kind: usize| {
        if let Ok((file, inum)) = open(path)
            && inum != own_inum
        {
            others.entry(inum).or_insert_with(|| (first_of_kind, Namespace { inum, label: label(), file }));
        }
    };
    for entry in entries(Path::new(NAMED)) {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        add(&entry, &|| format!("ip netns {name}"), 0);
    }
    for process in entries(Path::new("/proc")) {
        let Some(pid) = process.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else {
            continue;
        };
        let comm = || fs::read_to_string(process.join("comm")).unwrap_or_default();
        add(&process.join("ns/net"), &|| format!("{}[{pid}]", comm().trim()), 1);
    }
    let mut others: Vec<(usize, Namespace)> = others.into_values().collect();
    others.sort_by(|(rank, a), (other_rank, b)| (rank, &a.label).cmp(&(other_rank, &b.label)));
    let room = limit.saturating_sub(found.len());
    let skipped = others.len().saturating_sub(room);
    found.extend(others.into_iter().take(room).map(|(_, namespace)| namespace));
    Ok((found, skipped))
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

impl Namespace {
    /// Runs `work` inside the namespace, on a thread of its own that ends with it: the caller's threads stay
    /// where they are. The caller's own namespace needs no privileges.
    ///
    /// # Errors
    /// What `setns` said (it needs CAP_SYS_ADMIN), or that `work` panicked.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        if current().is_ok_and(|inum| inum == self.inum) {
            return Ok(work());
        }
        let inside = || -> io::Result<T> {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        };
        std::thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|_| Err(io::Error::other("the work inside the namespace failed")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_number_is_a_process_and_a_large_one_an_inode() {
        let own = current().expect("/proc");
        assert_eq!(resolve(&std::process::id().to_string()).expect("own process"), own);
        assert_eq!(resolve(&own.to_string()).expect("an inode"), own);
        assert_eq!(resolve("4026531840").expect("no inode is looked up"), 4_026_531_840);
        assert_eq!(resolve(&FIRST_INODE.to_string()).expect("the first"), 0xEFFF_FFF8);
    }

    #[test]
    fn a_path_must_be_a_network_namespace() {
        assert_eq!(resolve("/proc/self/ns/net").expect("own"), current().expect("/proc"));
        let message = |text: &str| resolve(text).expect_err(text).to_string();
        assert_eq!(message("/proc/self/ns/mnt"), "/proc/self/ns/mnt is not a network namespace");
        assert_eq!(message("/proc/self/status"), "/proc/self/status is not a network namespace");
        assert_eq!(
            message("/nonexistent/ns"),
            "cannot open /nonexistent/ns: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn says_what_is_not_there() {
        let message = |text: &str| resolve(text).expect_err(text).to_string();
        // One more than PID_MAX_LIMIT: no process can have it.
        assert!(message("4194305").starts_with("no process has PID 4194305; a namespace's own number is "));
        assert_eq!(message("4294967296"), "4294967296 is neither a PID nor a namespace number");
        assert_eq!(
            message("99999999999999999999999"),
            "99999999999999999999999 is neither a PID nor a namespace number"
        );
        assert_eq!(
            message("no-such-name"),
            "there is no network namespace named 'no-such-name' (/run/netns/no-such-name does not exist; see ip \
             netns list)"
        );
    }

    #[test]
    fn its_own_namespace_comes_first_and_needs_no_rights() {
        let (found, _) = visible(1).expect("/proc");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].label, "this one");
        assert_eq!(found[0].run(|| 7).expect("no setns"), 7);
    }
}
