//! Tables whose rows are all known before the first is written.

use super::{Keep, Pen, Text};

/// What stands in one place of a table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: Text,
    keep: Keep,
}

impl Cell {
    /// A text of which that part stays where there is no room for it all.
    pub(crate) fn keeping(keep: Keep, text: impl Into<Text>) -> Cell {
        Cell { text: text.into(), keep }
    }
}

impl<T: Into<Text>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell::keeping(Keep::Beginning, text)
    }
}

/// How a column behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    right: bool,
    at_least: usize,
    shrinks_to: Option<usize>,
    optional: Option<u8>,
}

impl Column {
    /// Names.
    pub(crate) const LEFT: Column = Column { right: false, at_least: 0, shrinks_to: None, optional: None };
    /// Figures.
    pub(crate) const RIGHT: Column = Column { right: true, ..Column::LEFT };

    /// Never narrower, so that several tables look alike.
    pub(crate) const fn at_least(self, columns: usize) -> Column {
        Column { at_least: columns, ..self }
    }

    /// What is in it may be cut to that where there is no room.
    pub(crate) const fn shrinks_to(self, columns: usize) -> Column {
        Column { shrinks_to: Some(columns), ..self }
    }

    /// Is left out where there is no room; what has the highest number goes first.
    pub(crate) const fn optional(self, order: u8) -> Column {
        Column { optional: Some(order), ..self }
    }
}

/// Something that can stand beside another one.
pub(crate) trait Block {
    /// Columns without which it loses something.
    fn needed(&self) -> usize;

    /// The block in so many columns.
    fn lines(&self, columns: usize) -> Vec<Text>;
}

/// Names are cut to this before a table is split, whatever they would like.
const TIGHT: usize = 8;

/// Is there so little room that names are cut to [`TIGHT`]?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tight {
    Yes,
    No,
}

/// Cells in rows and columns.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
    gap: usize,
    fills: bool,
}

impl Table {
    /// Without rows.
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Table {
        let columns = columns.into_iter().collect();
        Table { columns, rows: Vec::new(), indent: 0, gap: 2, fills: false }
    }

    /// Indented by so much.
    #[must_use]
    pub(crate) fn indented(self, indent: usize) -> Table {
        Table { indent, ..self }
    }

    /// With so much between the columns, instead of 2.
    #[must_use]
    pub(crate) fn gap(self, gap: usize) -> Table {
        Table { gap, ..self }
    }

    /// As wide as there is room: the first column that may shrink takes what is left.
    #[must_use]
    pub(crate) fn filling(self) -> Table {
        Table { fills: true, ..self }
    }

    /// Adds a row.
    pub(crate) fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn natural(&self, at: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.text.width()).fold(self.columns[at].at_least, usize::max)
    }

    fn least(&self, at: usize, tight: Tight) -> usize {
        let natural = self.natural(at);
        match (self.columns[at].shrinks_to, tight) {
            (None, _) => natural,
            (Some(least), Tight::No) => natural.min(least),
            (Some(least), Tight::Yes) => natural.min(least).min(TIGHT),
        }
    }

    /// Columns of the page for these columns of the table, as narrow as they can be.
    fn least_of(&self, shown: &[usize], tight: Tight) -> usize {
        let gaps = self.gap * shown.len().saturating_sub(1);
        self.indent + gaps + shown.iter().map(|&at| self.least(at, tight)).sum::<usize>()
    }

    /// What is shown in so much room: in one table, or in several that have the first column in common.
    fn parts(&self, columns: usize) -> Vec<Vec<usize>> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        while self.least_of(&shown, Tight::No) > columns {
            let first = shown.iter().copied().filter(|&at| self.columns[at].optional.is_some());
            let Some(first) = first.max_by_key(|&at| self.columns[at].optional) else { break };
            shown.retain(|&at| at != first);
        }
        let mut parts: Vec<Vec<usize>> = Vec::new();
        for &at in shown.iter().skip(1) {
            match parts.last_mut() {
                Some(part) if self.least_of(&[&part[..], &[at]].concat(), Tight::Yes) <= columns => {
                    part.push(at)
                }
                _ => parts.push(vec![0, at]),
            }
        }
        if parts.is_empty() { vec![shown] } else { parts }
    }

    fn part(&self, shown: &[usize], columns: usize) -> Vec<Text> {
        let tight = if self.least_of(shown, Tight::No) > columns { Tight::Yes } else { Tight::No };
        let mut spare = columns.saturating_sub(self.least_of(shown, tight));
        let mut widths: Vec<usize> = Vec::new();
        for &at in shown {
            let least = self.least(at, tight);
            let more = match self.columns[at].shrinks_to {
                Some(_) if self.fills => spare,
                _ => spare.min(self.natural(at) - least),
            };
            spare -= more;
            widths.push(least + more);
        }
        let line = |row: &Vec<Cell>| {
            let mut line = Text::blank(self.indent);
            let mut end = self.indent;
            for (&at, &width) in shown.iter().zip(&widths) {
                let Some(cell) = row.get(at) else { break };
                let text = cell.text.clone().cut(width, cell.keep);
                let before = if self.columns[at].right { width - text.width() } else { 0 };
                line = line.pad(end + before).then(text);
                end += width + self.gap;
            }
            line
        };
        self.rows.iter().map(line).collect()
    }
}

