//! JSON Lines on a stream.

use std::io::{ErrorKind, Write};

use super::encode::encode;
use crate::{
    event::Event,
    sink::{Clock, Sink, SinkError},
};

/// Writes lines to a stream.
#[derive(Debug)]
pub struct JsonStream<W> {
    stream: W,
    buffer: Vec<u8>,
    events: u64,
    lost: u64,
}

impl<W: Write> JsonStream<W> {
    /// To `stream`.
    pub fn new(stream: W) -> JsonStream<W> {
        JsonStream { stream, buffer: Vec::new(), events: 0, lost: 0 }
    }
}

impl<W: Write> Sink for JsonStream<W> {
    fn write(&mut self, event: &Event, clock: &Clock) -> Result<(), SinkError> {
        match encode(event, clock, &mut self.buffer) {
            Ok(()) => self.events += 1,
            Err(_) => self.lost += 1,
        }
        if self.buffer.len() > 1 << 16 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let result = self.stream.write_all(&self.buffer).and_then(|()| self.stream.flush());
        self.buffer.clear();
        let events = std::mem::take(&mut self.events);
        result.map_err(|source| {
            self.lost += events;
            if source.kind() == ErrorKind::BrokenPipe {
                return SinkError::Closed;
            }
            let place = "standard output".to_owned();
            SinkError::Outage { doing: "write to", place, source, hint: "tracing goes on" }
        })
    }

    fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}
