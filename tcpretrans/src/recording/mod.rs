//! Recordings: the logs that `-o` writes, read again. Any number of files, in any order, whole or damaged.

mod damage;
mod input;
pub mod lines;
mod order;
pub mod progress;
mod reader;
mod session;
#[cfg(test)]
mod stories;

pub use damage::Damage;
pub use input::{OpenError, is_same_file};
pub use reader::{ReadError, Reader, Recorded};

pub use crate::form::Detail;
