//! The tools beside the tracer, started and attached.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::Result;

use super::bpf;
use crate::{running::Running, workspace};

/// What a user of bpftrace would write: the fields of the tracepoint, one line each.
pub(super) const BPFTRACE_SCRIPT: &str = r#"tracepoint:tcp:tcp_retransmit_skb {
    printf("%llu %d %s %s:%d > %s:%d %d\n", nsecs, pid, comm, ntop(args->family, args->saddr), args->sport,
        ntop(args->family, args->daddr), args->dport, args->state);
}"#;

/// Where a tool is that this machine may not have.
pub(super) const NOT_INSTALLED: &str = "not installed here";
/// What Debian's bcc calls it is another program, in Python.
const TCPSTATES: &str = "tcpstates";
/// From loaded to attached.
const GRACE: Duration = Duration::from_millis(400);

/// bpftrace with [`BPFTRACE_SCRIPT`]; `None`: not installed.
pub(super) fn bpftrace() -> Result<Option<Running>> {
    start("bpftrace", &["-e", BPFTRACE_SCRIPT])
}

/// libbpf-tools' tcpstates; `None`: not installed.
pub(super) fn tcpstates() -> Result<Option<Running>> {
    start(TCPSTATES, &[])
}

fn start(name: &str, args: &[&str]) -> Result<Option<Running>> {
    let Some(program) = find(name) else { return Ok(None) };
    let scratch = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.args(args).stdout(File::create(scratch.path().join("output"))?);
    let mut tool = Running::start(command, scratch)?;
    // bpftrace tries out what the kernel can do with programs of its own, which come and go.
    let mut before = 0;
    tool.wait_until("attached", |pid| {
        let programs = bpf::programs_of(pid).map_or(0, |programs| programs.len());
        let stays = programs > 0 && programs == before;
        before = programs;
        thread::sleep(Duration::from_millis(100));
        stays
    })?;
    thread::sleep(GRACE);
    Ok(Some(tool))
}

/// How to start a tool; `None`: not installed.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    // sudo's PATH has both.
    workspace::find_in_path(name).or_else(|| {
        ["/usr/sbin", "/usr/bin", "/usr/share/bcc/libbpf-tools"]
            .iter()
            .map(|directory| Path::new(directory).join(OsStr::new(name)))
            .find(|path| path.is_file())
    })
}
