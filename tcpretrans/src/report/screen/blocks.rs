//! Blocks of the overview that stand side by side, and the sentences between.

use anstyle::Style;

use super::bars::{self, Bin};
use crate::{
    event::{Cause, TypeTotal},
    page::{ALARM, Block, Column, HEADING, Keep, NOTICE, PLAIN, Pen, Table, Text, side_by_side, width},
    report::tally::{Ending, Report},
    words::{
        figures::{count, short, thousands},
        time::{micros, millis},
    },
};

/// Rows of types and endings; the rest is summed up.
const MOST_ROWS: usize = 7;

/// By type, and by cause.
pub(super) fn types_and_endings(pen: &mut Pen, report: &Report) {
    pen.gap();
    side_by_side(pen, &[&types(report), &endings(report)]);
}

/// How many rows there are for so many things, if the rest needs one of its own.
fn rows_for(things: usize) -> usize {
    if things > MOST_ROWS { MOST_ROWS - 1 } else { MOST_ROWS }
}

fn types(report: &Report) -> Table {
    let mut totals: Vec<(&str, TypeTotal)> =
        report.totals.retransmits.iter().map(|(ty, total)| (ty.name(), *total)).collect();
    totals.sort_by_key(|(_, total)| std::cmp::Reverse(total.sent + total.failed));
    let failed = totals.iter().any(|(_, total)| total.failed > 0);
    let figures = if failed { 4 } else { 3 };
    let columns = std::iter::once(Column::LEFT.at_least(11)).chain([Column::RIGHT.at_least(5)]);
    let mut table =
        Table::new(columns.chain(std::iter::repeat_n(Column::RIGHT.at_least(6), figures - 1))).gap(1);
    let mut line = |style: Style, [name, sent, failures, segs, bytes]: [&str; 5]| {
        let failures = failed.then_some(failures);
        let cells = [name, sent].into_iter().chain(failures).chain([segs, bytes]);
        table.row(cells.map(|cell| Text::styled(style, cell)));
    };
    line(HEADING, ["TYPE", "SENT", "FAILED", "SEGS", "BYTES"]);
    let mut row = |name: &str, total: &TypeTotal| {
        let [sent, failed, segs, bytes] = [total.sent, total.failed, total.segs, total.bytes].map(short);
        line(PLAIN, [name, &sent, &failed, &segs, &bytes]);
    };
    let room = rows_for(totals.len());
    totals.iter().take(room).for_each(|(name, total)| row(name, total));
    let rest = totals.get(room..).unwrap_or_default();
    if !rest.is_empty() {
        let mut sum = TypeTotal::default();
        rest.iter().for_each(|(_, total)| sum += total);
        row(&format!("{} others", rest.len()), &sum);
    }
    if totals.is_empty() {
        line(PLAIN, ["none", "", "", "", ""]);
    }
    table
}

fn endings(report: &Report) -> Table {
    let mut table =
        Table::new([Column::LEFT.at_least(19), Column::LEFT.at_least(8), Column::RIGHT.at_least(8)]).gap(1);
    let mut line = |style: Style, cells: [&str; 3]| table.row(cells.map(|cell| Text::styled(style, cell)));
    let look = |is_death: bool| if is_death { ALARM } else { PLAIN };
    line(HEADING, ["ENDED AS", "BY", "FLOWS"]);
    let is_death = |ending: &Ending| ending.cause.is_death();
    let room = rows_for(report.endings.len());
    for ending in report.endings.iter().take(room) {
        line(look(is_death(ending)), [ending.cause.name(), who(ending), &short(ending.count)]);
    }
    let rest = report.endings.get(room..).unwrap_or_default();
    if !rest.is_empty() {
        let flows: u64 = rest.iter().map(|ending| ending.count).sum();
        let others = format!("{} others", rest.len());
        line(look(rest.iter().any(is_death)), [&others, "", &short(flows)]);
    }
    if report.endings.is_empty() {
        line(PLAIN, ["none", "", ""]);
    }
    table
}

fn who(ending: &Ending) -> &'static str {
    match (ending.who, ending.cause) {
        (Some(who), _) => who.name(),
        (None, Cause::SimultaneousClose) => "both",
        (None, _) => "unknown",
    }
}

/// What was predicted and what came; who closed while TCP was retransmitting.
pub(super) fn forecasts_and_hang_ups(pen: &mut Pen, report: &Report) {
    let sentences: Vec<(&str, String)> =
        [forecasts(report), hang_ups(report)].into_iter().flatten().collect();
    if sentences.is_empty() {
        return;
    }
    pen.gap();
    for (label, text) in sentences {
        pen.paragraph(format!("{label:<14}"), 14, PLAIN, text);
    }
}

