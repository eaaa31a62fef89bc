//! Everything that touches the running kernel: its types, the programs, the ring, sockets, owners.

pub mod btf;
pub mod cgroup;
mod error;
mod excerpt;
pub mod features;
pub mod hz;
pub mod netns;
pub mod privileges;
pub mod programs;
mod specialise;

pub use error::Error;
