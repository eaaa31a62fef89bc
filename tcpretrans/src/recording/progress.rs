//! How far a long reading is.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Reader;

/// What is done sooner needs no bar.
const PATIENCE: Duration = Duration::from_millis(500);
/// Asking the time costs more than reading a line.
const LINES_BETWEEN: u32 = 4096;

/// A bar on standard error, if that is a terminal and the reading takes its time.
#[derive(Debug)]
pub struct Progress {
    /// `None`: nobody would see it.
    started: Option<Instant>,
    bar: Option<ProgressBar>,
    lines: u32,
}

impl Progress {
    /// Of a reading that begins now.
    pub fn on_stderr() -> Progress {
        Progress { started: io::stderr().is_terminal().then(Instant::now), bar: None, lines: 0 }
    }

    /// None: something else is drawn on that terminal.
    pub fn hidden() -> Progress {
        Progress { started: None, bar: None, lines: 0 }
    }

    /// To be called for every event.
    pub fn update(&mut self, reader: &Reader) {
        let Some(started) = self.started else { return };
        self.lines += 1;
        if self.lines < LINES_BETWEEN {
            return;
        }
        self.lines = 0;
        if self.bar.is_none() && started.elapsed() > PATIENCE {
            self.bar = Some(bar(reader.total_bytes()));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(reader.bytes_read());
        }
    }

    /// Takes it away.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn bar(total_bytes: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total_bytes, ProgressDrawTarget::stderr());
    let template = match total_bytes {
        Some(_) => "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        None => "{spinner} {bytes}, {bytes_per_sec}",
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
