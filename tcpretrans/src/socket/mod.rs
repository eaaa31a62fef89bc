//! What a record says of its socket, read once: units, sequence numbers, absent values.

pub mod jiffies;
pub mod seq;

pub use jiffies::Kernel;
pub use seq::SeqNum;
