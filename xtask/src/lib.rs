//! The project's own commands (`cargo xtask ...`), and the network lab that the live tests stand on.

pub mod bench;
pub mod ebpf;
pub mod lab;
pub mod suite;
pub mod tracer_run;
pub mod workspace;
