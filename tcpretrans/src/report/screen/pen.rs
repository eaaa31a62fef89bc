//! Writes lines, with or without colour.

use std::fmt::Write;

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

/// A text that is being written.
pub(super) struct Pen {
    text: String,
    columns: usize,
    colour: bool,
}

impl Pen {
    pub(super) fn new(columns: usize, colour: bool) -> Pen {
        Pen { text: String::new(), columns, colour }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The text in a style.
    pub(super) fn styled(&self, style: Style, text: &str) -> String {
        if self.colour && style != Style::new() && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    pub(super) fn styled_line(&mut self, style: Style, line: &str) {
        let line = self.styled(style, line.trim_end());
        self.line(&line);
    }

    /// A sentence, over as many lines as it needs; all but the first are indented.
    pub(super) fn sentence(&mut self, style: Style, first_indent: &str, indent: usize, text: &str) {
        let indent = " ".repeat(indent);
        let options = textwrap::Options::new(self.columns)
            .initial_indent(first_indent)
            .subsequent_indent(&indent)
            .break_words(true);
        for line in textwrap::wrap(text, options) {
            self.styled_line(style, &line);
        }
    }

    pub(super) fn gap(&mut self) {
        self.line("");
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// A cell of so many columns, with its style; colour takes no room.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub text: String,
    pub style: Style,
}

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style: Style::new() }
    }

    pub(super) fn styled(style: Style, text: impl Into<String>) -> Cell {
        Cell { text: text.into(), style }
    }

    fn padded(&self, pen: &Pen, width: usize) -> String {
        let blank = " ".repeat(width.saturating_sub(self.text.width()));
        pen.styled(self.style, &self.text) + &blank
    }
}

/// A line of a block: cells side by side.
pub(super) type Row = Vec<Cell>;

fn width(row: &Row) -> usize {
    row.iter().map(|cell| cell.text.width()).sum()
}

/// Writes blocks side by side, each `columns` wide, with `gap` between them.
pub(super) fn side_by_side(pen: &mut Pen, blocks: &[Vec<Row>], columns: usize, gap: usize) {
    let height = blocks.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..height {
        let mut line = String::new();
        for block in blocks {
            let nothing = Row::new();
            let row = block.get(at).unwrap_or(&nothing);
            line.extend(row.iter().map(|cell| cell.padded(pen, 0)));
            line.push_str(&" ".repeat((columns + gap).saturating_sub(width(row))));
        }
        pen.line(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stand_side_by_side_whatever_their_height_and_colour() {
        let bold = Style::new().bold();
        let blocks = [
            vec![vec![Cell::styled(bold, "ä"), Cell::plain("b")], vec![Cell::plain("c")]],
            vec![vec![Cell::plain("right")]],
        ];
        let render = |colour| {
            let mut pen = Pen::new(80, colour);
            side_by_side(&mut pen, &blocks, 5, 1);
            pen.finish()
        };
        assert_eq!(render(false), "äb    right\nc\n");
        assert_eq!(render(true), "\x1b[1mä\x1b[0mb    right\nc\n");
    }

    #[test]
    fn a_sentence_is_wrapped() {
        let mut pen = Pen::new(12, false);
        pen.sentence(Style::new(), "- ", 2, "one two three four");
        assert_eq!(pen.finish(), "- one two\n  three four\n");
    }
}
