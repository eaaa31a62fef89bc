//! Why a command has failed: its exit code, and how it is said in one line.

use std::{borrow::Cow, error::Error, io};

use crate::{
    kernel,
    options::{Exit, UsageError},
    recording::{OpenError, ReadError},
    sink::SinkError,
    words::escape::visible,
};

/// What every command fails with: the error of one room, or of a system call at the edge.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// What was given to be read is no recording.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A recording could be opened, but not read to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// This machine cannot trace.
    #[error(transparent)]
    Kernel(#[from] kernel::Error),
    /// An output.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A system call.
    #[error("{doing}")]
    Io {
        /// What was tried: `cannot ...`.
        doing: Cow<'static, str>,
        /// Why it failed.
        source: io::Error,
    },
}

impl Failure {
    /// For `map_err`: what was tried, as `cannot ...`.
    pub(crate) fn io<E: Into<io::Error>>(doing: impl Into<Cow<'static, str>>) -> impl FnOnce(E) -> Failure {
        |error| Failure::Io { doing: doing.into(), source: error.into() }
    }

    /// For `map_err` of what is printed.
    pub(crate) fn stdout<E: Into<io::Error>>(error: E) -> Failure {
        Failure::io("cannot write to standard output")(error)
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Failure::Usage(_) | Failure::Open(_) => Exit::Usage,
            Failure::Kernel(_) => Exit::CannotTrace,
            // Whoever has closed the pipe that we write to has seen enough.
            Failure::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Failure::Sink(SinkError::Closed) => Exit::Done,
            Failure::Read(_) | Failure::Sink(_) | Failure::Io { .. } => Exit::Failed,
        }
    }
}

/// An error as one line: what failed, then why, cause after cause. Names of files in it are not ours: escaped.
pub(crate) fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut sentence = String::new();
    let mut causes = Some(error);
    while let Some(cause) = causes {
        causes = cause.source();
        let line = visible(&one_line(&cause.to_string())).into_owned();
        // Some errors have their cause in their own text already.
        if sentence.contains(&line) {
            continue;
        }
        if !sentence.is_empty() {
            sentence.push_str(": ");
        }
        sentence.push_str(&line);
    }
    sentence
}

/// The BPF verifier's log is pages long. What it objects to is in its last line but the statistics.
fn one_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    match lines.rfind(|line| !line.starts_with("processed ") && !line.starts_with("verification time ")) {
        Some(last) => format!("{first} ... {last}"),
        None => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{
        btf::BtfError, features::UnsupportedKernel, hz::HzError, privileges::CannotTrace,
        programs::AttachError,
    };

    fn broken_pipe() -> io::Error {
        io::Error::from(io::ErrorKind::BrokenPipe)
    }

    #[test]
    fn every_error_has_its_code() {
        let not_found = || io::Error::from(io::ErrorKind::NotFound);
        let btf = BtfError::Read { path: "x".into(), source: not_found() };
        for (error, code) in [
            (Failure::stdout(broken_pipe()), Exit::Done),
            (SinkError::Closed.into(), Exit::Done),
            (UsageError::conflict("-4 and -6").into(), Exit::Usage),
            (OpenError::NoFile.into(), Exit::Usage),
            (kernel::Error::from(CannotTrace::NoBtf).into(), Exit::CannotTrace),
            (kernel::Error::from(UnsupportedKernel::Tracepoint("x")).into(), Exit::CannotTrace),
            (kernel::Error::from(btf).into(), Exit::CannotTrace),
            (kernel::Error::from(AttachError::Incomplete("EVENTS")).into(), Exit::CannotTrace),
            (kernel::Error::from(HzError::Implausible(0)).into(), Exit::CannotTrace),
            (Failure::io("cannot read")(not_found()), Exit::Failed),
        ] {
            assert_eq!(error.exit(), code, "{error:#}");
        }
    }

    #[test]
    fn each_cause_stands_there_once_and_on_one_line() {
        let error = Failure::io("cannot write x.jsonl")(broken_pipe());
        assert_eq!(sentence(&error), "cannot write x.jsonl: broken pipe");
        let error = Failure::io("cannot write \u{1b}[2Jx.jsonl")(broken_pipe());
        assert_eq!(sentence(&error), r"cannot write \u{1b}[2Jx.jsonl: broken pipe");
        let inner = BtfError::Read { path: "/btf".into(), source: io::Error::from(io::ErrorKind::NotFound) };
        assert_eq!(sentence(&inner), "cannot read /btf: entity not found");
        let inner = BtfError::Read { path: "/btf".into(), source: io::Error::from(io::ErrorKind::NotFound) };
        let outer = Failure::from(kernel::Error::from(inner));
        assert_eq!(sentence(&outer), "cannot read /btf: entity not found");
        let log = io::Error::other(
            "load failed. Verifier output: 0: R1=ctx\n1: r0\nR0 !read_ok\nprocessed 1 insns\n\n",
        );
        assert_eq!(sentence(&log), "load failed. Verifier output: 0: R1=ctx ... R0 !read_ok");
    }
}
