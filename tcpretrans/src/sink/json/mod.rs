//! JSON Lines: one object a line, for scripts, dashboards and replay. `docs/events.md` is its description.

pub mod decode;
pub mod encode;
pub mod kernel_object;
pub mod schema;
pub mod stream;
pub mod timestamp;
mod tracepoint;

#[cfg(test)]
mod round_trip;

pub use decode::{DecodeError, decode};
pub use encode::encode;
pub use timestamp::Timestamp;
