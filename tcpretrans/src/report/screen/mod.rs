//! The report for people: an overview that fits on one screen, or a table by group.

mod bars;
mod blocks;
mod by;
mod episodes;
mod figures;
mod groups;
mod headline;
mod pen;

#[cfg(test)]
mod tests;

use anstyle::{AnsiColor, Style};
use figures::Times;
use jiff::tz::TimeZone;
use pen::Pen;

use super::{Subject, tally::Report};

/// What the report is shown on.
#[derive(Debug, Clone)]
pub struct Page {
    /// How wide it is.
    pub columns: usize,
    /// With colour?
    pub colour: bool,
    /// Whose local time.
    pub zone: TimeZone,
}

/// Lines longer than this are hard to read.
const WIDEST: usize = 120;
/// Columns do not fit side by side on less.
const NARROWEST: usize = 60;

const BAD: Style = AnsiColor::Red.on_default().bold();
const NOTICE: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();
const HEADING: Style = Style::new().bold();

/// The whole report.
pub(super) fn render(report: &Report, subject: &Subject, page: &Page) -> String {
    let mut pen = Pen::new(page.columns.clamp(NARROWEST, WIDEST), page.colour);
    let first_ns = report.sessions.first_ns.unwrap_or(0);
    let times = Times::of(first_ns, report.sessions.last_ns, &page.zone);
    headline::write(&mut pen, report, subject, &times);
    if report.events == 0 {
        return pen.finish();
    }
    match subject.by {
        Some(by) => by::write(&mut pen, report, by, subject.top),
        None => {
            blocks::types_and_endings(&mut pen, report);
            groups::write(&mut pen, report, subject.top);
            episodes::write(&mut pen, report, subject.top, &times);
            blocks::forecasts_and_hang_ups(&mut pen, report);
            blocks::histograms(&mut pen, report);
        }
    }
    pen.finish()
}
