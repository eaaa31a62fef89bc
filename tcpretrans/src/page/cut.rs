//! Text that has to be shorter.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use super::width;

/// Which part of a text says most, where there is no room for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Sentences and names.
    Beginning,
    /// Paths.
    End,
    /// Addresses differ at their ends.
    Ends,
    /// So many columns at the end, and what else fits of the beginning: a name with its number.
    Last(usize),
}

/// Cuts the text to so many columns; `…` shows where something was taken out.
pub(crate) fn cut(text: &str, columns: usize, keep: Keep) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let wanted = match keep {
        Keep::Beginning => 0,
        Keep::End => room,
        Keep::Ends if columns < 3 => 0,
        Keep::Ends => room / 2,
        Keep::Last(columns) => columns.min(room),
    };
    let tail = end(text, wanted);
    let head = beginning(text, room - width(tail));
    Cow::Owned(format!("{head}…{tail}"))
}

fn beginning(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > columns
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

fn end(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let fits = |c: char| {
        used += c.width().unwrap_or(0);
        used <= columns
    };
    let count = text.chars().rev().map(fits).take_while(|&fits| fits).count();
    let begin = text.char_indices().rev().take(count).last().map_or(text.len(), |(at, _)| at);
    &text[begin..]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cutting() {
        let of = |text, columns, keep| cut(text, columns, keep).into_owned();
        for (columns, text) in [(6, "abcdef"), (5, "abcd…"), (1, "…"), (0, "")] {
            assert_eq!(of("abcdef", columns, Keep::Beginning), text);
        }
        assert_eq!(of("名前です", 5, Keep::Beginning), "名前…");
        assert_eq!(of("[2001:db8::cafe]:443", 12, Keep::Ends), "[2001:…]:443");
        assert_eq!(of("short", 12, Keep::Ends), "short");
        assert_eq!(of("/system.slice/x.service", 23, Keep::End), "/system.slice/x.service");
        assert_eq!(of("/system.slice/x.service", 12, Keep::End), "…e/x.service");
        assert_eq!(of("名前名前", 5, Keep::End), "…名前");
        assert_eq!(of("nginx: worker/4194304", 12, Keep::Last(8)), "ngi…/4194304");
    }

    proptest! {
        #[test]
        fn never_wider_than_asked(text in "[a-z/名前\u{301}]{0,40}", columns in 0_usize..60, last in 0_usize..60) {
            for keep in [Keep::Beginning, Keep::End, Keep::Ends, Keep::Last(last)] {
                prop_assert!(width(&cut(&text, columns, keep)) <= columns);
            }
        }
    }
}
