//! Which columns there are, and how wide.

use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr;

use crate::words::escape::cut;

/// A column. The order is that on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// Local wall-clock time.
    Time,
    /// Type of the retransmission, or kind of the event.
    Type,
    /// Both ends.
    Flow,
    /// Owner.
    Process,
    /// Segments and bytes.
    Segs,
    /// TCP state.
    State,
    /// The RTO that expired and the next.
    Rto,
    /// How many RTOs expired in a row.
    Try,
    /// Smoothed round-trip time.
    Srtt,
    /// Congestion window.
    Cwnd,
    /// Network namespace.
    Netns,
    /// User id.
    Uid,
    /// Control group.
    Cgroup,
    /// What will become of it; takes what is left of the line.
    Outlook,
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Column::Time => "TIME",
            Column::Type => "TYPE",
            Column::Flow => "LOCAL > REMOTE",
            Column::Process => "PROCESS",
            Column::Segs => "SEGS/B",
            Column::State => "STATE",
            Column::Rto => "RTO->NEXT",
            Column::Try => "TRY",
            Column::Srtt => "SRTT",
            Column::Cwnd => "CWND",
            Column::Netns => "NETNS",
            Column::Uid => "UID",
            Column::Cgroup => "CGROUP",
            Column::Outlook => "UNLESS THE PEER ANSWERS",
        }
    }
}

/// What the narrowest terminal gets: 79 columns.
const BASE: [(Column, usize); 7] = [
    (Column::Time, 8),
    (Column::Type, 10),
    (Column::Flow, 25),
    (Column::Process, 9),
    (Column::Rto, 10),
    (Column::Try, 3),
    (Column::Outlook, 8),
];

/// What a wider one gets, the most useful first. At 100 columns: down to the first widening of `Flow`.
const UPGRADES: [(Column, usize); 16] = [
    (Column::Time, 12),
    (Column::Outlook, 13),
    (Column::Segs, 6),
    (Column::Flow, 30),
    (Column::Process, 12),
    (Column::State, 10),
    (Column::Outlook, 27),
    (Column::Flow, 45),
    (Column::Srtt, 6),
    (Column::Outlook, 54),
    (Column::Cwnd, 4),
    (Column::Process, 20),
    (Column::Netns, 10),
    (Column::Uid, 6),
    (Column::Cgroup, 30),
    (Column::Flow, 97),
];

/// How lines are laid out.
#[derive(Debug, Clone)]
pub struct Layout {
    columns: Vec<(Column, usize)>,
    width: Option<usize>,
    /// Use colours.
    pub colour: bool,
    zone: TimeZone,
}

impl Layout {
    /// For a terminal of that width: no line is longer.
    pub fn terminal(width: usize, colour: bool, zone: TimeZone) -> Layout {
        let mut columns = BASE.to_vec();
        for upgrade in UPGRADES {
            let mut more = columns.clone();
            set(&mut more, upgrade);
            let needed: usize = more.iter().map(|(_, width)| width + 1).sum();
            if needed > width + 1 {
                break;
            }
            columns = more;
        }
        Layout { columns, width: Some(width), colour, zone }
    }

    /// For a pipe or a file: all columns, and nothing is ever cut.
    pub fn piped(colour: bool, zone: TimeZone) -> Layout {
        let mut columns = BASE.to_vec();
        for upgrade in UPGRADES {
            // Room for any two IPv6 addresses would be mostly blank.
            if upgrade != (Column::Flow, 97) {
                set(&mut columns, upgrade);
            }
        }
        Layout { columns, width: None, colour, zone }
    }

    /// The columns and their widths, left to right.
    pub fn columns(&self) -> &[(Column, usize)] {
        &self.columns
    }

    /// Is that column there?
    pub fn has(&self, column: Column) -> bool {
        self.columns.iter().any(|&(one, _)| one == column)
    }

    /// The width of the terminal; `None`: lines are as long as they are.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// Where times are local.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The first line.
    pub fn header(&self) -> String {
        let mut line = Line::new(self);
        for &(column, width) in &self.columns {
            let title = match column {
                Column::Outlook if width < column.title().len() => "DIES IN",
                _ => column.title(),
            };
            line.cell(title, width);
        }
        line.finish()
    }
}

fn set(columns: &mut Vec<(Column, usize)>, (column, width): (Column, usize)) {
    match columns.iter_mut().find(|(one, _)| *one == column) {
        Some((_, old)) => *old = width,
        None => {
            columns.push((column, width));
            columns.sort();
        }
    }
}

/// A line in the making. A cell that is too wide pushes the next ones, and their padding takes it back.
#[derive(Debug)]
pub struct Line<'a> {
    layout: &'a Layout,
    text: String,
    /// Where the next cell should begin.
    column: usize,
}

impl<'a> Line<'a> {
    /// An empty one.
    pub fn new(layout: &'a Layout) -> Self {
        Line { layout, text: String::new(), column: 0 }
    }

    /// Adds a cell of that width.
    pub fn cell(&mut self, text: &str, width: usize) {
        self.begin();
        self.text.push_str(text);
        self.column += width + 1;
    }

    /// Columns that are left for the last cell.
    pub fn room(&self) -> usize {
        match self.layout.width {
            None => usize::MAX,
            Some(width) => width.saturating_sub(self.column.max(self.text.width() + 1)),
        }
    }

    fn begin(&mut self) {
        if self.column == 0 {
            return;
        }
        let width = self.text.width();
        let pad = self.column.saturating_sub(width).max(1);
        self.text.extend(std::iter::repeat_n(' ', pad));
    }

    /// The line, cut to the terminal.
    pub fn finish(self) -> String {
        let text = self.text.trim_end();
        match self.layout.width {
            None => text.to_owned(),
            Some(width) => cut(text, width).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(width: usize) -> String {
        Layout::terminal(width, false, TimeZone::UTC).header()
    }

    #[test]
    fn wider_terminals_show_more() {
        assert_eq!(
            header(80),
            "TIME     TYPE       LOCAL > REMOTE            PROCESS   RTO->NEXT  TRY DIES IN"
        );
        assert_eq!(
            header(100),
            "TIME         TYPE       LOCAL > REMOTE                 PROCESS   SEGS/B RTO->NEXT  TRY DIES IN"
        );
        for (width, last) in [(120, Column::State), (140, Column::State), (160, Column::Srtt)] {
            assert!(Layout::terminal(width, false, TimeZone::UTC).has(last), "{width}");
        }
        let wide = Layout::terminal(200, false, TimeZone::UTC);
        assert!(wide.has(Column::Cwnd) && !wide.has(Column::Cgroup), "{}", wide.header());
        assert!(Layout::piped(false, TimeZone::UTC).has(Column::Cgroup));
    }

    #[test]
    fn every_width_is_used_and_none_is_exceeded() {
        let mut columns = 0;
        for width in 0..400 {
            let layout = Layout::terminal(width, false, TimeZone::UTC);
            assert!(layout.header().width() <= width);
            assert!(layout.columns().len() >= columns, "{width}: a column less");
            assert!(layout.columns().is_sorted_by_key(|(column, _)| *column), "{width}");
            columns = layout.columns().len();
        }
        assert_eq!(columns, 14);
    }

    #[test]
    fn an_overlong_cell_takes_from_the_padding_after_it() {
        let layout = Layout::terminal(40, false, TimeZone::UTC);
        let mut line = Line::new(&layout);
        for (text, width) in [("ab", 4), ("overlong", 4), ("c", 6), ("d", 1)] {
            line.cell(text, width);
        }
        assert_eq!(line.finish(), "ab   overlong c  d");
    }
}
