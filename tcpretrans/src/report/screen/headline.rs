//! The first lines: when, how much of it is known, how bad.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::{
    BAD, FAINT, HEADING, NOTICE,
    bars::sparkline,
    figures::{Times, bytes, counted, grouped, short},
    pen::Pen,
};
use crate::{
    report::{Subject, tally::Report},
    sink::table::cells::duration,
    words::escape::visible,
};

const NS_PER_MS: u64 = 1_000_000;

pub(super) fn write(pen: &mut Pen, report: &Report, subject: &Subject, times: &Times<'_>) {
    when(pen, report, times);
    asked_for(pen, subject, times);
    gaps_in_knowledge(pen, report, subject);
    if report.events == 0 {
        pen.line(if subject.window.is_everything() && subject.filters.is_empty() {
            "Nothing happened: no retransmission, no death."
        } else {
            "Nothing that was asked for happened."
        });
        return;
    }
    how_bad(pen, report);
    timeline(pen, report, times);
}

fn when(pen: &mut Pen, report: &Report, times: &Times<'_>) {
    let sessions = &report.sessions;
    let Some(first_ns) = sessions.first_ns else { return };
    let mut text = format!(
        "{} to {}, {} in {}",
        times.whole(first_ns),
        times.short(sessions.last_ns),
        duration(sessions.recorded_ns / NS_PER_MS),
        counted(sessions.count, "session", "sessions"),
    );
    if let Some(gap) = sessions.longest_gap {
        let at = times.short(gap.from_ns);
        let length = duration(gap.ns / NS_PER_MS);
        text += &match sessions.gaps {
            1 => format!(", gap of {length} at {at}"),
            gaps => format!(", {} gaps, the longest {length} at {at}", grouped(gaps)),
        };
    }
    pen.sentence(HEADING, "", 2, &text);
}

fn asked_for(pen: &mut Pen, subject: &Subject, times: &Times<'_>) {
    let mut parts = Vec::new();
    let window = subject.window;
    if let Some(since_ns) = window.since_ns {
        parts.push(format!("from {}", times.whole(since_ns)));
    }
    if let Some(until_ns) = window.until_ns {
        parts.push(format!("until {}", times.whole(until_ns)));
    }
    parts.extend(subject.filters.iter().map(|(option, value)| format!("{option} {}", visible(value))));
    if !parts.is_empty() {
        pen.sentence(Style::new(), "", 2, &format!("Only {}", parts.join(", ")));
    }
}

fn gaps_in_knowledge(pen: &mut Pen, report: &Report, subject: &Subject) {
    let lost: Vec<String> = report
        .totals
        .lost
        .iter()
        .filter(|(_, records)| **records > 0)
        .map(|(place, records)| format!("{} {}", place.name(), grouped(*records)))
        .collect();
    if !lost.is_empty() {
        let text = format!("LOST while recording, so the numbers below are too low: {}", lost.join(", "));
        pen.sentence(BAD, "", 2, &text);
    }
    if subject.damaged_lines > 0 {
        let lines = counted(subject.damaged_lines, "damaged line was", "damaged lines were");
        pen.sentence(BAD, "", 2, &format!("{lines} skipped"));
    }
    let sessions = &report.sessions;
    if sessions.without_end > 0 {
        let have = counted(sessions.without_end, "session has", "sessions have");
        let text = format!("{have} no end: the tracer was killed or still runs, or the file is cut");
        pen.sentence(NOTICE, "", 2, &text);
    }
    if sessions.overlapping > 0 {
        let overlap = counted(sessions.overlapping, "session overlaps", "sessions overlap");
        pen.sentence(NOTICE, "", 2, &format!("{overlap} with others: what two tracers saw counts twice"));
    }
    if report.flows_forgotten > 0 {
        let flows = counted(report.flows_forgotten, "connection was", "connections were");
        let text = format!("{flows} forgotten to bound memory; those that came again count twice");
        pen.sentence(NOTICE, "", 2, &text);
    }
}

fn how_bad(pen: &mut Pen, report: &Report) {
    let counts = report.counts();
    let mut text = format!(
        "{}, {} of them timeouts; {}, {}",
        counted(counts.sent, "retransmission", "retransmissions"),
        grouped(counts.timeouts),
        counted(counts.segs, "segment", "segments"),
        bytes(counts.bytes),
    );
    if counts.failed > 0 {
        text += &format!("; {} more could not be sent", grouped(counts.failed));
    }
    pen.sentence(Style::new(), "", 2, &text);

    let mut text = format!(
        "{}, {} retransmitted",
        counted(report.all.flows, "connection", "connections"),
        match report.all.retransmitting {
            all if all == report.all.flows && all > 1 => "all".to_owned(),
            some => grouped(some),
        },
    );
    text += &match counts.deaths {
        0 => "; none died".to_owned(),
        deaths => format!("; {} died", grouped(deaths)),
    };
    if report.undelivered_bytes > 0 {
        text += &format!(" with {} undelivered", bytes(report.undelivered_bytes));
    }
    let open = report.all.flows.saturating_sub(counts.closed);
    if open > 0 {
        text += &format!(", {} left open", grouped(open));
    }
    pen.sentence(if counts.deaths > 0 { BAD } else { Style::new() }, "", 2, &text);
    recoveries(pen, report);
}

fn recoveries(pen: &mut Pen, report: &Report) {
    let counts = report.counts();
    let mut text = counted(counts.recovered, "recovery", "recoveries");
    if let (Some(half), Some(most), Some(max)) =
        (report.recovery_ms.quantile(0.5), report.recovery_ms.quantile(0.99), report.recovery_ms.max())
    {
        text += &match report.recovery_ms.count() {
            1 => format!(" after {}", span(max)),
            2..100 => format!(": half in {}, longest {}", span(half), span(max)),
            _ => {
                format!(": half in {}, 99 % in {}, longest {}", span(half), span(most), span(max))
            }
        };
    }
    let known = counts.recovered.saturating_sub(counts.spurious_unknown);
    if known > 0 {
        let percent = (counts.spurious as f64 * 100.0 / known as f64).round();
        text += &format!("; {percent} % needless ({} of {}", grouped(counts.spurious), grouped(known));
        if counts.spurious_unknown > 0 {
            text += &format!(", {} unknown", grouped(counts.spurious_unknown));
        }
        text.push(')');
    }
    pen.sentence(Style::new(), "", 2, &text);
}

fn span(ms: u64) -> String {
    if ms == 0 { "1ms".to_owned() } else { duration(ms) }
}

fn timeline(pen: &mut Pen, report: &Report, times: &Times<'_>) {
    let mut most = pen.columns();
    loop {
        let timeline = report.timeline.narrowed(most);
        let Some((peak_ns, peak)) = timeline.peak() else { return };
        let bin = duration(timeline.width_s() * 1000).replace(".0s", "s");
        let [begin, end, at] = [timeline.begin_ns(), timeline.end_ns(), peak_ns].map(|ns| times.about(ns));
        let peak = format!("  most {} in {bin} at {at}", short(peak));
        let chart = sparkline(timeline.bins());
        if begin.len() + chart.width() + end.len() + peak.len() + 2 <= pen.columns() || most <= 2 {
            let chart = pen.styled(NOTICE, &chart);
            let peak = pen.styled(FAINT, &peak);
            pen.line(&format!("{begin} {chart} {end}{peak}"));
            return;
        }
        most = timeline.bins().len() - 1;
    }
}
