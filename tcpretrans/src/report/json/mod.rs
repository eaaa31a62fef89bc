//! The report for machines: one JSON object, described in `docs/recordings.md`.

mod schema;

use std::collections::BTreeMap;

use super::{
    Subject,
    tally::{
        Report,
        counts::Counts,
        episode::EpisodeOutcome,
        forecasts::Deviation,
        groups::{By, GroupKey, Groups, Sums},
        spread::Spread,
        worst::Worst,
    },
};
use crate::{
    event::{Cause, TypeTotal, Who},
    form::Timestamp,
};

/// How many are named unless the user says otherwise.
const TOP: usize = 20;

fn ms(ns: u64) -> u64 {
    ns / 1_000_000
}

fn time(wall_ns: i64) -> Timestamp {
    Timestamp { wall_ns }
}

/// One line.
///
/// # Errors
/// None in practice: it is written to memory.
pub(super) fn render(report: &Report, subject: &Subject) -> Result<String, serde_json::Error> {
    serde_json::to_string(&document(report, subject))
}

fn document(report: &Report, subject: &Subject) -> schema::Document {
    let top = subject.top.unwrap_or(TOP);
    // Each by its name: what is summed up is written, or left out on purpose.
    let Report {
        sessions,
        // The sum of `events`.
        events: _,
        totals,
        endings,
        deadline_thresholds,
        all,
        flows_forgotten,
        // By [`Report::groups`].
        groups: _,
        recovery_ms,
        rto_ms,
        deepest,
        worst,
        open_episodes,
        forecasts,
        hang_ups,
        timeline,
        undelivered_bytes,
    } = report;
    let by_type = |count: fn(&TypeTotal) -> u64| {
        totals.retransmits.iter().map(|(ty, total)| (ty.name(), count(total))).collect()
    };
    schema::Document {
        schema: schema::SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        files: subject.files.iter().map(|path| path.display().to_string()).collect(),
        filters: subject.filters.clone(),
        since: subject.window.since_ns.map(time),
        until: subject.window.until_ns.map(time),
        recording: schema::Recording {
            first: sessions.first_ns.map(time),
            last: sessions.first_ns.map(|_| time(sessions.last_ns)),
            sessions: sessions.count,
            recorded_ms: ms(sessions.recorded_ns),
            gaps: sessions.gaps,
            longest_gap: sessions
                .longest_gap
                .map(|gap| schema::Gap { from: time(gap.from_ns), duration_ms: ms(gap.ns) }),
            sessions_without_end: sessions.without_end,
            overlapping_sessions: sessions.overlapping,
            damaged_lines: subject.damaged_lines,
            unknown_events: subject.unknown_events,
            flows_left: sessions.flows_left,
            kernels: sessions.kernels.iter().cloned().collect(),
        },
        events: schema::Events {
            retransmit: by_type(|total| total.sent + total.failed),
            threshold: totals.thresholds,
            recovered: totals.recovered,
            closed: totals.closed.iter().map(|(cause, count)| (cause.name(), *count)).collect(),
        },
        segs: by_type(|total| total.segs),
        bytes: by_type(|total| total.bytes),
        failed: by_type(|total| total.failed),
        failed_segs: by_type(|total| total.failed_segs),
        errors: totals.errors.iter().map(|(&error, &count)| (error.name().into_owned(), count)).collect(),
        timeouts: schema::Timeouts {
            retransmitted: totals.timeouts.retransmitted,
            synack: totals.timeouts.synack,
            gave_up: totals.timeouts.gave_up,
        },
        lost: totals.lost.iter().map(|(place, records)| (place.name(), *records)).collect(),
        unseen_segs: totals.unseen_segs,
        endings: endings
            .iter()
            .map(|ending| schema::Ending {
                cause: ending.cause.name(),
                who: ending.who.map(Who::name),
                count: ending.count,
            })
            .collect(),
        flows: all.flows,
        retransmitting_flows: all.retransmitting,
        flows_forgotten: *flows_forgotten,
        sums: sum(&all.counts),
        undelivered_bytes: *undelivered_bytes,
        deadline_thresholds: *deadline_thresholds,
        open_episodes: *open_episodes,
        recovery_ms: quantiles(recovery_ms),
        rto_ms: quantiles(rto_ms),
        deepest_backoff: quantiles(deepest),
        timeline: schema::Timeline {
            begin: timeline.peak().map(|_| time(timeline.begin_ns())),
            bin_ms: timeline.width_s() * 1000,
            retransmissions: timeline.bins().to_vec(),
        },
        worst_episodes: worst.iter().take(top).map(episode).collect(),
        forecasts: schema::Forecasts {
            foretold: forecasts.predicted,
            not_foretold: forecasts.not_predicted,
            first: forecast(&forecasts.first),
            first_within_window: forecasts.within_window,
            first_lead_ms: quantiles(&forecasts.lead_ms),
            last: forecast(&forecasts.last),
        },
        hang_ups: schema::HangUps {
            local: hang_ups.local,
            peer: hang_ups.peer,
            connecting: hang_ups.connecting,
            before_first_retransmission: hang_ups.before_first_retransmission,
            killed: hang_ups.killed,
            patience_ms: quantiles(&hang_ups.patience_ms),
        },
        by: By::ALL
            .into_iter()
            .filter(|by| subject.by.is_none_or(|only| only == *by))
            .map(|by| (name(by), grouped(report.groups(by), by, top)))
            .collect(),
    }
}

