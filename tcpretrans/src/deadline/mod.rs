//! The death clock: when will the kernel give a connection up, and which knob does it.
//!
//! Pure code over what the kernel said at one moment. The same steps as `tcp_retransmit_timer` are taken ahead of
//! time, on the same scale (jiffies) and with the same roundings, of which the timer wheel's is the largest.
//!
//! * [`TimerView`]: what is known of a socket's retransmission timer, at a retransmission
//!   ([`TimerView::from_record`]) or between two of them ([`TimerView::from_seed`]); [`TimerView::forecast`] climbs
//!   on.
//! * [`RequestView`]: the same for a connection request whose SYN-ACK is not answered.
//! * [`of_record`]: either of them, from a record.
//!
//! `expected` is the likeliest course of events. `earliest..latest` covers what one record cannot tell: where
//! within its jiffy it was, a tick between the probe and the timer's arming, a late softirq, ms that the kernel
//! cuts off. If a budget ends within these of a timeout, the bounds reach from one timeout to the next.
//!
//! A deadline is given for every retransmission that can end in death by silence, ACK-clocked ones included: it
//! is what happens if nothing arrives from now on. The next event corrects it.

mod budget;
mod firing;
mod forecast;
mod from_record;
mod ladder;
#[cfg(test)]
mod observed;
mod request;
mod seeded;
#[cfg(test)]
mod simulation;
mod verdict;
mod view;
pub mod wheel;

pub use budget::{model_timeout_ms, orphan_retries};
pub use from_record::is_plausible;
pub use request::{Queue, RequestView, WaitCap, request_wait_jiffies};
use tcpretrans_ebpf::Record;
pub use view::{Moment, Sysctls, Thin, Timer, TimerView};

use crate::event::{Deadline, RetransmitType};
pub use crate::socket::Kernel;

/// The deadline at a retransmission of that type; `None` where none can be computed.
pub fn of_record(ty: RetransmitType, record: &Record, kernel: Kernel) -> Option<Deadline> {
    match ty {
        RetransmitType::SynAck => RequestView::from_record(record, kernel)?.forecast(),
        _ => TimerView::from_record(ty, record, kernel)?.forecast(),
    }
}
