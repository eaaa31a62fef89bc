//! The overview's short lists: which remotes, ports, processes and cgroups.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::{
    BAD, FAINT, HEADING,
    figures::short,
    pen::{Cell, Pen, Row, side_by_side},
};
use crate::{
    report::tally::{
        Report,
        groups::{By, Group, Groups, Key, Sums},
    },
    words::escape::{cut, cut_middle, visible},
};

const TOP: usize = 3;
const GAP: usize = 2;

pub(super) fn title(by: By) -> &'static str {
    match by {
        By::Remote => "REMOTE",
        By::Port => "PORT",
        By::Process => "PROCESS",
        By::Cgroup => "CGROUP",
        By::Netns => "NETNS",
    }
}

/// What a group has in common, in so many columns.
pub(super) fn name(group: &Group, width: usize) -> String {
    match &group.key {
        Key::Remote(address) => cut_middle(&address.to_string(), width).into_owned(),
        Key::RemotePort(port) => cut(&format!("{port} (remote)"), width).into_owned(),
        Key::LocalPort(port) => cut(&format!("{port} (local)"), width).into_owned(),
        // A cgroup's end says more than its beginning.
        Key::Name(name) if name.starts_with('/') => cut_start(&visible(name), width),
        Key::Name(name) => {
            let pid = group.pid.map(|pid| format!("/{pid}")).unwrap_or_default();
            format!("{}{pid}", cut(&visible(name), width.saturating_sub(pid.width())))
        }
        Key::Netns(number) => cut(&number.to_string(), width).into_owned(),
        Key::Unknown => cut("unknown", width).into_owned(),
    }
}

/// Cuts the beginning off.
fn cut_start(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut end = text;
    while end.width() >= width.max(1) {
        let mut chars = end.chars();
        chars.next();
        end = chars.as_str();
    }
    format!("…{end}")
}

/// Two by two.
pub(super) fn write(pen: &mut Pen, report: &Report, top: Option<usize>) {
    let columns = (pen.columns() - GAP) / 2;
    let top = top.unwrap_or(TOP);
    pen.gap();
    for pair in [[By::Remote, By::Port], [By::Process, By::Cgroup]] {
        let blocks = pair.map(|by| block(by, report.groups(by), top, columns));
        side_by_side(pen, &blocks, columns, GAP);
    }
}

fn block(by: By, groups: &Groups, top: usize, columns: usize) -> Vec<Row> {
    let name_width = columns.saturating_sub(21);
    let top = groups.shown(top);
    let row = |style: Style, name: &str, figures: [&str; 3]| {
        let [sent, timeouts, deaths] = figures;
        let blank = " ".repeat(name_width.saturating_sub(name.width()));
        let figures = format!("{blank}{sent:>6}{timeouts:>9}");
        let died = if deaths == "0" || style != Style::new() { style } else { BAD };
        vec![
            Cell::styled(style, name),
            Cell::styled(style, figures),
            Cell::styled(died, format!("{deaths:>6}")),
        ]
    };
    let of = |style, name: &str, sums: &Sums| {
        let counts = &sums.counts;
        row(style, name, [&short(counts.sent), &short(counts.timeouts), &short(counts.deaths)])
    };
    let mut rows = vec![row(HEADING, title(by), ["SENT", "TIMEOUTS", "DIED"])];
    let first = groups.groups.iter().take(top);
    rows.extend(first.map(|group| of(Style::new(), &name(group, name_width), &group.sums)));
    let (others, sums) = groups.after(top);
    if others > 0 {
        rows.push(of(FAINT, &format!("{} others", short(others)), &sums));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_stays() {
        assert_eq!(cut_start("/system.slice/x.service", 23), "/system.slice/x.service");
        assert_eq!(cut_start("/system.slice/x.service", 12), "…e/x.service");
        assert_eq!(cut_start("名前名前", 5), "…名前");
        for width in 0..30 {
            assert!(cut_start("/system.slice/名前.service", width).width() <= width.max(1));
        }
    }
}
