//! Writes lines, paragraphs and tables, no wider than the page.

use anstyle::Style;

use super::{Block, COMMAND, HEADING, Keep, Page, Table, Text, wrap};

/// Longer lines of prose are hard to read.
const PROSE: usize = 100;
/// Words in less room than this are a tower of letters.
const LEAST_ROOM: usize = 24;
/// Below a name that has left no room beside it.
const BELOW: usize = 8;

/// A text that is being written.
#[derive(Debug)]
pub(crate) struct Pen {
    text: String,
    page: Page,
}

impl Pen {
    /// Nothing yet, for that page.
    pub(crate) fn new(page: Page) -> Pen {
        Pen { text: String::new(), page }
    }

    /// The widest that a line may be.
    pub(crate) fn columns(&self) -> usize {
        self.page.columns
    }

    /// A line; what does not fit is cut off.
    pub(crate) fn line(&mut self, line: impl Into<Text>) {
        line.into().cut(self.page.columns, Keep::Beginning).write(self.page.colour, &mut self.text);
        self.text.push('\n');
    }

    /// An empty line.
    pub(crate) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A title, after an empty line.
    pub(crate) fn heading(&mut self, title: &str) {
        self.gap();
        self.paragraph("", 2, HEADING, title);
    }

    /// Words over as many lines as they need. `lead` stands before the first; the others are indented by so much.
    pub(crate) fn paragraph(
        &mut self,
        lead: impl Into<Text>,
        indent: usize,
        style: Style,
        words: impl AsRef<str>,
    ) {
        let (mut lead, mut indent) = (lead.into(), indent);
        if self.page.columns < indent + LEAST_ROOM && lead.width() > BELOW {
            self.line(lead);
            (lead, indent) = (Text::blank(BELOW), BELOW);
        }
        let words = Text::from(words).content();
        let (first, rest) = (" ".repeat(lead.width()), " ".repeat(indent));
        let lines = wrap(&words, self.page.columns.min(PROSE), &first, &rest);
        if lines.is_empty() {
            self.line(lead);
            return;
        }
        for (at, line) in lines.iter().enumerate() {
            let (before, indent) = match at {
                0 => (std::mem::take(&mut lead), first.len()),
                _ => (Text::blank(indent), indent),
            };
            self.line(before.and(style, line.get(indent..).unwrap_or_default()));
        }
    }

    /// A command to copy: alone on its line, however long.
    pub(crate) fn command(&mut self, indent: usize, command: &str) {
        let line = Text::blank(indent).and(COMMAND, command);
        line.write(self.page.colour, &mut self.text);
        self.text.push('\n');
    }

    /// A table.
    pub(crate) fn table(&mut self, table: &Table) {
        for line in table.lines(self.page.columns) {
            self.line(line);
        }
    }

    /// What was written.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::{GOOD, PLAIN, proof};

    fn pen(columns: usize) -> Pen {
        Pen::new(Page { columns, colour: false })
    }

    #[test]
    fn a_paragraph_hangs_on_its_lead() {
        let mut pen = pen(12);
        pen.paragraph("- ", 2, PLAIN, "one two three four");
        pen.paragraph("empty", 2, PLAIN, "");
        assert_eq!(pen.finish(), "- one two\n  three four\nempty\n");
    }

    #[test]
    fn a_lead_that_leaves_no_room_has_its_own_line() {
        let write = |columns| {
            let mut pen = pen(columns);
            pen.paragraph("degraded  tcp_cong_state_set  ", 30, PLAIN, "not in this kernel at all");
            pen.finish()
        };
        assert_eq!(write(60), "degraded  tcp_cong_state_set  not in this kernel at all\n");
        assert_eq!(write(40), "degraded  tcp_cong_state_set\n        not in this kernel at all\n");
    }

    #[test]
    fn colour_ends_with_each_line() {
        let mut pen = Pen::new(Page { columns: 9, colour: true });
        pen.paragraph(Text::styled(GOOD, "> "), 2, GOOD, "one two three");
        assert_eq!(proof::plain(&pen.finish()), "> one two\n  three\n");
    }

    #[test]
    fn a_command_is_never_broken() {
        let mut pen = pen(8);
        pen.command(2, "sudo tcpretrans --port 443");
        assert_eq!(pen.finish(), "  sudo tcpretrans --port 443\n");
    }
}
