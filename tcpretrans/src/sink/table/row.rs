//! An event's line.

use super::{
    cells::{self, local_time},
    layout::{Column, Layout},
    sentence::{self, Scene, Sentence},
    style::Look,
};
use crate::{
    event::{Clock, Event, Retransmit, What},
    page::{Row, wrap},
    words::time::{time_of_day, time_of_day_ms},
};

/// Before what stands below a line.
const INDENT: &str = "         ";

/// The event's lines without the last newline, mostly one; `None`: the table does not show such events.
pub(crate) fn row(event: &Event, layout: &Layout, clock: &Clock) -> Option<String> {
    let mut row = layout.row();
    let below = match &event.what {
        What::Retransmit(retransmit) => retransmission(&mut row, event, retransmit, layout, clock),
        what => other(&mut row, event, what, layout, clock)?,
    };
    let style = Look::of(event).style();
    let mut lines = layout.styled(style, &row.finish());
    for line in below.iter().flat_map(|below| lines_below(below, layout)) {
        lines.push('\n');
        lines.push_str(&layout.styled(style, &line));
    }
    Some(lines)
}

fn lines_below(text: &str, layout: &Layout) -> Vec<String> {
    match layout.width() {
        // A terminal of a few columns is nobody's: there the sentence would be a tower of letters.
        Some(width) if width >= 2 * INDENT.len() => wrap(text, width, INDENT, INDENT),
        _ => Vec::new(),
    }
}

/// Fills the row; what has no room in it is to stand below.
fn retransmission(
    row: &mut Row,
    event: &Event,
    retransmit: &Retransmit,
    layout: &Layout,
    clock: &Clock,
) -> Option<String> {
    let mut below = None;
    for &(column, width) in layout.columns() {
        let text = match column {
            Column::Type => cells::type_name(retransmit).into_owned(),
            Column::Segs => cells::segs(retransmit),
            Column::State => cells::state(retransmit.state).into_owned(),
            Column::Rto => cells::rto(retransmit),
            Column::Try => cells::tries(retransmit),
            Column::Srtt => cells::srtt(retransmit.srtt_us),
            Column::Cwnd => retransmit.cwnd.to_string(),
            Column::Outlook => {
                let scene = Scene { now_ns: event.mono_ns, clock, layout, room: row.room() };
                let outlook = sentence::outlook(retransmit, scene);
                below = outlook.below;
                outlook.line
            }
            _ => whose(event, column, width, layout, clock),
        };
        row.cell(&text, width);
    }
    below
}

/// The columns that every event of a flow has.
fn whose(event: &Event, column: Column, width: usize, layout: &Layout, clock: &Clock) -> String {
    let may_be = layout.width().map(|_| width);
    let unknown = || cells::UNKNOWN.to_owned();
    let flow = event.flow.as_deref();
    match column {
        Column::Time => {
            let at = local_time(event.mono_ns, clock, layout.zone());
            if width < "15:04:07.123".len() { time_of_day(at) } else { time_of_day_ms(at) }
        }
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

/// Time, kind, whose, and a sentence; what has no room in the row is to stand below. `None`: not shown at all.
fn other(
    row: &mut Row,
    event: &Event,
    what: &What,
    layout: &Layout,
    clock: &Clock,
) -> Option<Option<String>> {
    for &(column, width) in layout.columns() {
        match column {
            Column::Time => row.cell(&whose(event, column, width, layout, clock), width),
            Column::Type => row.cell(kind_name(what), width),
            Column::Flow | Column::Process if event.flow.is_some() => {
                row.cell(&whose(event, column, width, layout, clock), width);
            }
            _ => {}
        }
    }
    let scene = Scene { now_ns: event.mono_ns, clock, layout, room: row.room() };
    let Sentence { line, below } = sentence::sentence(what, scene)?;
    row.cell(&line, 0);
    Some(below)
}

#[cfg(test)]
#[path = "row_tests.rs"]
mod tests;
