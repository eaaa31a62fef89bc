//! Options that several commands share: as they were typed, and what they mean.

pub mod exit;
pub mod filter_args;
pub mod output_args;
pub mod quantity;
pub mod selection;
pub mod usage;

pub use exit::Exit;
pub use filter_args::FilterArgs;
pub use output_args::{OutputArgs, check_file};
pub use usage::UsageError;

/// `--count`
///
/// # Errors
/// [`UsageError`] for what is no number above zero.
pub fn count(text: Option<&str>) -> Result<Option<u64>, UsageError> {
    let count = text.map(quantity::count).transpose();
    count.map_err(|problem| UsageError::value("--count", problem))
}
