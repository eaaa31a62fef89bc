//! The project's own commands (`cargo xtask ...`), and the network lab that the live tests stand on.

pub mod artifacts;
pub mod bench;
pub mod demo;
pub mod dist;
pub mod ebpf;
pub mod lab;
pub mod running;
pub mod static_build;
pub mod suite;
pub mod target;
pub mod tracer;
pub mod verify_counts;
pub mod vm;
pub mod workspace;
