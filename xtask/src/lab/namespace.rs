//! One network namespace, named under `/run/netns` so that `ip netns exec` finds it.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    panic,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result};
use nix::{
    fcntl::{Flock, FlockArg},
    sched::{CloneFlags, setns},
};

use super::{counters::Counters, shell};

const DIRECTORY: &str = "/run/netns";
const PREFIX: &str = "tcpretrans-";

/// A network namespace; deleted on drop.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Makes one. Its name is `tcpretrans-PID-SUFFIX`.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn create(suffix: &str) -> Result<Namespace> {
        let name = format!("{PREFIX}{}-{suffix}", std::process::id());
        {
            // The first `ip netns add` of a machine sets the directory's mount up, and two at once collide there.
            let _alone = lock()?;
            shell::ip(&["netns", "add", &name])?;
        }
        let path = Path::new(DIRECTORY).join(&name);
        let file = File::open(&path).with_context(|| format!("could not open {}", path.display()))?;
        Ok(Namespace { name, file })
    }

    /// For `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.name)
    }

    /// The number that `ls -Li /proc/PID/ns/net` shows.
    ///
    /// # Panics
    /// If the open file cannot be asked, which the kernel has no reason to refuse.
    pub fn inode(&self) -> u64 {
        self.file.metadata().expect("an open file has metadata").ino()
    }

    /// Deletes it by name, as `ip netns del` does. It lives on while anything holds it, this value included, but not
    /// for `ip netns exec`.
    ///
    /// # Errors
    /// Names the command that failed.
    pub fn forget_name(&self) -> Result<()> {
        shell::ip(&["netns", "del", &self.name])
    }

    /// Runs a closure on a thread inside. Sockets that it opens and processes that it starts stay inside.
    ///
    /// # Panics
    /// Where the closure does, and if the thread cannot enter.
    pub fn run<T: Send>(&self, closure: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET)
                    .unwrap_or_else(|errno| panic!("could not enter the namespace {}: {errno}", self.name));
                closure()
            });
            inside.join().unwrap_or_else(|payload| panic::resume_unwind(payload))
        })
    }

    /// Sets a sysctl by its dotted name.
    ///
    /// # Errors
    /// Names the sysctl.
    pub fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = sysctl_path(name);
        self.run(|| fs::write(&path, value))
            .with_context(|| format!("could not set {name}={value} in {}", self.name))
    }

    /// Reads a sysctl by its dotted name.
    ///
    /// # Errors
    /// Names the sysctl.
    pub fn read_sysctl(&self, name: &str) -> Result<String> {
        let path = sysctl_path(name);
        let value = self.run(|| fs::read_to_string(&path));
        Ok(value.with_context(|| format!("could not read {name} in {}", self.name))?.trim().to_owned())
    }

    /// What this namespace has counted since it exists.
    ///
    /// # Errors
    /// Names the file that could not be read.
    pub fn counters(&self) -> Result<Counters> {
        self.run(Counters::read)
    }

    /// TCP sockets in use here; not those in TIME_WAIT, and no connection requests.
    ///
    /// # Errors
    /// Names the file that could not be read.
    pub fn sockets_in_use(&self) -> Result<u64> {
        let mut sockets = 0;
        for (file, section) in [("sockstat", "TCP:"), ("sockstat6", "TCP6:")] {
            // `/proc/net` would be that of the main thread's namespace.
            let path = format!("/proc/thread-self/net/{file}");
            let text =
                self.run(|| fs::read_to_string(&path)).with_context(|| format!("could not read {path}"))?;
            let line = text.lines().find_map(|line| line.strip_prefix(section)).unwrap_or_default();
            let count = line.split_whitespace().skip_while(|word| *word != "inuse").nth(1);
            sockets += count.and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(sockets)
    }

    /// Runs a command inside.
    ///
    /// # Errors
    /// As [`shell::run`].
    pub fn command(&self, program: &str, args: &[&str]) -> Result<String> {
        self.run(|| shell::run(program, args)).with_context(|| format!("in the namespace {}", self.name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It may have been deleted before.
        if self.path().exists()
            && let Err(error) = shell::ip(&["netns", "del", &self.name])
        {
            eprintln!("the namespace {} stays behind: {error:#}", self.name);
        }
    }
}

/// Per namespace and, under `/proc/sys/net`, resolved by the thread that opens it.
fn sysctl_path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name.replace('.', "/"))
}

fn lock() -> Result<Flock<File>> {
    let path = "/run/tcpretrans-lab.lock";
    let file = File::create(path).with_context(|| format!("could not create {path}"))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .with_context(|| format!("could not lock {path}"))
}

/// Deletes the namespaces of processes that were killed and left their lab.
pub(super) fn clear_stale() {
    let Ok(entries) = fs::read_dir(DIRECTORY) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if owner(name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Another lab may be at it in this moment; one of the two succeeds.
            let _ = shell::ip(&["netns", "del", name]);
        }
    }
}

/// The process that made a namespace of ours.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_have_an_owner() {
        assert_eq!(owner("tcpretrans-123-0-left"), Some(123));
        assert_eq!(owner("tcpretrans-x-0-left"), None);
        assert_eq!(owner("somebody-else"), None);
    }

    #[test]
    fn a_sysctl_is_a_path() {
        assert_eq!(sysctl_path("net.ipv4.tcp_retries2"), Path::new("/proc/sys/net/ipv4/tcp_retries2"));
    }
}
