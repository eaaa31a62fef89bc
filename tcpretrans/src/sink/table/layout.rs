//! Which columns there are, and how wide.

use anstyle::Style;
use jiff::tz::TimeZone;

use crate::page::{self, Row};

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

/// What the narrowest terminal gets: 54 columns.
const BASE: [(Column, usize); 4] =
    [(Column::Time, 8), (Column::Type, 10), (Column::Flow, 25), (Column::Outlook, 8)];

/// What a wider one gets, the most useful first. At 80 columns: down to `Process`; at 100: down to
/// the first widening of `Outlook`.
const UPGRADES: [(Column, usize); 19] = [
    (Column::Try, 3),
    (Column::Rto, 11),
    (Column::Process, 9),
    (Column::Time, 12),
    (Column::Segs, 6),
    (Column::Flow, 30),
    (Column::Outlook, 12),
    (Column::Process, 12),
    (Column::State, 10),
    (Column::Outlook, 34),
    (Column::Flow, 45),
    (Column::Srtt, 6),
    (Column::Outlook, 61),
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
        let mut row = self.row();
        for &(column, width) in &self.columns {
            let title = match column {
                Column::Outlook if width < column.title().len() => "DIES IN",
                _ => column.title(),
            };
            row.cell(title, width);
        }
        row.finish()
    }

    /// A row without cells.
    pub fn row(&self) -> Row {
        Row::new(self.width)
    }

    /// A line in that style, if there is colour.
    pub fn styled(&self, style: Style, line: &str) -> String {
        page::styled(style, line, self.colour)
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

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn header(width: usize) -> String {
        Layout::terminal(width, false, TimeZone::UTC).header()
    }

    #[test]
    fn wider_terminals_show_more() {
        assert_eq!(
            header(80),
            "TIME     TYPE       LOCAL > REMOTE            PROCESS   RTO->NEXT   TRY DIES IN"
        );
        assert_eq!(
            header(100),
            "TIME         TYPE       LOCAL > REMOTE                 PROCESS   SEGS/B RTO->NEXT   TRY DIES IN"
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
}
