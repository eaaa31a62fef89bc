//! How an error is told, and which exit code it has.

use std::io;

use crate::{
    kernel::{
        btf::BtfError, features::UnsupportedKernel, hz::HzError, privileges::CannotTrace,
        programs::AttachError,
    },
    options::{Exit, usage::UsageError},
    recording::OpenError,
};

/// Which exit code an error has. Who closed the pipe that we wrote to has seen enough: that is no failure.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let in_chain = |test: fn(&(dyn std::error::Error + 'static)) -> bool| error.chain().any(test);
    if in_chain(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_broken_pipe)) {
        Exit::Done
    } else if in_chain(|cause| cause.is::<UsageError>() || cause.is::<OpenError>()) {
        Exit::Usage
    } else if in_chain(|cause| {
        cause.is::<CannotTrace>()
            || cause.is::<UnsupportedKernel>()
            || cause.is::<BtfError>()
            || cause.is::<AttachError>()
            || cause.is::<HzError>()
    }) {
        Exit::CannotTrace
    } else {
        Exit::Failed
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// An error as one line: what failed, then why, cause after cause.
pub fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = String::new();
    for cause in error.chain() {
        let line = one_line(&cause.to_string());
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
    use anyhow::Context;

    use super::*;

    fn broken_pipe() -> io::Error {
        io::Error::from(io::ErrorKind::BrokenPipe)
    }

    #[test]
    fn every_error_has_its_code() {
        let not_found = || io::Error::from(io::ErrorKind::NotFound);
        let btf = BtfError::Read { path: "x".into(), source: not_found() };
        for (error, code) in [
            (anyhow::Error::from(broken_pipe()).context("cannot write"), Exit::Done),
            (anyhow::Error::from(UsageError::conflict("-4 and -6")), Exit::Usage),
            (anyhow::Error::from(CannotTrace::NoBtf).context("cannot trace"), Exit::CannotTrace),
            (anyhow::Error::from(UnsupportedKernel::Tracepoint("x")), Exit::CannotTrace),
            (anyhow::Error::from(btf), Exit::CannotTrace),
            (anyhow::Error::from(AttachError::Incomplete("EVENTS")), Exit::CannotTrace),
            (anyhow::Error::from(HzError::Implausible(0)), Exit::CannotTrace),
            (anyhow::Error::from(not_found()), Exit::Failed),
        ] {
            assert_eq!(exit_of(&error), code, "{error:#}");
        }
    }

    #[test]
    fn tells_each_cause_once_and_on_one_line() {
        let error = Err::<(), _>(broken_pipe()).context("cannot write x.jsonl").expect_err("an error");
        assert_eq!(sentence(&error), "cannot write x.jsonl: broken pipe");
        let inner = BtfError::Read { path: "/btf".into(), source: io::Error::from(io::ErrorKind::NotFound) };
        assert_eq!(sentence(&inner.into()), "cannot read /btf: entity not found");
        let log = anyhow::anyhow!(
            "load failed. Verifier output: 0: R1=ctx\n1: r0\nR0 !read_ok\nprocessed 1 insns\n\n"
        );
        assert_eq!(sentence(&log), "load failed. Verifier output: 0: R1=ctx ... R0 !read_ok");
    }
}
