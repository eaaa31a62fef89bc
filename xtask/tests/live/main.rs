//! The tracer against a real kernel and real trouble, in network namespaces of the tests' own. Each test traces
//! only its own lab, so that tests run side by side.
//!
//! Without root they are skipped; under `CI=true` a skip is a failure.

/// First line of a live test: leaves it where no lab can be made, and has it run by [`attempts`] elsewhere.
macro_rules! require_lab {
    () => {
        fn here() {}
        if !crate::attempts::is_mine(std::any::type_name_of_val(&here)) {
            return;
        }
    };
}

mod advise;
mod already_troubled;
mod attempts;
mod bad_usage;
mod counts;
mod death_clock;
mod endings;
mod failed_send;
mod file_log;
mod filters;
mod full_disk;
mod handshake;
mod limits;
mod lost_records;
mod mapped_address;
mod netem;
mod obituary;
mod privileges;
mod process;
mod recording;
mod recovery;
mod replayed;
mod report;
mod rotation;
mod rto_ladder;
mod storm;
mod table;
mod tail_loss;
mod totals;
mod tracer;
mod truth;
mod unseen;
mod untroubled;
mod verifier;
