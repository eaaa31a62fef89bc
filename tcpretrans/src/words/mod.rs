//! The words that everything prints: names of errors, signals and states, and text made safe to print.

pub mod errno;
pub mod escape;
pub mod signal;
pub mod state_name;
