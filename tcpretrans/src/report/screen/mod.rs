//! The report for people: an overview that fits on one screen, or a table by group.

mod bars;
mod blocks;
mod by;
mod episodes;
mod headline;
mod times;
mod top_groups;

#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;
use times::Times;

use super::{Subject, tally::Report};
use crate::page::{Page, Pen};

/// Wider tables are hard to read along their lines.
const WIDEST: usize = 120;

/// The whole report, with the local time of that zone.
pub(super) fn render(report: &Report, subject: &Subject, page: Page, zone: &TimeZone) -> String {
    let mut pen = Pen::new(page.at_most(WIDEST));
    let first_ns = report.sessions.first_ns.unwrap_or(0);
    let times = Times::of(first_ns, report.sessions.last_ns, zone);
    headline::write(&mut pen, report, subject, &times);
    if report.events == 0 {
        return pen.finish();
    }
    match subject.by {
        Some(by) => by::write(&mut pen, report, by, subject.top),
        None => {
            blocks::types_and_endings(&mut pen, report);
            top_groups::write(&mut pen, report, subject.top);
            episodes::write(&mut pen, report, subject.top, &times);
            blocks::forecasts_and_hang_ups(&mut pen, report);
            blocks::histograms(&mut pen, report);
        }
    }
    pen.finish()
}
