//! The words that everything prints: durations, figures, names of errors, signals and states, and text made safe to
//! print. The same quantity has the same form everywhere.

pub(crate) mod errno;
pub(crate) mod escape;
pub(crate) mod figures;
pub(crate) mod signal;
pub(crate) mod state_name;
pub(crate) mod time;
