//! What the user wants to see: parsing the lists, and the part that userspace decides.

pub mod ports;
pub mod prefix;
