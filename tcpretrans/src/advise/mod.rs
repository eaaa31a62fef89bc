//! `tcpretrans advise`: what-if answers from recorded flows, each with its evidence.
//!
//! The core is pure: [`Advisor`] takes a recording's events one by one, with no clock and no I/O, and concludes with an
//! [`Advice`], of which the JSON form is a copy and the text a rendering.
//!
//! * `rto_min`: what another RTO floor would do to the losses that timers repaired. `loss_finder` finds
//!   them, [`estimator`] has the arithmetic of the RTO, `expiries` that of the timers, `loss` puts the two together.
//! * `timeouts`: which timeouts of applications would have cut off what TCP repaired.
//! * `give_up`: `tcp_retries2` and TCP_USER_TIMEOUT, by the forecast, turned to other values.
//!
//! A recording has only flows with losses. What a change would do to all the others is not in it: the text and the
//! documentation say so.

mod advisor;
pub(crate) mod args;
mod command;
mod distribution;
pub(crate) mod estimator;
mod expiries;
mod give_up;
mod hanging_up;
mod loss;
mod loss_finder;
mod remote;
mod rto_min;
#[cfg(test)]
mod story;
mod text;
mod timeouts;

pub(crate) use advisor::{Advice, Advisor, Questions, RecordingFacts};
pub(crate) use command::run;
