//! Everything that touches the running kernel: its types, the programs, the ring, sockets, owners.

pub(crate) mod btf;
pub(crate) mod cgroup;
mod error;
mod excerpt;
pub(crate) mod features;
pub mod hz;
pub(crate) mod netns;
pub(crate) mod privileges;
pub(crate) mod programs;
mod specialise;

pub(crate) use error::Error;
