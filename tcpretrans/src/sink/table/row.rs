//! An event's line.

use super::{
    cells::{self, local_time, time_of_day},
    layout::{Column, Layout, Line},
    note, sentence,
    style::Look,
};
use crate::event::{Clock, Event, Retransmit, What};

/// The event's lines without the last newline, mostly one; `None`: the table does not show such events.
pub fn row(event: &Event, layout: &Layout, clock: &Clock) -> Option<String> {
    let timed = note::with_local_time(&event.what, layout, clock).map(|what| Event { what, ..event.clone() });
    let event = timed.as_ref().unwrap_or(event);
    let mut line = match &event.what {
        What::Retransmit(retransmit) => retransmission(event, retransmit, layout, clock),
        what => other(event, what, layout, clock)?,
    };
    if let Some(shorter) = note::without(&line, &event.what, layout) {
        line = other(event, &shorter, layout, clock)?;
    }
    let style = Look::of(event).style();
    let styled = |line: String| if layout.colour { format!("{style}{line}{style:#}") } else { line };
    let below = note::below(&line, &event.what, layout);
    let lines: Vec<String> = std::iter::once(line).chain(below).map(styled).collect();
    Some(lines.join("\n"))
}

fn retransmission(event: &Event, retransmit: &Retransmit, layout: &Layout, clock: &Clock) -> String {
    let mut line = Line::new(layout);
    for &(column, width) in layout.columns() {
        let text = match column {
            Column::Type => cells::type_name(retransmit).into_owned(),
            Column::Segs => cells::segs(retransmit),
            Column::State => cells::state(retransmit.state).into_owned(),
            Column::Rto => cells::rto(retransmit),
            Column::Try => cells::tries(retransmit),
            Column::Srtt => cells::srtt(retransmit.srtt_us),
            Column::Cwnd => retransmit.cwnd.to_string(),
            Column::Outlook => sentence::outlook(retransmit, event.mono_ns, clock, layout, line.room()),
            _ => whose(event, column, width, layout, clock),
        };
        line.cell(&text, width);
    }
    line.finish()
}

/// The columns that every event of a flow has.
fn whose(event: &Event, column: Column, width: usize, layout: &Layout, clock: &Clock) -> String {
    let may_be = layout.width().map(|_| width);
    let unknown = || cells::UNKNOWN.to_owned();
    let flow = event.flow.as_deref();
    match column {
        Column::Time => time_of_day(local_time(event.mono_ns, clock, layout.zone()), width),
        Column::Flow => flow.map_or_else(unknown, |flow| cells::flow(flow, may_be)),
        Column::Process => flow.map_or_else(unknown, |flow| cells::process(flow, may_be)),
        Column::Netns => cells::number(flow.map(|flow| flow.netns).filter(|&netns| netns != 0)),
        Column::Uid => cells::number(flow.and_then(|flow| flow.uid)),
        Column::Cgroup => flow.map_or_else(unknown, |flow| cells::cgroup(flow, may_be)),
        _ => unknown(),
    }
}

fn kind_name(what: &What) -> &'static str {
    match what {
        What::Start(_) => "start",
        What::Retransmit(_) => "retransmit",
        What::InBackoff(_) => "in_backoff",
        What::Threshold(threshold) => match threshold.name {
            crate::event::ThresholdName::Retries1 => "retries1",
            crate::event::ThresholdName::Deadline => "deadline",
        },
        What::Recovered(_) => "recovered",
        What::Closed(_) => "closed",
        What::Observation(_) => "observed",
        What::Lost(_) => "lost",
        What::End(_) => "end",
    }
}

/// Time, kind, whose, and a sentence.
fn other(event: &Event, what: &What, layout: &Layout, clock: &Clock) -> Option<String> {
    let mut line = Line::new(layout);
    for &(column, width) in layout.columns() {
        match column {
            Column::Time => line.cell(&whose(event, column, width, layout, clock), width),
            Column::Type => line.cell(kind_name(what), width),
            Column::Flow | Column::Process if event.flow.is_some() => {
                line.cell(&whose(event, column, width, layout, clock), width);
            }
            _ => {}
        }
    }
    let text = sentence::sentence(what, event.mono_ns, clock, layout, line.room())?;
    line.cell(&text, 0);
    Some(line.finish())
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
