//! Where events go: the table on a terminal, JSON Lines, the log file.

pub(crate) mod json_lines;
pub(crate) mod log_file;
mod outage;
pub(crate) mod registry;
mod rotation;
pub(crate) mod stdout;
pub(crate) mod stream;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod whole_lines;

use std::io;

pub use json_lines::JsonSink;
pub(crate) use rotation::Rotation;
pub(crate) use stdout::Format;
pub use stream::Stream;
pub(crate) use summary::Totals;
pub(crate) use table::TableSink;

use crate::event::{Clock, Event, Lost, LostWhere, What};

/// Does it report events that an output lost?
fn reports_lost_output(event: &Event) -> bool {
    matches!(event.what, What::Lost(Lost { place: LostWhere::Output, .. }))
}

/// A place that events go to.
///
/// A sink buffers: what was written is out after `flush`, unless that fails.
pub trait Sink {
    /// Takes one event.
    ///
    /// # Errors
    /// As [`Sink::flush`], for it may have to make room.
    fn write(&mut self, event: &Event, clock: &Clock) -> Result<(), SinkError>;

    /// Hands out what has been taken.
    ///
    /// # Errors
    /// [`SinkError::Closed`] once nobody reads any more, which calls for a quiet end. [`SinkError::Outage`] once
    /// an outage, which calls for a message: the sink keeps what it can and goes on trying by itself.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// The last flush, outage or not: what cannot be written now is lost, and counted.
    ///
    /// # Errors
    /// As [`Sink::flush`].
    fn finish(&mut self) -> Result<(), SinkError> {
        self.flush()
    }

    /// Time has passed, about half a second of the source's: for what changes without events (a countdown), and for
    /// what is handed out by time. `now_ns`: the source's time, mono ns.
    ///
    /// # Errors
    /// As [`Sink::flush`].
    fn tick(&mut self, now_ns: u64, clock: &Clock) -> Result<(), SinkError> {
        let _ = (now_ns, clock);
        Ok(())
    }

    /// How many events were taken and will never come out, since this was last asked.
    fn take_lost(&mut self) -> u64;
}

/// Why events do not come out.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The reader has gone, as `head` does.
    #[error("the output pipe was closed")]
    Closed,
    /// Standard output was closed before anything was written to it.
    #[error("cannot write to standard output")]
    Stdout(#[source] io::Error),
    /// It cannot be written now.
    #[error("cannot {doing} {place}: {source}; {hint}")]
    Outage {
        /// What failed, as a verb.
        doing: &'static str,
        /// Which output.
        place: String,
        /// Why.
        source: io::Error,
        /// What happens next, or what to do.
        hint: &'static str,
    },
}
