//! The words that everything prints: durations, figures, names of errors, signals and states, and text made safe to
//! print. The same quantity has the same form everywhere.

pub mod errno;
pub mod escape;
pub mod figures;
pub mod signal;
pub mod state_name;
pub mod time;
