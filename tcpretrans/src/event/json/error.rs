//! Why a line is no event.

use super::SCHEMA;

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No JSON, or not the fields that its event has.
    #[error("not a line of a recording: {0}")]
    Json(#[from] serde_json::Error),
    /// Bytes that are no text.
    #[error("not a line of a recording: byte {0} is not UTF-8")]
    NotUtf8(usize),
    /// An event of a newer version.
    #[error("this tcpretrans does not know the event \"{0}\"; a newer one wrote this recording")]
    UnknownEvent(String),
    /// A schema of a newer version.
    #[error(
        "the recording has schema {0}, this tcpretrans reads up to {SCHEMA}; use the version that wrote it"
    )]
    NewerSchema(u32),
    /// A name that is none of the known ones.
    #[error("\"{name}\" is not a value of {field}")]
    UnknownName {
        /// The field that it stands in.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// A number that cannot be.
    #[error("{field} cannot be {value}")]
    Impossible {
        /// The field that it stands in.
        field: &'static str,
        /// The number.
        value: u64,
    },
    /// A field of `kernel` has a value of the wrong kind or out of range.
    #[error("the kernel's {0} cannot have such a value")]
    Kernel(String),
}
