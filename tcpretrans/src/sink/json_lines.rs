//! JSON Lines on standard output.

use std::fs::File;

use crate::{
    event::{Clock, Event},
    form::encode,
    sink::{Sink, SinkError, reports_lost_output, stream::Stream, whole_lines::Target},
};

/// Writes every event as a line.
#[derive(Debug)]
pub struct JsonSink<T = File> {
    out: Stream<T>,
    line: Vec<u8>,
}

impl<T: Target> JsonSink<T> {
    /// Writes to `out`.
    pub fn new(out: Stream<T>) -> Self {
        JsonSink { out, line: Vec::new() }
    }
}

impl<T: Target> Sink for JsonSink<T> {
    fn write(&mut self, event: &Event, clock: &Clock) -> Result<(), SinkError> {
        self.line.clear();
        encode(event, clock, &mut self.line);
        if reports_lost_output(event) { self.out.push_aside(&self.line) } else { self.out.push(&self.line) }
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush()
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.out.finish()
    }

    fn take_lost(&mut self) -> u64 {
        self.out.take_lost()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::{event::samples, form::decode};

    #[test]
    fn what_goes_in_comes_out() {
        let events = samples::one_of_each();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut sink = JsonSink::new(Stream::new(file.reopen().unwrap()));
        for event in &events {
            sink.write(event, &samples::CLOCK).unwrap();
        }
        sink.flush().unwrap();
        let lines = BufReader::new(file.reopen().unwrap()).lines();
        let read: Vec<Event> = lines.map(|line| decode(line.unwrap().as_bytes()).unwrap()).collect();
        assert_eq!(read, events);
    }
}
