//! A row of a list that grows while it is shown, so that nobody knows how wide its columns will have to be.

use super::{Keep, cut, width};
use crate::words::escape::visible;

/// Cells at places that are fixed. A cell that is too wide pushes the next ones, whose padding takes it back.
#[derive(Debug)]
pub struct Row {
    text: String,
    /// The widest that it may be; `None`: as wide as it is.
    columns: Option<usize>,
    /// Where the next cell should begin.
    at: usize,
}

impl Row {
    /// An empty one.
    pub fn new(columns: Option<usize>) -> Row {
        Row { text: String::new(), columns, at: 0 }
    }

    /// Adds a cell of that width. Text by others is made safe.
    pub fn cell(&mut self, text: &str, columns: usize) {
        if self.at > 0 {
            let pad = self.at.saturating_sub(width(&self.text)).max(1);
            self.text.extend(std::iter::repeat_n(' ', pad));
        }
        self.text.push_str(&visible(text));
        self.at += columns + 1;
    }

    /// Columns that are left for the last cell.
    pub fn room(&self) -> usize {
        let taken = if self.at == 0 { 0 } else { self.at.max(width(&self.text) + 1) };
        self.columns.map_or(usize::MAX, |columns| columns.saturating_sub(taken))
    }

    /// The row, cut to its width.
    pub fn finish(self) -> String {
        let text = self.text.trim_end();
        cut(text, self.columns.unwrap_or(usize::MAX), Keep::Beginning).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlong_cell_takes_from_the_padding_after_it() {
        let mut row = Row::new(Some(40));
        for (text, width) in [("ab", 4), ("overlong", 4), ("c", 6), ("d", 1)] {
            row.cell(text, width);
        }
        assert_eq!(row.finish(), "ab   overlong c  d");
    }

    #[test]
    fn what_is_left_is_for_the_last_cell() {
        let mut row = Row::new(Some(10));
        assert_eq!(row.room(), 10);
        row.cell("ab", 4);
        assert_eq!(row.room(), 5);
        row.cell("\u{1b}[2J", 20);
        assert_eq!((row.room(), row.finish()), (0, r"ab   \u{1…".to_owned()));
    }
}