fn forecasts(report: &Report) -> Option<(&'static str, String)> {
    let forecasts = &report.forecasts;
    let deaths = forecasts.predicted + forecasts.not_predicted;
    if deaths == 0 {
        return None;
    }
    let mut text =
        format!("{} of {} predicted", thousands(forecasts.predicted), count(deaths, "kernel timeout"));
    let (first, last) = (&forecasts.first, &forecasts.last);
    if let (Some(off), Some(least), Some(most)) =
        (first.off_us.max(), forecasts.lead_ms.min(), forecasts.lead_ms.max())
    {
        let lead =
            if least == most { millis(most) } else { format!("{} to {}", millis(least), millis(most)) };
        text += &format!(", {lead} before; wrong by {} at most", micros(off));
        let outside = first.off_us.count() - forecasts.within_window;
        if outside > 0 {
            text += &format!(", {} outside the predicted range", thousands(outside));
        }
    }
    // Both are as exact as the timer's tick, as a rule.
    if let Some(off) =
        last.off_us.max().filter(|off| first.off_us.max().is_none_or(|first| differ(first, *off)))
    {
        text += &format!("; the last prediction of each by {} at most", micros(off));
    }
    Some(("Predictions", text))
}

/// Is it worth showing both?
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
        let mut part = format!("{} by applications while TCP was retransmitting", thousands(hang_ups.local));
        let details: Vec<String> = [
            (hang_ups.connecting, "during connect()"),
            (hang_ups.before_first_retransmission, "before the first retransmission"),
            (hang_ups.killed, "process killed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", thousands(count)))
        .collect();
        if !details.is_empty() {
            part += &format!(" ({})", details.join(", "));
        }
        if let (Some(half), Some(max)) = (hang_ups.patience_ms.quantile(0.5), hang_ups.patience_ms.max()) {
            part += &match hang_ups.patience_ms.count() {
                1 => format!(", after {}", millis(max)),
                _ if millis(half) == millis(max) => format!(", all within {}", millis(max)),
                _ => format!(", half within {}, all within {}", millis(half), millis(max)),
            };
        }
        parts.push(part);
    }
    if hang_ups.peer > 0 {
        parts.push(format!("{} by the peer", thousands(hang_ups.peer)));
    }
    Some(("Closed early", parts.join("; ")))
}

/// Recovery time, RTOs, deepest backoff.
pub(super) fn histograms(pen: &mut Pen, report: &Report) {
    let histograms = [
        ("RECOVERED WITHIN", bars::times(&report.recovery_ms)),
        ("RTOS THAT EXPIRED", bars::times(&report.rto_ms)),
        ("RTOS IN A ROW", bars::numbers(&report.deepest)),
    ];
    let histograms = histograms.map(|(title, bins)| Histogram { title, bins });
    let blocks: Vec<&dyn Block> = histograms
        .iter()
        .filter(|histogram| !histogram.bins.is_empty())
        .map(|histogram| histogram as &dyn Block)
        .collect();
    if !blocks.is_empty() {
        pen.gap();
        side_by_side(pen, &blocks);
    }
}

struct Histogram {
    title: &'static str,
    bins: Vec<Bin>,
}

impl Histogram {
    /// The shortest bar for the highest count that can be distinguished from half of it at a glance.
    const LEAST_BAR: usize = 6;

    fn figures(&self) -> [usize; 2] {
        let widest = |width: fn(&Bin) -> usize| self.bins.iter().map(width).max().unwrap_or(0);
        [widest(|bin| width(&bin.label)), widest(|bin| width(&short(bin.count)))]
    }
}

impl Block for Histogram {
    fn needed(&self) -> usize {
        let [label, count] = self.figures();
        width(self.title).max(label + count + 2 + Histogram::LEAST_BAR)
    }

    fn lines(&self, columns: usize) -> Vec<Text> {
        let [label, count] = self.figures();
        let most = self.bins.iter().map(|bin| bin.count).max().unwrap_or(0);
        let room = columns.saturating_sub(label + count + 2);
        let title = Text::styled(HEADING, self.title).cut(columns, Keep::Beginning);
        let bins = self.bins.iter().map(|bin| {
            let figures = format!("{:>label$} {:>count$} ", bin.label, short(bin.count));
            Text::from(figures).and(NOTICE, bars::bar(bin.count, most, room))
        });
        [title].into_iter().chain(bins).collect()
    }
}
