//! Everything that a guest has: programs, modules, tests and its orders, in one archive.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Job, cpio::Archive, machine::Machine, modules, packages::KernelFiles, userland};
use crate::{static_build::LiveTests, tracer::build::PROGRAM};

/// The first process.
const INIT: &str = include_str!("guest/init.sh");

/// The tracer in the guest.
const TRACER: &str = "usr/bin/tcpretrans";

/// A packed guest.
#[derive(Debug)]
pub(super) struct Guest {
    /// The archive.
    pub(super) initramfs: PathBuf,
    /// What begins the lines that are for the host.
    pub(super) nonce: String,
}

/// Packs a guest into a file under `scratch`.
pub(super) fn pack(
    scratch: &Path,
    kernel: &KernelFiles,
    live: &LiveTests,
    job: &Job,
    machine: &Machine,
) -> Result<Guest> {
    let nonce = nonce()?;
    let path = scratch.join("initramfs.cpio");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));

    for directory in ["proc", "sys", "dev", "run", "tmp", "root", "etc", "var/tmp", "usr/lib64"] {
        archive.directory(Path::new(directory))?;
    }
    archive.device(Path::new("dev/console"), 5, 1)?;
    archive.device(Path::new("dev/null"), 1, 3)?;
    for (link, to) in [("bin", "usr/bin"), ("sbin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
        archive.symlink(Path::new(link), to)?;
    }
    // The kernel asks for /sbin/modprobe; the same file, since /usr/sbin has nothing else.
    archive.symlink(Path::new("usr/sbin"), "bin")?;
    archive.file(
        Path::new("etc/passwd"),
        0o644,
        b"root:x:0:0::/root:/bin/bash\nnobody:x:65534:65534::/:/bin/sh\n",
    )?;
    archive.file(Path::new("etc/group"), 0o644, b"root:x:0:\nnogroup:x:65534:\n")?;

    for (host, guest) in userland::files()? {
        add(&mut archive, &host, &guest)?;
    }
    archive.symlink(Path::new("usr/bin/sh"), "bash")?;
    for applet in userland::APPLETS {
        archive.symlink(&Path::new("usr/bin").join(applet), "busybox")?;
    }
    for (path, content) in modules::closure(kernel, scratch)? {
        archive.file(Path::new(&path), 0o644, &content)?;
    }

    add(&mut archive, &live.tracer, Path::new(TRACER))?;
    add(&mut archive, &live.tests, Path::new("guest/live"))?;
    archive.file(Path::new("guest/settings"), 0o644, settings(&nonce, *machine).as_bytes())?;
    archive.file(Path::new("guest/job"), 0o755, script(job).as_bytes())?;
    archive.file(Path::new("init"), 0o755, INIT.as_bytes())?;
    archive.finish()?.flush().context("cannot write the initramfs")?;
    Ok(Guest { initramfs: path, nonce })
}

fn add(archive: &mut Archive<impl Write>, host: &Path, guest: &Path) -> Result<()> {
    let content = fs::read(host).with_context(|| format!("cannot read {}", host.display()))?;
    let mode = host.metadata()?.permissions().mode() & 0o777;
    Ok(archive.file(guest, mode, &content)?)
}

fn nonce() -> Result<String> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").context("no random number")?;
    Ok(format!("@vm-{}", &uuid.trim()[..8]))
}

fn settings(nonce: &str, machine: Machine) -> String {
    // A test that cannot run must fail here: everything is there that it needs.
    format!(
        "NONCE={nonce}\nexport CI=true RUST_BACKTRACE=0 TCPRETRANS_SLOWNESS={} {PROGRAM}=/{TRACER}\n",
        machine.slowness()
    )
}

/// The shell script that does the job.
fn script(job: &Job) -> String {
    match job {
        Job::Shell(command) => format!("{command}\n"),
        Job::Tests { filters, threads } => {
            let filters: Vec<String> = filters.iter().map(|filter| quoted(filter)).collect();
            // As tests print: one line for the host to read.
            format!(
                "tcpretrans doctor >/tmp/doctor 2>&1 && verdict=ok || verdict=FAILED\n\
                 echo \"test doctor ... $verdict\"\n\
                 cat /tmp/doctor\n\
                 ./live --test-threads={threads} {}\n",
                filters.join(" ")
            )
        }
    }
}

/// For the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_reach_the_tests_as_they_are() {
        let filters = vec!["rto_ladder".to_owned(), "it's".to_owned()];
        let script = script(&Job::Tests { filters, threads: 4 });
        assert!(script.ends_with("./live --test-threads=4 'rto_ladder' 'it'\\''s'\n"), "{script}");
    }

    #[test]
    fn guests_tell_each_other_apart() {
        assert_ne!(nonce().unwrap(), nonce().unwrap());
    }
}
