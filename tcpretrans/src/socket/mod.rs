//! What a record says of its socket, read once: states and flags by name, units, sequence numbers, absent values as
//! `None`. Everything above speaks these words and not the wire's numbers.

mod jiffies;
mod reading;
mod seq;
mod stamp;
mod state;
mod units;

pub use jiffies::Hz;
#[cfg(test)]
pub(crate) use reading::{ABSENT, SOCK_DEAD, SOCK_LINGER};
pub(crate) use reading::{INFINITE_SSTHRESH, NET_XMIT_DROP, RecordExt, SnapshotExt, present};
pub use seq::SeqNum;
pub use stamp::StampClock;
pub use state::TcpState;
pub(crate) use state::{CaState, Pending};
pub use units::{Jiffies, Micros, Millis, Nanos};
