//! What runs in a guest besides the tests: the host's own programs, with the libraries that they ask for.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::workspace;

/// Programs that the lab and the tests start, and the packages that have them. Busybox does the rest.
pub(super) const PROGRAMS: &[(&str, &str)] = &[
    ("busybox", "busybox-static"),
    ("bash", "bash"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("ss", "iproute2"),
    ("iptables", "iptables"),
    ("ip6tables", "iptables"),
    ("iptables-save", "iptables"),
    ("ip6tables-save", "iptables"),
    ("modprobe", "kmod"),
    ("depmod", "kmod"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("mount", "mount"),
];

/// What busybox is called by. Not `ip` or `tc`: its own are not iproute2's. Not `sh`: bash is here, and busybox's
/// shell would prefer its own `mount` and `ip`.
pub(super) const APPLETS: &[&str] = &[
    "awk", "cat", "chmod", "cut", "date", "dd", "dmesg", "echo", "env", "find", "grep", "head", "hostname",
    "kill", "ln", "ls", "mkdir", "mknod", "nproc", "poweroff", "printf", "ps", "reboot", "rm", "sed",
    "setsid", "seq", "sleep", "sort", "stty", "sync", "sysctl", "tail", "touch", "tr", "true", "umount",
    "uname", "wc",
];

/// A file of the host and the place that it has in the guest.
pub(super) type HostFile = (PathBuf, PathBuf);

/// The programs, their libraries, and iptables' extensions.
pub(super) fn files() -> Result<Vec<HostFile>> {
    let mut files = Vec::new();
    let mut loaded = BTreeSet::new();
    for (name, package) in PROGRAMS {
        let program =
            workspace::find_program(name).with_context(|| format!("there is no {name} ({package})"))?;
        files.push((program.clone(), Path::new("/usr/bin").join(name)));
        loaded.extend(libraries(&program)?);
    }
    for extension in iptables_extensions() {
        loaded.extend(libraries(&extension)?);
        loaded.insert(extension);
    }
    // By the path that the loader will ask for; the guest has the same directories.
    files.extend(loaded.into_iter().map(|path| (path.clone(), merged(&path))));
    Ok(files)
}

/// The libraries that a program asks for; none if it is static.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).env("LC_ALL", "C").output().context("cannot start ldd")?;
    Ok(parse_ldd(&String::from_utf8_lossy(&output.stdout)))
}

/// `libx.so => /lib/libx.so (0x...)`, and the loader as `/lib64/ld-linux-x86-64.so.2 (0x...)`.
fn parse_ldd(listing: &str) -> Vec<PathBuf> {
    let words = listing.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

/// `libxt_length.so` and the like, which iptables opens by name.
fn iptables_extensions() -> Vec<PathBuf> {
    let directories = ["/usr/lib/x86_64-linux-gnu/xtables", "/usr/lib64/xtables", "/usr/lib/xtables"];
    let wanted = ["tcp", "length", "statistic", "comment", "REJECT", "standard", "DROP", "LOG"];
    let entries = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten().flatten();
    let is_wanted = |path: &PathBuf| {
        let name = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.split_once('_'));
        name.is_some_and(|(_, name)| wanted.contains(&name))
    };
    entries.map(|entry| entry.path()).filter(is_wanted).collect()
}

/// `/lib/x` as `/usr/lib/x`: the guest has `/lib` as a link, whatever the host does.
pub(super) fn merged(path: &Path) -> PathBuf {
    let within = path.strip_prefix("/usr").or_else(|_| path.strip_prefix("/")).unwrap_or(path);
    Path::new("/usr").join(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_loader_are_found() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(parse_ldd(listing), expected.map(PathBuf::from));
        assert!(parse_ldd("\tstatically linked\n").is_empty());
    }

    #[test]
    fn everything_is_under_usr() {
        assert_eq!(merged(Path::new("/lib64/ld.so")), Path::new("/usr/lib64/ld.so"));
        assert_eq!(merged(Path::new("/usr/lib/x.so")), Path::new("/usr/lib/x.so"));
    }
}
