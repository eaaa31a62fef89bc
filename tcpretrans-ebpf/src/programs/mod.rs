//! One file a concern; the programs themselves are in `tracepoints`, `recoveries` and `seed`.

mod clock;
mod fill;
mod filters;
mod load;
mod output;
mod owners;
mod recoveries;
mod seed;
mod settings;
mod socket;
mod tracepoints;
mod tuple;
