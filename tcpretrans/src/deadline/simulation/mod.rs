//! An independent simulation of the kernel, to test the forecast against.
//!
//! It shares no code with the model: a timer wheel with real buckets, and TCP's timeout handlers step by step as
//! the source has them, in the kernel's wrapping 32-bit arithmetic.

mod buckets;
mod properties;
mod read_midway;
mod requests;
mod setup;
mod tcp;
mod worked_examples;
