//! What options of several commands have in common: which flows, quantities, and what is said of a wrong one.

mod exit;
mod files;
mod filter_args;
pub mod quantity;
pub mod selection;
mod usage;

pub use exit::Exit;
pub use files::check_file;
pub use filter_args::FilterArgs;
pub use selection::Origin;
pub use usage::UsageError;

/// `--count`
///
/// # Errors
/// [`UsageError`] for what is no number above zero.
pub fn count(text: Option<&str>) -> Result<Option<u64>, UsageError> {
    let count = text.map(quantity::count).transpose();
    count.map_err(|problem| UsageError::value("--count", problem))
}
