//! A program that runs beside the traffic until it is interrupted: the tracer, or another tool.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{lab, workspace};

const STDERR: &str = "stderr";

/// Long enough for the slowest machine, for what takes moments elsewhere.
pub fn patience() -> Duration {
    lab::patient(Duration::from_secs(60))
}

/// A program that runs. Killed on drop.
#[derive(Debug)]
pub struct Running {
    child: Child,
    scratch: TempDir,
}

impl Running {
    /// Starts it. Standard error goes into a file in `scratch`, standard output where the command says.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn start(mut command: Command, scratch: TempDir) -> Result<Running> {
        let stderr =
            File::create(scratch.path().join(STDERR)).context("cannot make a file for its errors")?;
        command.stdin(Stdio::null()).stderr(stderr);
        let child =
            command.spawn().with_context(|| format!("cannot start `{}`", workspace::line_of(&command)))?;
        Ok(Running { child, scratch })
    }

    /// Waits until something is so; asks with the process id.
    ///
    /// # Errors
    /// If the program ends before, or if it takes too long; with what the program said.
    pub fn wait_until(&mut self, what: &str, mut so: impl FnMut(u32) -> bool) -> Result<()> {
        let start = Instant::now();
        while !so(self.pid()) {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended before it was {what} ({status}): {}", self.stderr());
            }
            ensure!(start.elapsed() < patience(), "it is not {what}: {}", self.stderr());
            thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A file of that name in its scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// What it has said on standard error.
    pub fn stderr(&self) -> String {
        fs::read(self.path(STDERR))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Its standard output, if that was piped.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid() as i32), signal).with_context(|| format!("cannot send {signal}"))
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// If it takes too long, with what the program said.
    pub fn end(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(start.elapsed() < patience(), "it does not end: {}", self.stderr());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ctrl-C, and waits for the end.
    ///
    /// # Errors
    /// As [`Running::end`], and if it does not end well.
    pub fn interrupt(&mut self) -> Result<()> {
        self.signal(Signal::SIGINT)?;
        let status = self.end()?;
        ensure!(status.success(), "it ended with {status}: {}", self.stderr());
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already, as a rule.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
