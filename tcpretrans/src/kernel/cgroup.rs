//! The cgroup2 hierarchy: from a path to the id and depth that the kernel compares, and from a socket's cgroup id
//! back to a path that a person knows.
//!
//! A cgroup's id is its kernfs node's id, which is also its directory's inode on 64-bit machines and its file
//! handle everywhere (`kernfs_encode_fh`). Ids are never reused.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    mem::offset_of,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// A cgroup that a user named, as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    /// Path within the hierarchy, `/` being its root.
    pub path: String,
    /// `kn->id`
    pub id: u64,
    /// `cgroup->level`: 0 is the root.
    pub level: u32,
}

/// Why a text names no cgroup.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// Nothing of type cgroup2 is mounted.
    #[error("no cgroup2 file system is mounted here: the kernel selects sockets by cgroup v2 only")]
    NotMounted,
    /// /proc/self/mountinfo or the mount point.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// No such cgroup.
    #[error("there is no cgroup '{text}' (the cgroup2 hierarchy is at {mount})")]
    NotFound {
        /// What was given.
        text: String,
        /// Where the hierarchy is mounted.
        mount: String,
    },
    /// A directory elsewhere, of cgroup v1 perhaps.
    #[error("'{text}' is not in the cgroup2 hierarchy, which is at {mount}")]
    Elsewhere {
        /// What was given.
        text: String,
        /// Where the hierarchy is mounted.
        mount: String,
    },
    /// The mount shows a part of the hierarchy.
    #[error(
        "the depth of a cgroup cannot be determined here, because {0} does not show the whole cgroup2 hierarchy: run \
         tcpretrans in the host's cgroup namespace"
    )]
    Partial(String),
}

/// The mounted hierarchy.
#[derive(Debug)]
pub struct Hierarchy {
    mount: PathBuf,
    directory: File,
}

/// The root's id in a hierarchy that is seen whole (`kernfs_create_root` allocates from 1).
const ROOT_ID: u64 = 1;

impl Hierarchy {
    /// Finds it through /proc/self/mountinfo.
    ///
    /// # Errors
    /// [`CgroupError`] if there is none, or if it cannot be opened.
    pub fn find() -> Result<Hierarchy, CgroupError> {
        const MOUNTINFO: &str = "/proc/self/mountinfo";
        let read_error = |path: &str| {
            let path = path.to_owned();
            move |source| CgroupError::Read { path, source }
        };
        let mountinfo = fs::read_to_string(MOUNTINFO).map_err(read_error(MOUNTINFO))?;
        let mount = cgroup2_mount(&mountinfo).ok_or(CgroupError::NotMounted)?;
        let directory = File::open(&mount).map_err(read_error(&mount.to_string_lossy()))?;
        Ok(Hierarchy { mount, directory })
    }

    /// The mount point.
    pub fn mount(&self) -> &Path {
        &self.mount
    }

    /// The cgroup that a user means: a directory of the mounted hierarchy (`/sys/fs/cgroup/system.slice`), or a
    /// path within it (`/system.slice`).
    ///
    /// # Errors
    /// [`CgroupError`] in one sentence.
    pub fn resolve(&self, text: &str) -> Result<Cgroup, CgroupError> {
        let mount = || self.mount.display().to_string();
        let given = Path::new(text);
        let inside = self.mount.join(text.trim_start_matches('/'));
        let not_found = || CgroupError::NotFound { text: text.to_owned(), mount: mount() };
        let directory = if !text.is_empty() && inside.is_dir() {
            inside
        } else if given.is_absolute() && given.is_dir() {
            given.to_owned()
        } else {
            return Err(not_found());
        };
        // Without symbolic links and `..`, so that it can be counted how deep it is.
        let directory = directory.canonicalize().map_err(|_| not_found())?;
        let Ok(below) = directory.strip_prefix(&self.mount) else {
            return Err(CgroupError::Elsewhere { text: text.to_owned(), mount: mount() });
        };
        let read_error = |path: &Path| {
            let path = path.display().to_string();
            move |source| CgroupError::Read { path, source }
        };
        if id_of(&self.mount).map_err(read_error(&self.mount))? != ROOT_ID {
            return Err(CgroupError::Partial(mount()));
        }
        let id = id_of(&directory).map_err(read_error(&directory))?;
        let level = below.components().count() as u32;
        Ok(Cgroup { path: format!("/{}", below.display()), id, level })
    }
}

/// `struct file_handle` with room for an id.
#[repr(C)]
struct Handle {
    bytes: u32,
    kind: i32,
    id: [u8; 8],
}

