//! Why this machine cannot trace.

use super::{
    btf::BtfError, features::UnsupportedKernel, hz::HzError, privileges::CannotTrace, programs::AttachError,
};

/// Whatever keeps the programs from running or from being understood. Each part says what is missing and, where
/// there is a remedy, what to do.
///
/// Not in it are [`super::cgroup::CgroupError`] and [`super::netns::NetnsError`]: those say that a name on the command
/// line means nothing here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// This process may not trace.
    #[error(transparent)]
    CannotTrace(#[from] CannotTrace),
    /// The kernel's own types cannot be read.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// The kernel lacks what tracing cannot do without.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedKernel),
    /// The programs were refused, or one of their maps failed.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// The programs are attached, and no record of theirs arrives.
    #[error(transparent)]
    Hz(#[from] HzError),
}
