//! `--by`: a table of groups.

use anstyle::Style;

use super::top_groups::{name, title};
use crate::{
    page::{ALARM, Cell, Column, FAINT, HEADING, PLAIN, Pen, Table, Text},
    report::tally::{
        Report,
        groups::{By, Sums},
    },
    words::{figures::short, time::millis},
};

const TOP: usize = 20;

/// A column of figures.
struct Figure {
    title: &'static str,
    column: Column,
    of: fn(&Sums) -> String,
}

const fn figure(title: &'static str, of: fn(&Sums) -> String) -> Figure {
    Figure { title, column: Column::RIGHT.at_least(6), of }
}

/// The figures that say least go first where there is little room.
const FIGURES: [Figure; 9] = [
    figure("SENT", |sums| short(sums.counts.sent)),
    figure("TIMEOUTS", |sums| short(sums.counts.timeouts)),
    Figure { column: OPTIONAL.optional(1), ..figure("SEGS", |sums| short(sums.counts.segs)) },
    Figure { column: OPTIONAL.optional(2), ..figure("BYTES", |sums| short(sums.counts.bytes)) },
    Figure { column: OPTIONAL.optional(3), ..figure(FAILED, |sums| short(sums.counts.failed)) },
    Figure { column: Column::RIGHT.at_least(5), ..figure("FLOWS", |sums| short(sums.flows)) },
    Figure { column: Column::RIGHT.at_least(5), ..figure(DIED, |sums| short(sums.counts.deaths)) },
    figure("SPURIOUS", spurious),
    figure("WORST", |sums| match sums.counts.worst_ms {
        0 => "-".to_owned(),
        ms => millis(ms),
    }),
];
const OPTIONAL: Column = Column::RIGHT.at_least(6);
const FAILED: &str = "FAILED";
const DIED: &str = "DIED";

/// Of what is not known nothing is claimed.
fn spurious(sums: &Sums) -> String {
    let counts = &sums.counts;
    share(counts.spurious, counts.recovered.saturating_sub(counts.spurious_unknown))
}

fn share(spurious: u64, known: u64) -> String {
    match known {
        0 => "-".to_owned(),
        1..1000 => format!("{spurious}/{known}"),
        _ => format!("{:.1} %", spurious as f64 * 100.0 / known as f64),
    }
}

pub(super) fn write(pen: &mut Pen, report: &Report, by: By, top: Option<usize>) {
    let groups = report.groups(by);
    let top = groups.shown(top.unwrap_or(TOP));
    let shown: Vec<&Figure> =
        FIGURES.iter().filter(|figure| figure.title != FAILED || report.counts().failed > 0).collect();
    let name_column = Column::LEFT.shrinks_to(24);
    let columns = [name_column].into_iter().chain(shown.iter().map(|figure| figure.column));
    let mut table = Table::new(columns).gap(1).filling();
    let heads = [title(by)].into_iter().chain(shown.iter().map(|figure| figure.title));
    table.row(heads.map(|title| Text::styled(HEADING, title)));
    let mut row = |style: Style, name: Cell, sums: &Sums| {
        let figures = shown.iter().map(|figure| {
            let died = figure.title == DIED && style == PLAIN && sums.counts.deaths > 0;
            Text::styled(if died { ALARM } else { style }, (figure.of)(sums)).into()
        });
        table.row([name].into_iter().chain(figures));
    };
    for group in groups.groups.iter().take(top) {
        row(PLAIN, name(group), &group.sums);
    }
    let (others, sums) = groups.after(top);
    if others > 0 {
        row(FAINT, Text::styled(FAINT, format!("{} others", short(others))).into(), &sums);
    }
    row(HEADING, Text::styled(HEADING, "all").into(), &report.all);
    pen.gap();
    pen.table(&table);
    pen.gap();
    pen.paragraph(
        "",
        0,
        FAINT,
        "TIMEOUTS: retransmissions that were sent because a timer expired. DIED: connections that did not end with \
         FINs. SPURIOUS: loss episodes in which nothing had been lost, of those of which that is known. WORST: the \
         longest episode.",
    );
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn what_was_spurious_of_what_is_known() {
        assert_eq!(
            (share(0, 0), share(1, 14), share(999, 999)),
            ("-".into(), "1/14".into(), "999/999".into())
        );
        assert_eq!((share(4_928, 68_992), share(1000, 1000)), ("7.1 %".into(), "100.0 %".into()));
    }
}