/// `FILEID_KERNFS` (exportfs.h): the handle is the node's 64-bit id.
const FILEID_KERNFS: i32 = 0xfe;

fn id_of(directory: &Path) -> io::Result<u64> {
    let path = std::ffi::CString::new(directory.as_os_str().as_bytes())?;
    let mut handle = Handle { bytes: 8, kind: 0, id: [0; 8] };
    let mut mount_id: libc::c_int = 0;
    // SAFETY: `handle` has the kernel's layout and says how much room it has; the path ends in NUL.
    let result = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            (&raw mut handle).cast::<libc::c_void>(),
            &raw mut mount_id,
            0,
        )
    };
    if result == 0 && handle.kind == FILEID_KERNFS && handle.bytes == 8 {
        return Ok(u64::from_ne_bytes(handle.id));
    }
    // The inode is the id where it has 64 bits.
    Ok(fs::metadata(directory)?.ino())
}

const _: () = assert!(offset_of!(Handle, id) == 8);

/// Paths of cgroups by id, remembered.
#[derive(Debug)]
pub struct Cgroups {
    hierarchy: Option<Hierarchy>,
    known: HashMap<u64, Option<Arc<str>>>,
    by_handle: bool,
    walked: Option<Instant>,
}

/// Some thousands of containers; the memory is bounded whatever happens.
const MOST_KNOWN: usize = 1 << 14;

/// Without CAP_DAC_READ_SEARCH the hierarchy is walked, at most this often.
const BETWEEN_WALKS: Duration = Duration::from_secs(5);

impl Cgroups {
    /// On the mounted hierarchy; without one every path is unknown.
    pub fn new() -> Cgroups {
        Cgroups { hierarchy: Hierarchy::find().ok(), known: HashMap::new(), by_handle: true, walked: None }
    }

    /// The cgroup's path within the hierarchy; `None` if it is unknown, or gone before it was asked for.
    pub fn path(&mut self, id: u64) -> Option<Arc<str>> {
        if id == 0 {
            return None;
        }
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let hierarchy = self.hierarchy.as_ref()?;
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        if self.by_handle {
            match open_by_id(hierarchy, id) {
                Ok(path) => {
                    let path = path.map(Arc::from);
                    self.known.insert(id, path.clone());
                    return path;
                }
                Err(Refused) => self.by_handle = false,
            }
        }
        if self.walked.is_none_or(|walked| walked.elapsed() >= BETWEEN_WALKS) {
            self.walked = Some(Instant::now());
            walk(&hierarchy.mount, &hierarchy.mount, &mut self.known);
        }
        self.known.get(&id).cloned().flatten()
    }
}

impl Default for Cgroups {
    fn default() -> Self {
        Self::new()
    }
}

/// This process may not open files by handle.
struct Refused;

/// `Ok(None)`: there is no such cgroup any more, and as ids are not reused, there never will be.
fn open_by_id(hierarchy: &Hierarchy, id: u64) -> Result<Option<String>, Refused> {
    let mut handle = Handle { bytes: 8, kind: FILEID_KERNFS, id: id.to_ne_bytes() };
    // SAFETY: `handle` has the kernel's layout; the descriptor is owned by `hierarchy`.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_open_by_handle_at,
            hierarchy.directory.as_raw_fd(),
            (&raw mut handle).cast::<libc::c_void>(),
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    if fd < 0 {
        let gone = io::Error::last_os_error().raw_os_error() == Some(libc::ESTALE);
        return if gone { Ok(None) } else { Err(Refused) };
    }
    // SAFETY: the system call has just returned it, and nobody else has it.
    let file = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
    let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
    Ok(path.and_then(|path| within(&hierarchy.mount, &path)))
}

fn within(mount: &Path, directory: &Path) -> Option<String> {
    let below = directory.strip_prefix(mount).ok()?;
    // The kernel says so in the link's text where the cgroup is just being removed.
    let text = below.to_str()?.trim_end_matches(" (deleted)");
    Some(format!("/{text}"))
}

fn walk(mount: &Path, directory: &Path, known: &mut HashMap<u64, Option<Arc<str>>>) {
    if let (Ok(id), Some(path)) = (id_of(directory), within(mount, directory))
        && known.len() < MOST_KNOWN
    {
        known.insert(id, Some(path.into()));
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|file_type| file_type.is_dir()) {
            walk(mount, &entry.path(), known);
        }
    }
}

