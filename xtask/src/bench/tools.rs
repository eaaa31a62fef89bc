//! The tracer and the tools beside it, started, attached and stopped.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::bpf;
use crate::{tracer_run, workspace};

/// What a user of bpftrace would write: the fields of the tracepoint, one line each.
pub(super) const BPFTRACE_SCRIPT: &str = r#"tracepoint:tcp:tcp_retransmit_skb {
    printf("%llu %d %s %s:%d > %s:%d %d\n", nsecs, pid, comm, ntop(args->family, args->saddr), args->sport,
        ntop(args->family, args->daddr), args->dport, args->state);
}"#;

/// Where a tool is that this machine may not have.
pub(super) const NOT_INSTALLED: &str = "not installed here";
/// What Debian's bcc calls it is another program, in Python.
const TCPSTATES: &str = "tcpstates";
/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// From loaded to attached.
const GRACE: Duration = Duration::from_millis(400);

/// Builds the tracer as users get it.
pub(super) fn build_tracer() -> Result<PathBuf> {
    tracer_run::build()
}

/// A tool that runs and is attached. Interrupted on drop.
#[derive(Debug)]
pub(super) struct Tool {
    child: Child,
    scratch: TempDir,
}

/// What the tracer writes in its scratch directory.
const LOG: &str = "log.jsonl";
const READY: &str = "ready";
const OUTPUT: &str = "output";

impl Tool {
    /// The tracer as a service would run it: nothing on standard output, JSON Lines to a file.
    pub(super) fn tracer(program: &Path) -> Result<Tool> {
        let scratch = tempfile::tempdir()?;
        let mut command = Command::new(program);
        command.arg("--quiet").arg("--output").arg(scratch.path().join(LOG));
        command.arg("--ready-file").arg(scratch.path().join(READY));
        let mut tool = Tool::spawn(command, scratch)?;
        let ready = tool.scratch.path().join(READY);
        tool.wait(|_| ready.exists())?;
        Ok(tool)
    }

    /// bpftrace with [`BPFTRACE_SCRIPT`]; `None`: not installed.
    pub(super) fn bpftrace() -> Result<Option<Tool>> {
        Tool::other("bpftrace", &["-e", BPFTRACE_SCRIPT])
    }

    /// libbpf-tools' tcpstates; `None`: not installed.
    pub(super) fn tcpstates() -> Result<Option<Tool>> {
        Tool::other(TCPSTATES, &[])
    }

    fn other(name: &str, args: &[&str]) -> Result<Option<Tool>> {
        let Some(program) = find(name) else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(args);
        let mut tool = Tool::spawn(command, tempfile::tempdir()?)?;
        // bpftrace tries out what the kernel can do with programs of its own, which come and go.
        let mut before = 0;
        tool.wait(|pid| {
            let programs = bpf::programs_of(pid).map_or(0, |programs| programs.len());
            let stays = programs > 0 && programs == before;
            before = programs;
            thread::sleep(Duration::from_millis(100));
            stays
        })?;
        thread::sleep(GRACE);
        Ok(Some(tool))
    }

    fn spawn(mut command: Command, scratch: TempDir) -> Result<Tool> {
        let output = File::create(scratch.path().join(OUTPUT))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child =
            command.spawn().with_context(|| format!("cannot start {}", workspace::line_of(&command)))?;
        Ok(Tool { child, scratch })
    }

    fn wait(&mut self, mut attached: impl FnMut(u32) -> bool) -> Result<()> {
        let start = Instant::now();
        while !attached(self.child.id()) {
            let said = || fs::read_to_string(self.scratch.path().join(OUTPUT)).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended before it was attached ({status}): {}", said());
            }
            ensure!(start.elapsed() < PATIENCE, "it does not attach: {}", said());
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ctrl-C, and waits for the end.
    fn interrupt(&mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT)?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(start.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends the tracer; gives the path of its log, to be read before the tool is dropped.
    pub(super) fn finish(&mut self) -> Result<PathBuf> {
        self.interrupt()?;
        Ok(self.scratch.path().join(LOG))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // It may have ended before.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) && self.interrupt().is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
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
