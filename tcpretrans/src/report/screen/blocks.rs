//! Blocks of the overview that stand side by side, and the sentences between.

use anstyle::Style;

use super::{
    BAD, HEADING,
    bars::{self, Bin},
    figures::{counted, grouped, of_us, short},
    pen::{Cell, Pen, Row, side_by_side},
};
use crate::{
    event::{Cause, TypeTotal},
    report::tally::{Ending, Report},
    sink::table::cells::duration,
    words::escape::cut,
};

/// Rows of types and endings; the rest is summed up.
const MOST_ROWS: usize = 7;
const GAP: usize = 2;

/// By type, and by cause.
pub(super) fn types_and_endings(pen: &mut Pen, report: &Report) {
    pen.gap();
    let columns = (pen.columns() - GAP) / 2;
    let blocks = [types(report, columns), endings(report, columns)];
    side_by_side(pen, &blocks, columns, GAP);
}

fn types(report: &Report, columns: usize) -> Vec<Row> {
    let mut totals: Vec<(&str, TypeTotal)> =
        report.totals.retransmits.iter().map(|(ty, total)| (ty.name(), *total)).collect();
    totals.sort_by_key(|(_, total)| std::cmp::Reverse(total.sent + total.failed));
    let failed = totals.iter().any(|(_, total)| total.failed > 0);
    let line = |name: &str, sent: &str, failed_text: &str, segs: &str, bytes: &str| {
        let failed_text = if failed { format!("{failed_text:>7}") } else { String::new() };
        let line = format!("{name:<11}{sent:>6}{failed_text}{segs:>7}{bytes:>7}");
        cut(&line, columns).into_owned()
    };
    let mut rows = vec![vec![Cell::styled(HEADING, line("TYPE", "SENT", "FAILED", "SEGS", "BYTES"))]];
    let room = if totals.len() > MOST_ROWS { MOST_ROWS - 1 } else { MOST_ROWS };
    let mut row = |name: &str, total: &TypeTotal| {
        let text =
            line(name, &short(total.sent), &short(total.failed), &short(total.segs), &short(total.bytes));
        rows.push(vec![Cell::plain(text)]);
    };
    totals.iter().take(room).for_each(|(name, total)| row(name, total));
    let rest = totals.get(room..).unwrap_or_default();
    if !rest.is_empty() {
        let mut sum = TypeTotal::default();
        for (_, total) in rest {
            sum.sent += total.sent;
            sum.failed += total.failed;
            sum.segs += total.segs;
            sum.bytes += total.bytes;
        }
        row(&format!("{} others", rest.len()), &sum);
    }
    if totals.is_empty() {
        rows.push(vec![Cell::plain("none")]);
    }
    rows
}

fn endings(report: &Report, columns: usize) -> Vec<Row> {
    let line = |cause: &str, who: &str, count: &str| {
        cut(&format!("{cause:<20}{who:<9}{count:>8}"), columns).into_owned()
    };
    let mut rows = vec![vec![Cell::styled(HEADING, line("ENDED AS", "BY", "FLOWS"))]];
    let room = if report.endings.len() > MOST_ROWS { MOST_ROWS - 1 } else { MOST_ROWS };
    for ending in report.endings.iter().take(room) {
        let text = line(ending.cause.name(), who(ending), &short(ending.count));
        let style = if ending.cause.is_death() { BAD } else { Style::new() };
        rows.push(vec![Cell::styled(style, text)]);
    }
    let rest = report.endings.get(room..).unwrap_or_default();
    if !rest.is_empty() {
        let count: u64 = rest.iter().map(|ending| ending.count).sum();
        let deaths = rest.iter().any(|ending| ending.cause.is_death());
        let style = if deaths { BAD } else { Style::new() };
        rows.push(vec![Cell::styled(style, line(&format!("{} others", rest.len()), "", &short(count)))]);
    }
    if report.endings.is_empty() {
        rows.push(vec![Cell::plain("none")]);
    }
    rows
}

fn who(ending: &Ending) -> &'static str {
    match (ending.who, ending.cause) {
        (Some(who), _) => who.name(),
        (None, Cause::SimultaneousClose) => "both",
        (None, _) => "unknown",
    }
}