/// The text of `--cgroup` as a path within a hierarchy that is not here (a recording's): without mount points.
pub(crate) fn path_in_recording(text: &str) -> String {
    let inside = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .iter()
        .find_map(|mount| text.strip_prefix(mount).filter(|rest| rest.is_empty() || rest.starts_with('/')))
        .unwrap_or(text);
    let parts: Vec<&str> = Path::new(inside)
        .components()
        .filter_map(|component| match component {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    format!("/{}", parts.join("/"))
}

/// The mount point of a cgroup2 file system, one that shows the hierarchy's root if there is such.
/// Format: proc(5), `36 35 0:38 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw`.
fn cgroup2_mount(mountinfo: &str) -> Option<PathBuf> {
    let mounts: Vec<(&str, &str)> = mountinfo
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut fields = before.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            after.starts_with("cgroup2 ").then_some((root, point))
        })
        .collect();
    let (_, point) = mounts.iter().find(|(root, _)| *root == "/").or_else(|| mounts.first())?;
    Some(PathBuf::from(unescape(point)))
}

/// Space, tab, newline and backslash are octal in mountinfo.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_hierarchy_in_mountinfo() {
        let hybrid = "24 31 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      40 31 0:37 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(hybrid), Some("/sys/fs/cgroup/unified".into()));
        let part_first = "41 31 0:38 /docker/abc /mnt/part rw - cgroup2 cgroup2 rw\n\
                          42 31 0:38 / /my\\040cgroups rw - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(part_first), Some("/my cgroups".into()));
        assert_eq!(cgroup2_mount("24 31 0:22 / /sys rw - sysfs sysfs rw\nnonsense\n"), None);
    }

    #[test]
    fn a_recording_knows_no_mount_points() {
        for (given, path) in [
            ("/system.slice/x.service", "/system.slice/x.service"),
            ("system.slice/x.service/", "/system.slice/x.service"),
            ("/sys/fs/cgroup/system.slice", "/system.slice"),
            ("/sys/fs/cgroup/unified/a", "/a"),
            ("/sys/fs/cgroup", "/"),
            ("/sys/fs/cgroups/a", "/sys/fs/cgroups/a"),
            ("/", "/"),
        ] {
            assert_eq!(path_in_recording(given), path, "{given}");
        }
    }

    /// A cgroup that is removed again.
    struct Scratch(PathBuf);

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir(&self.0);
        }
    }

    /// `None` where this process may not make cgroups.
    fn scratch(hierarchy: &Hierarchy, name: &str) -> Option<Scratch> {
        let directory = hierarchy.mount.join(format!("tcpretrans-test-{name}-{}", std::process::id()));
        fs::create_dir(&directory).ok().map(|()| Scratch(directory))
    }

    #[test]
    fn resolves_what_the_kernel_has_and_back() {
        let Ok(hierarchy) = Hierarchy::find() else { return };
        let root = hierarchy.resolve("/").expect("the root");
        assert_eq!((root.path.as_str(), root.id, root.level), ("/", ROOT_ID, 0));

        let Some(scratch) = scratch(&hierarchy, "resolve") else { return };
        let name = scratch.0.file_name().expect("named").to_str().expect("ASCII").to_owned();
        let by_path = hierarchy.resolve(&format!("/{name}")).expect("exists");
        let by_directory = hierarchy.resolve(scratch.0.to_str().expect("ASCII")).expect("exists");
        assert_eq!(by_path, by_directory);
        assert_eq!((by_path.path.clone(), by_path.level), (format!("/{name}"), 1));
        assert_eq!(by_path.id, fs::metadata(&scratch.0).expect("exists").ino());

        let mut opening = Cgroups::new();
        assert_eq!(opening.path(by_path.id).as_deref(), Some(by_path.path.as_str()));
        let mut walking = Cgroups { by_handle: false, ..Cgroups::new() };
        assert_eq!(walking.path(by_path.id).as_deref(), Some(by_path.path.as_str()));
        assert_eq!(opening.path(0), None);
        assert_eq!(opening.path(u64::MAX - 1), None);

        drop(scratch);
        assert_eq!(opening.path(by_path.id).as_deref(), Some(by_path.path.as_str()), "remembered");
        assert_eq!(Cgroups::new().path(by_path.id), None, "gone");
    }

    #[test]
    fn says_what_is_no_cgroup() {
        let Ok(hierarchy) = Hierarchy::find() else { return };
        let mount = hierarchy.mount().display().to_string();
        let message = |text: &str| hierarchy.resolve(text).expect_err(text).to_string();
        let not_found =
            |text: &str| format!("there is no cgroup '{text}' (the cgroup2 hierarchy is at {mount})");
        assert_eq!(message("/no/such.slice"), not_found("/no/such.slice"));
        assert_eq!(message(""), not_found(""));
        assert_eq!(message("/proc"), format!("'/proc' is not in the cgroup2 hierarchy, which is at {mount}"));
    }
}
