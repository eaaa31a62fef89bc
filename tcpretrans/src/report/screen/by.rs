//! `--by`: a table of groups.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::{
    BAD, FAINT, HEADING,
    figures::short,
    groups::{name, title},
    pen::{Cell, Pen, side_by_side},
};
use crate::{
    report::tally::{
        Report,
        groups::{By, Sums},
    },
    sink::table::cells::duration,
};

const TOP: usize = 20;
/// Of the columns with figures.
const FIGURES: [(&str, usize); 9] = [
    ("SENT", 7),
    ("TIMEOUTS", 9),
    ("SEGS", 7),
    ("BYTES", 7),
    ("FAILED", 7),
    ("FLOWS", 6),
    ("DIED", 6),
    ("NEEDLESS", 9),
    ("WORST", 7),
];

fn figures(sums: &Sums) -> [String; 9] {
    let counts = &sums.counts;
    let known = counts.recovered.saturating_sub(counts.spurious_unknown);
    [
        short(counts.sent),
        short(counts.timeouts),
        short(counts.segs),
        short(counts.bytes),
        short(counts.failed),
        short(sums.flows),
        short(counts.deaths),
        needless(counts.spurious, known),
        if counts.worst_ms == 0 { "-".to_owned() } else { duration(counts.worst_ms) },
    ]
}

/// Of what is not known nothing is claimed.
fn needless(spurious: u64, known: u64) -> String {
    match known {
        0 => "-".to_owned(),
        1..1000 => format!("{spurious}/{known}"),
        _ => format!("{:.1} %", spurious as f64 * 100.0 / known as f64),
    }
}

pub(super) fn write(pen: &mut Pen, report: &Report, by: By, top: Option<usize>) {
    let groups = report.groups(by);
    let top = groups.shown(top.unwrap_or(TOP));
    // The figures that say least go first where there is little room.
    let mut shown: Vec<usize> = (0..FIGURES.len()).collect();
    for column in [4, 3, 2] {
        let width: usize = shown.iter().map(|&at| FIGURES[at].1).sum();
        let is_empty = column == 4 && report.counts().failed == 0;
        if is_empty || pen.columns() < width + 24 {
            shown.retain(|&at| at != column);
        }
    }
    let width: usize = shown.iter().map(|&at| FIGURES[at].1).sum();
    let name_width = pen.columns() - width;
    let mut rows = Vec::new();
    let mut row = |style: Style, name: &str, figures: &[String; 9]| {
        let blank = " ".repeat(name_width.saturating_sub(name.width()));
        let mut cells = vec![Cell::styled(style, name), Cell::plain(blank)];
        for &at in &shown {
            let (title, width) = FIGURES[at];
            let died = title == "DIED" && style == Style::new() && figures[at] != "0";
            cells.push(Cell::styled(if died { BAD } else { style }, format!("{:>width$}", figures[at])));
        }
        rows.push(cells);
    };
    row(HEADING, title(by), &FIGURES.map(|(title, _)| title.to_owned()));
    for group in groups.groups.iter().take(top) {
        row(Style::new(), &name(group, name_width.saturating_sub(1)), &figures(&group.sums));
    }
    let (others, sums) = groups.after(top);
    if others > 0 {
        row(FAINT, &format!("{} others", short(others)), &figures(&sums));
    }
    row(HEADING, "all", &figures(&report.all));
    pen.gap();
    let columns = pen.columns();
    side_by_side(pen, &[rows], columns, 0);
    pen.gap();
    pen.sentence(
        FAINT,
        "",
        0,
        "TIMEOUTS: of those sent, because a timer expired. DIED: not by FINs. NEEDLESS: episodes of which all was \
         unnecessary, of those where that is known. WORST: the longest episode.",
    );
}

#[cfg(test)]
mod tests {
    use super::needless;

    #[test]
    fn what_was_needless_of_what_is_known() {
        assert_eq!(
            (needless(0, 0), needless(1, 14), needless(999, 999)),
            ("-".into(), "1/14".into(), "999/999".into())
        );
        assert_eq!((needless(4_928, 68_992), needless(1000, 1000)), ("7.1 %".into(), "100.0 %".into()));
    }
}
