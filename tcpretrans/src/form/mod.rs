//! JSON Lines: one object a line, for scripts, dashboards and replay. `docs/events.md` is its description; the fields
//! of each event are defined with the event (`event::json`). Here is what all lines have: times, `flow`, and
//! `kernel`, the record that the event was made of.

mod cut;
mod decode;
mod encode;
mod flows;
mod kernel_object;

#[cfg(test)]
mod round_trip;

pub use decode::{Decoded, Decoder, Detail, decode};
pub use encode::encode;

pub use crate::event::json::{DecodeError, Timestamp};
