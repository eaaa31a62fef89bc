//! The sentence for people, below a line that has no room for it.
//!
//! What a retransmission means is in its columns. Why a connection ended is the answer that the user came for: on
//! a terminal that is too narrow for it, it gets lines of its own instead of an ellipsis.

use std::borrow::Cow;

use super::{
    cells::{local_time, time_of_day},
    layout::Layout,
};
use crate::{
    event::{Clock, Closed, What},
    words::escape::visible,
};

/// Columns before the sentence.
const INDENT: &str = "         ";

/// The event's sentence for people; `None`: it has none.
fn note(what: &What) -> Option<Cow<'_, str>> {
    let note = match what {
        What::Closed(closed) => closed.note.as_str(),
        What::Threshold(threshold) => threshold.note.as_str(),
        _ => "",
    };
    (!note.is_empty()).then(|| visible(note))
}

/// The event with the whole sentence as its note; `None`: it is that already.
pub fn with_local_time(what: &What, layout: &Layout, clock: &Clock) -> Option<What> {
    let What::Closed(closed) = what else { return None };
    closed.hung_up.as_ref()?;
    let note =
        closed.sentence(|mono_ns| time_of_day(local_time(mono_ns, clock, layout.zone()), "15:04:07".len()));
    Some(What::Closed(Box::new(Closed { note, ..(**closed).clone() })))
}

/// Does the line lack the event's sentence, or a part of it?
fn is_missing(line: &str, what: &What, layout: &Layout) -> bool {
    layout.width().is_some() && note(what).is_some_and(|note| !line.contains(note.as_ref()))
}

/// The event for a line that has no room for the sentence; `None`: it has, or needs none.
pub fn without(line: &str, what: &What, layout: &Layout) -> Option<What> {
    if !is_missing(line, what, layout) {
        return None;
    }
    let mut what = what.clone();
    match &mut what {
        What::Closed(closed) => closed.note.clear(),
        What::Threshold(threshold) => threshold.note.clear(),
        _ => {}
    }
    Some(what)
}

/// The lines below `line` that have what it lacks.
pub fn below(line: &str, what: &What, layout: &Layout) -> Vec<String> {
    let (true, Some(width), Some(note)) = (is_missing(line, what, layout), layout.width(), note(what)) else {
        return Vec::new();
    };
    // A terminal of a few columns is nobody's: there the sentence would be a tower of letters.
    if width < 2 * INDENT.len() {
        return Vec::new();
    }
    let options = textwrap::Options::new(width).initial_indent(INDENT).subsequent_indent(INDENT);
    textwrap::wrap(&note, options).into_iter().map(Cow::into_owned).collect()
}
