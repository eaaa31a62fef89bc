//! What people read: one pen for all commands, with paragraphs, tables, rows, colour and width. It knows nothing of
//! events. What is written goes through [`Text`], which makes text by others safe.

mod cut;
mod pen;
mod row;
mod surface;
mod table;
mod text;
mod width;
mod wrap;

#[cfg(test)]
#[path = "../../tests/shared/fits.rs"]
pub(crate) mod proof;

use anstyle::{AnsiColor, Style};
pub(crate) use cut::{Keep, cut};
pub(crate) use pen::Pen;
pub(crate) use row::Row;
pub(crate) use surface::{Page, columns, wants_colour};
pub(crate) use table::{Block, Cell, Column, Table, side_by_side};
pub(crate) use text::{Text, styled};
pub(crate) use width::width;
pub(crate) use wrap::wrap;

/// Everyday text.
pub(crate) const PLAIN: Style = Style::new();
/// What is there for completeness: explanations, the rest of a list.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Titles of sections and columns.
pub(crate) const HEADING: Style = Style::new().bold();
/// All is well, or well again.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// To be considered.
pub(crate) const NOTICE: Style = AnsiColor::Yellow.on_default();
/// Something was refused or reset.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// A connection fails, or nothing works.
pub(crate) const ALARM: Style = AnsiColor::Red.on_default().bold();
/// To be copied, or changed by somebody.
pub(crate) const COMMAND: Style = AnsiColor::Cyan.on_default();
