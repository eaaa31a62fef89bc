//! In which situation the connection was closed: in the middle of a backoff, before the first RTO, or in peace.

use std::fmt::Write;

use super::process;
use crate::{
    event::{Closed, HungUp, HungUpSide},
    flow::state::FlowState,
    words::{figures::count, signal, time::millis},
};

/// To follow "closed by ...", with its space in front; empty in peace.
pub(super) fn of(closed: &Closed) -> String {
    match &closed.hung_up {
        Some(hung_up) => in_trouble(hung_up),
        None => unacked(closed),
    }
}

/// The same where bytes that were unacknowledged at the end are named elsewhere.
pub(super) fn in_trouble_only(closed: &Closed) -> String {
    closed.hung_up.as_ref().map(in_trouble).unwrap_or_default()
}

/// ` with 1,448 bytes unacknowledged`: at the end.
pub(super) fn unacked(closed: &Closed) -> String {
    match closed.unacked_bytes {
        0 => String::new(),
        bytes => format!(" with {} unacknowledged", count(bytes.into(), "byte")),
    }
}

fn in_trouble(hung_up: &HungUp) -> String {
    let bytes = count(hung_up.unacked_bytes.into(), "byte");
    match (hung_up.into_backoff_ms, hung_up.waited_ms) {
        (Some(ms), _) if hung_up.retransmits > 0 => {
            format!(" {} into an RTO backoff with {bytes} unacknowledged", millis(ms))
        }
        (Some(ms), _) => format!(" {} into a loss recovery with {bytes} unacknowledged", millis(ms)),
        (None, Some(waited_ms)) => format!(
            " {} after it had last sent, with {bytes} unacknowledged: it did not wait for the first retransmission \
             timeout, which takes {}",
            millis(waited_ms),
            millis(hung_up.rto_ms)
        ),
        (None, None) => format!(" with {bytes} unacknowledged"),
    }
}

/// A connect() that was given up.
pub(super) fn of_abandoned_connect(state: &FlowState, closed: &Closed) -> String {
    let process = process::in_brackets(state);
    let mut text = match closed.killed_by {
        Some(signal) => {
            format!("{} killed the application{process} while it was connecting", signal::described(signal))
        }
        None => format!("the application{process} gave up connecting"),
    };
    if let Some(ms) = closed.lifetime_ms {
        let _ = write!(text, " after {}", millis(ms));
    }
    let _ = write!(text, ", with {} unanswered", count(u64::from(closed.retransmissions) + 1, "SYN"));
    let early = closed.hung_up.as_ref().filter(|hung_up| hung_up.before_the_first_retransmission());
    if let Some(hung_up) = early.filter(|_| closed.killed_by.is_none()) {
        let _ = write!(
            text,
            ": it did not wait for the first retransmission, which comes after {}, so one lost packet fails it",
            millis(hung_up.rto_ms)
        );
    }
    text
}

/// What became of the data that was under way.
pub(super) fn afterwards(closed: &Closed, text: &mut String) {
    let Some(hung_up) = &closed.hung_up else { return };
    if closed.cause.is_orderly() && hung_up.side == HungUpSide::Local && closed.unacked_bytes == 0 {
        text.push_str("; all of it was acknowledged in the end");
    }
}