/// What was foretold and what came; who did not wait for TCP.
pub(super) fn forecasts_and_hang_ups(pen: &mut Pen, report: &Report) {
    let sentences: Vec<(&str, String)> =
        [forecasts(report), hang_ups(report)].into_iter().flatten().collect();
    if sentences.is_empty() {
        return;
    }
    pen.gap();
    for (label, text) in sentences {
        pen.sentence(Style::new(), &format!("{label:<10}"), 10, &text);
    }
}

fn forecasts(report: &Report) -> Option<(&'static str, String)> {
    let forecasts = &report.forecasts;
    let deaths = forecasts.foretold + forecasts.not_foretold;
    if deaths == 0 {
        return None;
    }
    let mut text = format!(
        "{} of {} foretold",
        grouped(forecasts.foretold),
        counted(deaths, "kernel give-up", "kernel give-ups")
    );
    let (first, last) = (&forecasts.first, &forecasts.last);
    if let (Some(off), Some(least), Some(most)) =
        (first.off_us.max(), forecasts.lead_ms.min(), forecasts.lead_ms.max())
    {
        let lead =
            if least == most { duration(most) } else { format!("{} to {}", duration(least), duration(most)) };
        text += &format!(" {lead} ahead, off by {} at most", of_us(off));
        let outside = first.off_us.count() - forecasts.within_window;
        if outside > 0 {
            text += &format!(", {} outside the window", grouped(outside));
        }
    }
    // Both are as exact as the timer's tick, as a rule.
    if let Some(off) =
        last.off_us.max().filter(|off| first.off_us.max().is_none_or(|first| differ(first, *off)))
    {
        text += &format!("; the last ones by {}", of_us(off));
    }
    Some(("Forecasts", text))
}

/// Is it worth telling both?
fn differ(one: u64, other: u64) -> bool {
    one.abs_diff(other) > one / 10
}

fn hang_ups(report: &Report) -> Option<(&'static str, String)> {
    let hang_ups = &report.hang_ups;
    if hang_ups.local + hang_ups.peer == 0 {
        return None;
    }
    let mut parts = Vec::new();
    if hang_ups.local > 0 {
        let mut part = format!("{} while TCP was trying", grouped(hang_ups.local));
        let details: Vec<String> = [
            (hang_ups.connecting, "connecting"),
            (hang_ups.before_first_retransmission, "before any retransmission"),
            (hang_ups.killed, "killed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
        if !details.is_empty() {
            part += &format!(" ({})", details.join(", "));
        }
        if let (Some(half), Some(max)) = (hang_ups.patience_ms.quantile(0.5), hang_ups.patience_ms.max()) {
            part += &match hang_ups.patience_ms.count() {
                1 => format!(", after {}", duration(max)),
                _ if duration(half) == duration(max) => format!(", all within {}", duration(max)),
                _ => format!(", half within {}, all within {}", duration(half), duration(max)),
            };
        }
        parts.push(part);
    }
    if hang_ups.peer > 0 {
        parts.push(format!("{} by the peer", grouped(hang_ups.peer)));
    }
    Some(("Hang-ups", parts.join("; ")))
}

/// Recovery time, RTOs, deepest backoff.
pub(super) fn histograms(pen: &mut Pen, report: &Report) {
    let columns = (pen.columns() - 2 * GAP) / 3;
    let all = [
        ("RECOVERED WITHIN", bars::times(&report.recovery_ms)),
        ("RTOS THAT EXPIRED", bars::times(&report.rto_ms)),
        ("DEEPEST BACKOFF", bars::numbers(&report.deepest)),
    ];
    let blocks: Vec<Vec<Row>> = all
        .iter()
        .filter(|(_, bins)| !bins.is_empty())
        .map(|(title, bins)| histogram(title, bins, columns))
        .collect();
    if !blocks.is_empty() {
        pen.gap();
        side_by_side(pen, &blocks, columns, GAP);
    }
}

fn histogram(title: &str, bins: &[Bin], columns: usize) -> Vec<Row> {
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0);
    let label = bins.iter().map(|bin| bin.label.len()).max().unwrap_or(0);
    let count = bins.iter().map(|bin| short(bin.count).len()).max().unwrap_or(0);
    let room = columns.saturating_sub(label + count + 2);
    let title = vec![Cell::styled(HEADING, cut(title, columns))];
    let rows = bins.iter().map(|bin| {
        let figures = format!("{:>label$} {:>count$} ", bin.label, short(bin.count));
        vec![Cell::plain(figures), Cell::styled(super::NOTICE, bars::bar(bin.count, most, room))]
    });
    [title].into_iter().chain(rows).collect()
}
