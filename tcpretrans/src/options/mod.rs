//! What options of several commands have in common: which flows, quantities, and what is said of a wrong one.

mod exit;
mod files;
mod filter_args;
pub(crate) mod quantity;
pub(crate) mod selection;
mod usage;

pub(crate) use exit::Exit;
pub(crate) use files::check_file;
pub(crate) use filter_args::FilterArgs;
pub(crate) use selection::Origin;
pub(crate) use usage::UsageError;

/// `--count`
///
/// # Errors
/// [`UsageError`] for what is no number above zero.
pub(crate) fn count(text: Option<&str>) -> Result<Option<u64>, UsageError> {
    let count = text.map(quantity::count).transpose();
    count.map_err(|problem| UsageError::value("--count", problem))
}
