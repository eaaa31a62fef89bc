//! What the pipe is fed from.

use super::Pipe;
use crate::failure::Failure;

/// Where records come from: the ring of a live trace, a recording, a list that a test made up. A source has threads,
/// files and clocks as it likes. It begins traces in the pipe, tells them what happened, and ends them.
///
/// All times are the source's own monotonic time, ns: that of the kernel for the ring, that of the latest line for a
/// recording. The driver has no other clock.
pub(crate) trait Source {
    /// The time now.
    fn now_ns(&self) -> u64;

    /// Waits until there is something to take, or the user wants something, or it is `until_ns`, whichever is first. A
    /// source whose time passes by what is taken need not wait.
    fn wait(&mut self, until_ns: u64) -> Woken;

    /// Hands over what has come, in portions small enough that the user does not notice: it is not interrupted.
    ///
    /// # Errors
    /// What makes it pointless to go on: there will be no `end`.
    fn take(&mut self, pipe: &mut Pipe) -> Result<Supply, Failure>;

    /// [`super::TICK_NS`] have passed: for what a source looks after from time to time.
    ///
    /// # Errors
    /// As [`Source::take`].
    fn tick(&mut self, pipe: &mut Pipe) -> Result<(), Failure>;

    /// Nothing more is wanted, or there is nothing more: hands over what is on its way and ends the trace.
    ///
    /// # Errors
    /// As [`Source::take`].
    fn finish(&mut self, pipe: &mut Pipe) -> Result<(), Failure>;
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// There may be something to take, or it is time.
    ByTime,
    /// The user wants something.
    By(Input),
}

/// What comes from outside while a trace is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// SIGINT, SIGTERM or SIGHUP: end in good order.
    Stop,
}

/// Is there more to come?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supply {
    /// Perhaps.
    Open,
    /// No.
    Exhausted,
}
