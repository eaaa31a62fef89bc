//! The one driver of what becomes of events: gate, totals, sinks.

pub mod outputs;
