//! Files that are going to be written.

use std::path::Path;

use super::UsageError;

/// Refuses early what could never be written. Whether it can be will be seen when it is opened.
///
/// # Errors
/// [`UsageError`] for a directory, or for a path in a directory that does not exist.
pub(crate) fn check_file(option: &'static str, path: &Path) -> Result<(), UsageError> {
    let shown = path.display();
    if path.is_dir() {
        return Err(UsageError::value(option, format!("{shown} is a directory")));
    }
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            Err(UsageError::value(option, format!("there is no directory {} for {shown}", parent.display())))
        }
        _ => Ok(()),
    }
}