fn name(by: By) -> &'static str {
    match by {
        By::Remote => "remote",
        By::Port => "port",
        By::Process => "process",
        By::Cgroup => "cgroup",
        By::Netns => "netns",
    }
}

fn sum(counts: &Counts) -> schema::Sum {
    let &Counts {
        sent,
        failed,
        timeouts,
        segs,
        bytes,
        recovered,
        spurious,
        spurious_unknown,
        closed,
        deaths,
        hung_up,
        worst_ms,
    } = counts;
    schema::Sum {
        retransmissions: sent,
        failed_retransmissions: failed,
        retransmissions_by_timeout: timeouts,
        retransmitted_segs: segs,
        retransmitted_bytes: bytes,
        recovered,
        spurious,
        spurious_unknown,
        closed,
        deaths,
        hung_up,
        worst_episode_ms: worst_ms,
    }
}

fn quantiles(spread: &Spread) -> schema::Quantiles {
    schema::Quantiles {
        count: spread.count(),
        min: spread.min(),
        p50: spread.quantile(0.5),
        p90: spread.quantile(0.9),
        p99: spread.quantile(0.99),
        max: spread.max(),
    }
}

fn forecast(error: &Deviation) -> schema::Forecast {
    let any = error.off_us.count() > 0;
    schema::Forecast {
        off_us: quantiles(&error.off_us),
        earliest_us: any.then_some(error.earliest_us),
        latest_us: any.then_some(error.latest_us),
    }
}

fn episode(Worst { episode, more }: &Worst) -> schema::Episode {
    let flow = &episode.flow;
    let (outcome, cause, knob, spurious) = match episode.outcome {
        EpisodeOutcome::Recovered(spurious) => ("recovered", None, None, spurious),
        EpisodeOutcome::Closed(cause, knob) => ("closed", Some(cause), knob, None),
        EpisodeOutcome::Open => ("open", None, None, None),
    };
    schema::Episode {
        began: time(episode.began_wall_ns),
        duration_ms: episode.duration_ms,
        raddr: flow.raddr,
        rport: flow.rport,
        lport: flow.lport,
        flow_id: flow.id.to_string(),
        pid: flow.pid,
        comm: flow.comm.as_deref().map(str::to_owned),
        cgroup: flow.cgroup.as_deref().map(str::to_owned),
        retransmissions: episode.sent,
        deepest_backoff: episode.deepest,
        rtos_ms: episode.ladder.expired_ms.clone(),
        rtos_left_out: episode.ladder.more,
        waiting_rto_ms: episode.ladder.waiting_ms,
        outcome,
        cause: cause.map(Cause::name),
        knob: knob.map(crate::event::Knob::name),
        spurious,
        more_like_it: *more,
    }
}

fn grouped(groups: &Groups, by: By, top: usize) -> schema::Grouped {
    let top = groups.shown(top);
    let (left_out, others) = groups.after(top);
    let Sums { flows, retransmitting, counts } = others;
    schema::Grouped {
        groups: groups.groups.iter().take(top).map(|group| of_group(group, by)).collect(),
        others: schema::Others {
            groups: left_out,
            flows,
            retransmitting_flows: retransmitting,
            sums: sum(&counts),
        },
    }
}

fn of_group(group: &super::tally::groups::Group, by: By) -> schema::Group {
    let Sums { flows, retransmitting, counts } = group.sums;
    let value = match &group.key {
        GroupKey::Remote(address) => address.to_string().into(),
        GroupKey::RemotePort(port) | GroupKey::LocalPort(port) => (*port).into(),
        GroupKey::Name(name) => (**name).into(),
        GroupKey::Netns(number) => (*number).into(),
        GroupKey::Unknown => serde_json::Value::Null,
    };
    let mut key = BTreeMap::from([(name(by), value)]);
    match (by, &group.key) {
        (By::Port, GroupKey::LocalPort(_)) => _ = key.insert("end", "local".into()),
        (By::Port, _) => _ = key.insert("end", "remote".into()),
        (By::Process, _) => _ = key.insert("pid", group.pid.into()),
        _ => {}
    }
    schema::Group { key, flows, retransmitting_flows: retransmitting, sums: sum(&counts) }
}
