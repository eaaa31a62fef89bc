//! Text by others (`comm`, cgroup names) must not talk to the terminal.

use std::{borrow::Cow, fmt::Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Does it move the cursor, reorder the line, or hide?
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The text with whatever is not plainly visible written as Rust would: `\u{1b}`, `\n`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
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

/// Cuts the text to so many columns; `…` shows that it was cut.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    if width == 0 {
        return Cow::Borrowed("");
    }
    // No visible character is narrower than nothing, so more characters than columns cannot fit, but for
    // combining ones, which are not worth a long search.
    let mut cut: String = text.chars().take(width * 2).collect();
    while cut.width() >= width && cut.pop().is_some() {}
    cut.push('…');
    Cow::Owned(cut)
}

/// Cuts the middle out: addresses differ at their ends.
pub fn cut_middle(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    if width < 3 || !text.chars().all(|c| c.width() == Some(1)) {
        return cut(text, width);
    }
    let tail = (width - 1) / 2;
    let head = width - 1 - tail;
    let chars = text.chars();
    let count = chars.clone().count();
    let cut = chars.clone().take(head).chain(['…']).chain(chars.skip(count - tail)).collect();
    Cow::Owned(cut)
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

    #[test]
    fn cutting() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 5), "abcd…");
        assert_eq!(cut("abcdef", 1), "…");
        assert_eq!(cut("abcdef", 0), "");
        assert_eq!(cut("名前です", 5), "名前…");
        assert_eq!(cut_middle("[2001:db8::cafe]:443", 12), "[2001:…]:443");
        assert_eq!(cut_middle("short", 12), "short");
    }

    proptest! {
        #[test]
        fn never_wider_than_asked_and_never_unsafe(text: String, width in 0_usize..60) {
            let visible = visible(&text);
            prop_assert!(!visible.contains(is_unsafe));
            prop_assert!(cut(&visible, width).width() <= width);
            prop_assert!(cut_middle(&visible, width).width() <= width);
        }
    }
}
