//! How connections end, who ended them, and why: one test for each ending, with the cause asserted exactly.

mod churn;
mod connects;
mod expected;
mod hang_ups;
mod namespaces;
mod network;
mod orderly;
mod recoveries;
mod requests;
mod resets;
mod timeouts;