impl Block for Table {
    fn needed(&self) -> usize {
        self.least_of(&(0..self.columns.len()).collect::<Vec<_>>(), Tight::No)
    }

    fn lines(&self, columns: usize) -> Vec<Text> {
        if self.gap > 1 && self.needed() > columns {
            return Table { gap: 1, ..self.clone() }.lines(columns);
        }
        let parts: Vec<Vec<Text>> =
            self.parts(columns).iter().map(|shown| self.part(shown, columns)).collect();
        parts.join(&Text::default())
    }
}

const BETWEEN_BLOCKS: usize = 2;

/// Writes blocks beside each other where there is room for that, else below each other.
pub(crate) fn side_by_side(pen: &mut Pen, blocks: &[&dyn Block]) {
    let share = |abreast: usize| (pen.columns() + BETWEEN_BLOCKS) / abreast - BETWEEN_BLOCKS;
    let fit = |&abreast: &usize| blocks.iter().all(|block| block.needed() <= share(abreast));
    let abreast = (2..=blocks.len()).rev().find(fit).unwrap_or(1);
    let columns = if abreast == 1 { pen.columns() } else { share(abreast) };
    for (at, blocks) in blocks.chunks(abreast).enumerate() {
        if at > 0 {
            pen.gap();
        }
        let blocks: Vec<Vec<Text>> = blocks.iter().map(|block| block.lines(columns)).collect();
        for row in 0..blocks.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = Text::default();
            for (place, block) in blocks.iter().enumerate() {
                let text = block.get(row).cloned().unwrap_or_default();
                line = line.pad(place * (columns + BETWEEN_BLOCKS)).then(text);
            }
            pen.line(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::page::{HEADING, Page, proof};

    fn written(columns: usize, write: impl FnOnce(&mut Pen)) -> String {
        let mut pen = Pen::new(Page { columns, colour: false });
        write(&mut pen);
        pen.finish()
    }

    fn table(columns: &[Column], rows: &[&[&str]]) -> Table {
        let mut table = Table::new(columns.to_vec());
        rows.iter().for_each(|row| table.row(row.iter().copied()));
        table
    }

    #[test]
    fn tables_are_aligned() {
        let table =
            table(&[Column::LEFT, Column::RIGHT, Column::RIGHT], &[&["a", "long", "b"], &["abc", "1", "22"]]);
        assert_eq!(written(80, |pen| pen.table(&table.indented(2))), "  a    long   b\n  abc     1  22\n");
    }

    #[test]
    fn where_there_is_no_room_columns_move_together_some_go_and_at_last_the_table_is_split() {
        let columns =
            [Column::LEFT.shrinks_to(4), Column::RIGHT, Column::RIGHT.optional(1), Column::RIGHT.optional(2)];
        let table = table(&columns, &[&["a long name", "1234", "5678", "90"]]);
        let at = |columns| written(columns, |pen| pen.table(&table));
        assert_eq!(at(27), "a long name  1234  5678  90\n");
        assert_eq!(at(20), "a l…  1234  5678  90\n");
        assert_eq!(at(19), "a lon… 1234 5678 90\n");
        assert_eq!(at(16), "a lon… 1234 5678\n");
        assert_eq!(at(10), "a lo… 1234\n");
        let two = Table::new([Column::LEFT, Column::RIGHT, Column::RIGHT]);
        let mut two = two.gap(1);
        two.row(["of", "100", "200"]);
        assert_eq!(written(7, |pen| pen.table(&two)), "of 100\n\nof 200\n");
    }

    #[test]
    fn blocks_stand_side_by_side_whatever_their_height_and_colour() {
        let mut left = Table::new([Column::LEFT]);
        left.row([Text::styled(HEADING, "ä")]);
        left.row(["c"]);
        let right = table(&[Column::LEFT], &[&["right"]]);
        let both = |columns| written(columns, |pen| side_by_side(pen, &[&left, &right]));
        assert_eq!(both(12), "ä      right\nc\n");
        assert_eq!(both(11), "ä\nc\n\nright\n");
    }

    proptest! {
        #[test]
        fn never_wider_than_the_page(
            rows in proptest::collection::vec(proptest::collection::vec("[a-z名 ]{0,12}", 5), 0..5),
            columns in 8usize..90,
            fills: bool,
        ) {
            let behaviour = [
                Column::LEFT.shrinks_to(3),
                Column::RIGHT,
                Column::RIGHT.optional(1),
                Column::LEFT,
                Column::RIGHT.at_least(7),
            ];
            let mut table = Table { fills, ..Table::new(behaviour) };
            rows.into_iter().for_each(|row| table.row(row));
            let text = written(columns, |pen| side_by_side(pen, &[&table, &table]));
            proof::fits(&text, columns, &[]);
        }
    }
}
