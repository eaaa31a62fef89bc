//! A line in the making: what it says, and how its parts look.

use anstyle::Style;

use super::{Keep, PLAIN, cut};
use crate::words::escape::visible;

/// Text that is safe to show. Whatever it is made from, file, process or kernel, is escaped on the way in, so that
/// nothing else reaches a [`super::Pen`]; styles are no part of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text {
    parts: Vec<(Style, String)>,
}

impl Text {
    /// All in one style.
    pub(crate) fn styled(style: Style, text: impl AsRef<str>) -> Text {
        Text::default().and(style, text)
    }

    /// So many columns of nothing.
    pub(crate) fn blank(columns: usize) -> Text {
        Text::default().pad(columns)
    }

    /// Adds a part.
    #[must_use]
    pub(crate) fn and(mut self, style: Style, text: impl AsRef<str>) -> Text {
        self.parts.push((style, visible(text.as_ref()).into_owned()));
        self
    }

    /// Adds another text.
    #[must_use]
    pub(crate) fn then(mut self, text: Text) -> Text {
        self.parts.extend(text.parts);
        self
    }

    /// Adds blanks until it is that wide.
    #[must_use]
    pub(crate) fn pad(self, columns: usize) -> Text {
        match columns.saturating_sub(self.width()) {
            0 => self,
            missing => self.and(PLAIN, " ".repeat(missing)),
        }
    }

    /// Columns.
    pub(crate) fn width(&self) -> usize {
        self.parts.iter().map(|(_, text)| super::width(text)).sum()
    }

    /// The text without its styles.
    pub(crate) fn content(&self) -> String {
        self.parts.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// No wider than that. A text that has to be cut keeps the style of its first part.
    #[must_use]
    pub(crate) fn cut(self, columns: usize, keep: Keep) -> Text {
        if self.width() <= columns {
            return self;
        }
        let style = self.parts.first().map_or(PLAIN, |(style, _)| *style);
        Text::styled(style, cut(&self.content(), columns, keep))
    }

    /// Writes it without blanks at its end.
    pub(super) fn write(&self, colour: bool, into: &mut String) {
        let mut parts: Vec<(Style, &str)> =
            self.parts.iter().map(|(style, text)| (*style, &**text)).collect();
        while let Some((_, last)) = parts.last_mut() {
            *last = last.trim_end();
            if !last.is_empty() {
                break;
            }
            parts.pop();
        }
        for (style, text) in parts {
            into.push_str(&styled(style, text, colour));
        }
    }
}

impl<T: AsRef<str>> From<T> for Text {
    fn from(text: T) -> Text {
        Text::styled(PLAIN, text)
    }
}

/// The only place that writes escape sequences.
pub(crate) fn styled(style: Style, text: &str, colour: bool) -> String {
    if colour && style != PLAIN && !text.is_empty() {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{BAD, HEADING};

    fn written(text: &Text, colour: bool) -> String {
        let mut written = String::new();
        text.write(colour, &mut written);
        written
    }

    #[test]
    fn styles_take_no_room_and_text_by_others_no_effect() {
        let text = Text::from("a ").and(BAD, "\u{1b}[2J").pad(12);
        assert_eq!(text.width(), 12);
        assert_eq!(written(&text, false), r"a \u{1b}[2J");
        assert_eq!(written(&text, true), "a \u{1b}[31m\\u{1b}[2J\u{1b}[0m");
        assert_eq!(written(&Text::styled(HEADING, "ab").pad(9), true), "\u{1b}[1mab\u{1b}[0m");
    }

    #[test]
    fn what_is_cut_keeps_its_first_style() {
        let text = Text::styled(BAD, "abc").and(PLAIN, "def");
        assert_eq!(text.clone().cut(6, Keep::Beginning), text);
        assert_eq!(text.cut(4, Keep::Beginning), Text::styled(BAD, "abc…"));
    }
}
