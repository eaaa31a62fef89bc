//! The words that everything prints: durations, figures, names of errors, signals, states and tracepoints, and text
//! made safe to print. The same quantity has the same form everywhere.

pub mod errno;
pub mod escape;
pub mod figures;
pub mod signal;
pub mod state_name;
pub mod time;
pub mod tracepoint;
