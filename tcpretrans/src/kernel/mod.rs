//! Everything that touches the running kernel: its types, the programs, the ring, sockets, owners.

pub mod btf;
pub mod features;
pub mod filter_maps;
pub mod programs;
