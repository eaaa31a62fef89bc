//! Exit codes.

use std::process::ExitCode;

/// The exit codes of README.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed while running.
    Failed = 1,
    /// Bad usage or bad input.
    Usage = 2,
    /// This machine cannot trace.
    CannotTrace = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
