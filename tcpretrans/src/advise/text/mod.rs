//! The advice for people: for three in the morning.

mod give_up;
mod rto_min;
mod timeouts;

use jiff::tz::TimeZone;

use super::{Advice, RecordingFacts};
use crate::{
    advise::distribution::{Distribution, FEW_FOR_P99},
    page::{Column, FAINT, GOOD, NOTICE, PLAIN, Page, Pen, Table, Text},
    words::{
        figures::count,
        time::{date_and_time, local, signed_millis},
    },
};

/// Wider tables are hard to read along their lines.
const WIDEST: usize = 100;

/// Renders the advice.
pub(super) fn render(advice: &Advice, page: Page) -> String {
    let mut pen = Pen::new(page.at_most(WIDEST));
    head(&mut pen, &advice.recording);
    rto_min::render(&mut pen, advice);
    timeouts::render(&mut pen, advice);
    give_up::render(&mut pen, &advice.give_up);
    pen.finish()
}

fn head(pen: &mut Pen, recording: &RecordingFacts) {
    let zone = TimeZone::system();
    let time = |wall_ns: i64| date_and_time(local(wall_ns, &zone));
    let span = match (recording.first, recording.last) {
        (Some(first), Some(last)) => format!(", {} to {}", time(first.wall_ns), time(last.wall_ns)),
        _ => String::new(),
    };
    let kernels = match (&recording.kernels[..], &recording.hz[..]) {
        ([kernel], [hz]) => format!(" (Linux {kernel}, HZ {hz})"),
        ([], _) => String::new(),
        (kernels, _) => format!(" (Linux {})", kernels.join(", ")),
    };
    let events = count(recording.events, "event");
    let flows = count(recording.flows as u64, "connection");
    pen.paragraph("", 0, PLAIN, format!("{events} of {flows} with losses{span}{kernels}."));
    if recording.records_lost > 0 {
        let records = count(recording.records_lost, "record");
        warning(pen, &format!("{records} did not reach the recording: parts of the advice are incomplete."));
    }
    pen.paragraph(
        "",
        0,
        PLAIN,
        "A recording has only connections that lost something. It cannot show what a change does to all others: above \
         all, how many spurious retransmissions a lower RTO_MIN would cause where nothing is lost.",
    );
}

/// A paragraph of a section.
fn words(pen: &mut Pen, text: &str) {
    pen.paragraph("  ", 2, PLAIN, text);
}

/// Something to consider before a setting is changed.
fn warning(pen: &mut Pen, text: &str) {
    pen.paragraph(Text::styled(NOTICE, "  ! "), 4, NOTICE, text);
}

/// The answer.
fn result(pen: &mut Pen, text: &str) {
    pen.paragraph(Text::styled(GOOD, "  > "), 4, GOOD, text);
}

fn command(pen: &mut Pen, command: &str) {
    pen.command(6, command);
}

/// The first `heads` rows are the head; the first column has names, the others figures.
fn table_of(pen: &mut Pen, heads: usize, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let figures = std::iter::repeat_n(Column::RIGHT, columns.saturating_sub(1));
    let mut table = Table::new([Column::LEFT].into_iter().chain(figures)).indented(2);
    for (at, row) in rows.iter().enumerate() {
        let style = if at < heads { FAINT } else { PLAIN };
        table.row(row.iter().map(|cell| Text::styled(style, cell)));
    }
    pen.table(&table);
}

/// What the column of the high values is called.
fn high_name(distribution: Option<&Distribution>) -> &'static str {
    match distribution {
        Some(distribution) if distribution.count >= FEW_FOR_P99 => "p99",
        _ => "max",
    }
}

/// `206 ms (median; p99 1.4 s)`
fn median_and_high(distribution: &Distribution) -> String {
    let median = signed_millis(distribution.p50_ms);
    match distribution.count {
        1 => median,
        _ => {
            let high = signed_millis(distribution.p99_ms);
            format!("{median} (median; {} {high})", high_name(Some(distribution)))
        }
    }
}
