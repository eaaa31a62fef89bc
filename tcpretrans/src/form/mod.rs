//! JSON Lines: one object a line, for scripts, dashboards and replay. `docs/events.md` is its description.

mod cut;
pub mod decode;
pub mod encode;
mod flows;
pub mod kernel_object;
mod meaning;
pub mod schema;
pub mod timestamp;

#[cfg(test)]
mod round_trip;

pub use decode::{DecodeError, Decoded, Decoder, Detail, decode};
pub use encode::encode;
pub use timestamp::Timestamp;
