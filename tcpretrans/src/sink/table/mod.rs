//! The live table: one line an event, for people.
//!
//! `row` and `layout` are pure: the same event, layout and clock give the same line.

pub(crate) mod cells;
pub(crate) mod layout;
pub(crate) mod row;
pub(crate) mod sentence;
pub(crate) mod style;

use std::{fs::File, io};

use jiff::tz::TimeZone;
pub use layout::Layout;
pub(crate) use row::row;
use terminal_size::{Height, terminal_size_of};

use super::{Sink, SinkError, reports_lost_output, stream::Stream, whole_lines::Target};
use crate::{
    event::{Clock, Event, What},
    page,
};

/// Writes the table.
#[derive(Debug)]
pub struct TableSink<T = File> {
    out: Stream<T>,
    layout: Layout,
    /// Lines that the screen holds; `None`: no screen, one header is enough.
    screen: Option<usize>,
    /// Lines since the last header; `None`: there was none yet.
    since_header: Option<usize>,
    /// Follow the size of the terminal behind standard output.
    follow_terminal: bool,
}

impl TableSink<File> {
    /// On standard output: as wide as the terminal or COLUMNS says, or in full where neither says anything.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn stdout() -> io::Result<Self> {
        let (out, is_terminal) = Stream::stdout()?;
        let colour = page::wants_colour(&io::stdout());
        let mut table = TableSink::new(out, Layout::piped(colour, TimeZone::system()), None);
        table.follow_terminal = is_terminal;
        table.measure();
        Ok(table)
    }
}

impl<T: Target> TableSink<T> {
    /// Writes to `out`; `screen` is how many lines the terminal shows at once.
    pub fn new(out: Stream<T>, layout: Layout, screen: Option<usize>) -> Self {
        TableSink { out, layout, screen, since_header: None, follow_terminal: false }
    }

    /// Adapts to the present size of standard output.
    fn measure(&mut self) {
        let height = match terminal_size_of(io::stdout()) {
            Some((_, Height(height))) if self.follow_terminal => Some(height.into()),
            _ => None,
        };
        if let Some(width) = page::columns(&io::stdout()) {
            self.resize(width, height);
        }
    }

    /// The page has another size now: columns, and the lines that a terminal shows.
    pub fn resize(&mut self, width: usize, height: Option<usize>) {
        self.screen = height;
        // Nothing can be said in no columns.
        if width > 0 && self.layout.width() != Some(width) {
            self.layout = Layout::terminal(width, self.layout.colour, self.layout.zone().clone());
            self.since_header = None;
        }
    }

    fn header_if_due(&mut self) -> Result<(), SinkError> {
        // A screen of a few lines would be headers mostly.
        let due = |lines: usize| self.screen.is_some_and(|screen| screen >= 8 && lines + 1 >= screen);
        if self.since_header.is_none_or(due) {
            let line = self.layout.styled(page::HEADING, &self.layout.header()) + "\n";
            self.since_header = Some(0);
            self.out.push_aside(line.as_bytes())?;
        }
        Ok(())
    }
}

impl<T: Target> Sink for TableSink<T> {
    fn write(&mut self, event: &Event, clock: &Clock) -> Result<(), SinkError> {
        if matches!(event.what, What::Start(_)) {
            // The header shows that tracing has begun, before anything happens.
            return self.header_if_due();
        }
        let Some(lines) = row(event, &self.layout, clock) else { return Ok(()) };
        self.header_if_due()?;
        // Each event counts once, however many lines it takes.
        let mut counts = !reports_lost_output(event);
        for line in lines.split('\n') {
            self.since_header = self.since_header.map(|lines| lines + 1);
            let line = format!("{line}\n");
            if std::mem::replace(&mut counts, false) {
                self.out.push(line.as_bytes())?;
            } else {
                self.out.push_aside(line.as_bytes())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush()?;
        if self.follow_terminal {
            self.measure();
        }
        Ok(())
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
    use super::*;
    use crate::event::samples as sample;

    fn written(screen: Option<usize>, lines: usize) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        let layout = Layout::terminal(100, false, TimeZone::UTC);
        let mut table = TableSink::new(Stream::new(file.reopen().unwrap()), layout, screen);
        table.write(&sample::start_event(), &sample::CLOCK).unwrap();
        for _ in 0..lines {
            let event = sample::event(sample::ipv4_flow(), sample::retransmit(sample::rto()));
            table.write(&event, &sample::CLOCK).unwrap();
        }
        table.flush().unwrap();
        std::fs::read_to_string(file.path()).unwrap()
    }

    fn headers(text: &str) -> Vec<usize> {
        text.lines().enumerate().filter(|(_, line)| line.starts_with("TIME")).map(|(at, _)| at).collect()
    }

    #[test]
    fn the_header_comes_at_once_and_once_a_screen() {
        assert_eq!(headers(&written(Some(24), 0)), [0]);
        assert_eq!(headers(&written(Some(24), 60)), [0, 24, 48]);
        assert_eq!(headers(&written(None, 60)), [0], "a pipe wants one");
        assert_eq!(headers(&written(Some(3), 60)), [0], "a tiny screen, too");
        assert_eq!(written(Some(24), 60).lines().count(), 63);
    }

    #[test]
    fn another_width_another_header() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let layout = Layout::terminal(100, false, TimeZone::UTC);
        let mut table = TableSink::new(Stream::new(file.reopen().unwrap()), layout, Some(24));
        for width in [100, 0, 200, 200] {
            table.resize(width, Some(24));
            let event = sample::event(sample::ipv4_flow(), sample::retransmit(sample::rto()));
            table.write(&event, &sample::CLOCK).unwrap();
        }
        table.flush().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(headers(&text), [0, 3], "{text}");
    }
}
