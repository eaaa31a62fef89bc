//! What people read: one pen for all commands, with paragraphs, tables, rows, colour and width. It knows nothing of
//! events. What is written goes through [`Text`], which makes text by others safe.

mod cut;
mod pen;
mod row;
mod surface;
mod table;
mod text;
mod wrap;

#[cfg(test)]
#[path = "../../tests/shared/fits.rs"]
pub mod proof;

use anstyle::{AnsiColor, Style};
pub use cut::{Keep, cut};
pub use pen::Pen;
pub use row::Row;
pub use surface::{Page, columns, wants_colour};
pub use table::{Block, Cell, Column, Table, side_by_side};
pub use text::Text;
pub(crate) use text::styled;
pub use wrap::wrap;

/// Everyday text.
pub const PLAIN: Style = Style::new();
/// What is there for completeness: explanations, the rest of a list.
pub const FAINT: Style = Style::new().dimmed();
/// Titles of sections and columns.
pub const HEADING: Style = Style::new().bold();
/// All is well, or well again.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// To be considered.
pub const NOTICE: Style = AnsiColor::Yellow.on_default();
/// Something was refused or reset.
pub const BAD: Style = AnsiColor::Red.on_default();
/// A connection fails, or nothing works.
pub const ALARM: Style = AnsiColor::Red.on_default().bold();
/// To be copied, or changed by somebody.
pub const COMMAND: Style = AnsiColor::Cyan.on_default();
