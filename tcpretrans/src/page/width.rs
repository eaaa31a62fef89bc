//! How many columns a text takes.

use unicode_width::UnicodeWidthStr;

use crate::words::escape::is_plain;

/// Its columns on a terminal. Nearly all text is ASCII, where a byte is a column: on a busy machine the table is twice
/// as fast by that.
pub(crate) fn width(text: &str) -> usize {
    if is_plain(text) { text.len() } else { UnicodeWidthStr::width(text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_short_way_comes_to_the_same(text in ".{0,40}|[ -~]{0,40}") {
            prop_assert_eq!(width(&text), UnicodeWidthStr::width(text.as_str()));
        }
    }
}
