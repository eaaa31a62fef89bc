//! The overview's short lists: which remotes, ports, processes and cgroups.

use anstyle::Style;

use crate::{
    page::{ALARM, Cell, Column, FAINT, HEADING, Keep, PLAIN, Pen, Table, Text, side_by_side},
    report::tally::{
        Report,
        groups::{By, Group, GroupKey, Groups, Sums},
    },
    words::figures::short,
};

const TOP: usize = 3;

pub(super) fn title(by: By) -> &'static str {
    match by {
        By::Remote => "REMOTE",
        By::Port => "PORT",
        By::Process => "PROCESS",
        By::Cgroup => "CGROUP",
        By::Netns => "NETNS",
    }
}

/// What a group has in common.
pub(super) fn name(group: &Group) -> Cell {
    match &group.key {
        GroupKey::Remote(address) => Cell::keeping(Keep::Ends, address.to_string()),
        GroupKey::RemotePort(port) => format!("{port} (remote)").into(),
        GroupKey::LocalPort(port) => format!("{port} (local)").into(),
        // A cgroup's end says more than its beginning.
        GroupKey::Name(name) if name.starts_with('/') => Cell::keeping(Keep::End, name),
        GroupKey::Name(name) => {
            let pid = group.pid.map(|pid| format!("/{pid}")).unwrap_or_default();
            Cell::keeping(Keep::Last(pid.len()), format!("{name}{pid}"))
        }
        GroupKey::Netns(number) => number.to_string().into(),
        GroupKey::Unknown => "unknown".into(),
    }
}

/// Two by two.
pub(super) fn write(pen: &mut Pen, report: &Report, top: Option<usize>) {
    let top = top.unwrap_or(TOP);
    let [remote, port, process, cgroup] =
        [By::Remote, By::Port, By::Process, By::Cgroup].map(|by| block(by, report.groups(by), top));
    pen.gap();
    side_by_side(pen, &[&remote, &port, &process, &cgroup]);
}

fn block(by: By, groups: &Groups, top: usize) -> Table {
    let top = groups.shown(top);
    let columns = [
        Column::LEFT.shrinks_to(16),
        Column::RIGHT.at_least(5),
        Column::RIGHT.at_least(8),
        Column::RIGHT.at_least(5),
    ];
    let mut table = Table::new(columns).gap(1).filling();
    table.row([title(by), "SENT", "TIMEOUTS", "DIED"].map(|title| Text::styled(HEADING, title)));
    let figures = |style: Style, sums: &Sums| {
        let counts = &sums.counts;
        let died = if counts.deaths > 0 && style == PLAIN { ALARM } else { style };
        [(style, counts.sent), (style, counts.timeouts), (died, counts.deaths)]
            .map(|(style, number)| Cell::from(Text::styled(style, short(number))))
    };
    for group in groups.groups.iter().take(top) {
        table.row([name(group)].into_iter().chain(figures(PLAIN, &group.sums)));
    }
    let (others, sums) = groups.after(top);
    if others > 0 {
        let name = Text::styled(FAINT, format!("{} others", short(others)));
        table.row([name.into()].into_iter().chain(figures(FAINT, &sums)));
    }
    table
}
