//! One file a concern; the programs themselves are in `tracepoints`.

mod filters;
mod load;
mod output;
mod owners;
mod recoveries;
mod seed;
mod settings;
mod socket;
mod tracepoints;
