//! What a record says of its socket, read once: states and flags by name, units, sequence numbers, absent values as
//! `None`. Everything above speaks these words and not the wire's numbers.

mod jiffies;
mod reading;
mod seq;
mod stamp;
mod state;
mod units;

pub use jiffies::Hz;
pub(crate) use reading::{ABSENT, INFINITE_SSTHRESH, NET_XMIT_DROP, RecordExt, SnapshotExt};
#[cfg(test)]
pub(crate) use reading::{SOCK_DEAD, SOCK_LINGER};
pub use seq::SeqNum;
pub use stamp::StampClock;
pub use state::TcpState;
pub(crate) use state::{CaState, Pending};
pub use units::{Jiffies, Micros, Millis, Nanos};
