//! When will the kernel give a connection up, and which knob does it.
//!
//! Pure code over what the kernel said at one moment. The same steps as `tcp_retransmit_timer` are taken ahead of
//! time, on the same scale (jiffies) and with the same roundings, of which the timer wheel's is the largest.
//!
//! * [`TimerView`]: what is known of a socket's retransmission timer, at a retransmission
//!   ([`TimerView::from_record`]) or between two of them ([`TimerView::from_seed`]); [`TimerView::forecast`] goes
//!   on from there.
//! * [`RequestView`]: the same for a connection request whose SYN-ACK is not answered.
//! * [`of_record`]: either of them, from a record.
//!
//! `expected` is the most likely time. `earliest..latest` covers what one record does not show: where
//! within its jiffy it was, a tick between the probe and the timer's arming, a late softirq, ms that the kernel
//! cuts off. If a budget ends within these of a timeout, the bounds reach from one timeout to the next.
//!
//! ```
//! use tcpretrans::{
//!     deadline,
//!     event::{Knob, What},
//!     recording::{Detail, Reader},
//!     socket::Hz,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! for recorded in Reader::open(&["tests/recordings/night.jsonl".into()], Detail::Whole)? {
//!     if let What::Retransmit(retransmit) = recorded?.event.what
//!         && let Some(deadline) = deadline::of_record(retransmit.ty, &retransmit.record, Hz::new(250))
//!         && deadline.knob == Knob::TcpRetries2
//!     {
//!         println!("{:?} ns after the start of the machine, or at the latest at {:?}", deadline.expected_ns,
//!             deadline.latest_ns);
//!         assert!((deadline.earliest_ns..=deadline.latest_ns).contains(&deadline.expected_ns));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A deadline is given for every retransmission that can end in a timeout, ACK-clocked ones included: it
//! is what happens if nothing arrives from now on. The next event corrects it.

mod backoff;
mod budget;
mod firing;
mod forecast;
mod from_record;
mod from_seed;
#[cfg(test)]
mod observed;
mod projection;
mod request;
#[cfg(test)]
mod simulation;
mod view;
pub(crate) mod wheel;
mod write_timeout;

pub use budget::model_timeout;
pub use from_record::is_plausible;
pub use request::{Queue, RequestView, WaitCap, request_wait};
use tcpretrans_ebpf::{Attempt, Record};
pub use view::{Estimate, Sysctls, Thin, Timer, TimerView};

use crate::{
    event::{Deadline, RetransmitType},
    socket::Hz,
};

/// The deadline at a retransmission of that type; `None` where none can be computed.
pub fn of_record(ty: RetransmitType, record: &Record, hz: Hz) -> Option<Deadline> {
    match ty.attempt() {
        Attempt::SynAck => Some(RequestView::from_record(record, hz, None)?.forecast()),
        Attempt::Segment => TimerView::from_record(ty, record, hz)?.forecast(),
    }
}
