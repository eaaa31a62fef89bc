//! Text by others (`comm`, names of cgroups and files, what the kernel says) must not control the terminal.

use std::{borrow::Cow, fmt::Write};

/// Does it move the cursor, reorder the line, or hide?
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Printable ASCII alone, as most text is: a byte tells, and is a column.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The text with whatever is not plainly visible written as Rust would: `\u{1b}`, `\n`. What is visible already stays
/// as it is, so to do it twice does no harm.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if is_plain(text) || !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            // Cannot fail: it is a String.
            let _ = write!(visible, "{}", c.escape_default());
        } else {
            visible.push(c);
        }
    }
    Cow::Owned(visible)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_attack_on_the_terminal_is_shown_and_not_obeyed() {
        assert_eq!(visible("\u{1b}]0;pwned\u{7}"), r"\u{1b}]0;pwned\u{7}");
        assert_eq!(visible("a\nb\tc\r"), r"a\nb\tc\r");
        assert_eq!(visible("\u{9b}2J"), r"\u{9b}2J", "a C1 control is one, too");
        assert_eq!(visible("evil\u{202e}txt"), r"evil\u{202e}txt");
        assert_eq!(visible("tmux: server"), "tmux: server");
        assert_eq!(visible("名前"), "名前");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left_and_twice_is_as_once(text: String) {
            let once = visible(&text);
            prop_assert!(!once.contains(is_unsafe));
            prop_assert_eq!(&visible(&once), &once);
        }
    }
}
