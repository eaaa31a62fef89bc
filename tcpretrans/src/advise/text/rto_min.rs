//! RTO_MIN for people.

use super::{command, high_name, median_and_high, result, table_of, warning, words};
use crate::{
    advise::{
        Advice,
        distribution::Distribution,
        rto_min::{
            Candidate, Commands, DELAYED_ACK_MS, Evidence, PrefixAdvice, RtoMinAdvice, commands::Available,
        },
    },
    page::Pen,
    words::{figures::count, time::signed_millis},
};

/// More rows than this hide the first.
const MOST_PREFIXES: usize = 6;
/// What the prefixes are shown at if nothing is asked for or suggested.
const SHOWN_FLOOR_MS: u32 = 50;

pub(super) fn render(pen: &mut Pen, advice: &Advice) {
    let rto_min = &advice.rto_min;
    pen.heading("RTO_MIN: how soon a timeout repairs a loss");
    evidence(pen, &rto_min.evidence, rto_min.recovery_now.as_ref());
    if rto_min.evidence.losses == 0 {
        return;
    }
    pen.gap();
    table(pen, &rto_min.candidates);
    pen.gap();
    words(
        pen,
        "REPAIRED, SOONER: if the same transmissions are lost. MORE SENT: in that case none; at most that many if the path \
         was down until the recorded repair, which then comes no sooner. SPURIOUS: retransmissions that are sent while \
         the ACK is on its way, if ACKs take as long as they did.",
    );
    prefixes(pen, rto_min);
    risks(pen, advice);
    for commands in &rto_min.commands {
        apply(pen, commands);
    }
}

fn evidence(pen: &mut Pen, evidence: &Evidence, recovery: Option<&Distribution>) {
    let Some(recovery) = recovery else {
        words(pen, "No loss was repaired by a timeout that RTO_MIN determines: too few to say anything.");
        left_out(pen, evidence);
        return;
    };
    let by_probe = match evidence.by_probe {
        0 => String::new(),
        probes => format!(
            " ({} by an RTO, {probes} by a tail loss probe, which waits for RTO_MIN, too, if only one packet is in flight)",
            evidence.by_rto
        ),
    };
    let floors: Vec<String> = evidence
        .floors_now
        .iter()
        .take(3)
        .map(|floor| match evidence.floors_now.len() {
            1 => signed_millis(floor.floor_ms),
            _ => format!("{} ({})", signed_millis(floor.floor_ms), count(floor.losses as u64, "loss")),
        })
        .collect();
    words(
        pen,
        &format!(
            "{} on {} repaired by a timeout{by_probe}, after {}. RTO_MIN now: {}.",
            count(evidence.losses as u64, "loss"),
            count(evidence.flows as u64, "connection"),
            median_and_high(recovery),
            floors.join(", ")
        ),
    );
    if evidence.several_timeouts > 0 {
        words(
            pen,
            &format!(
                "{} took several timeouts in a row. If the path was down during that time, and not several packets were lost one \
             after the other, SOONER is too optimistic for these.",
                count(evidence.several_timeouts as u64, "loss")
            ),
        );
    }
    if evidence.in_vain > 0 {
        words(
            pen,
            &format!(
                "{} by a timeout turned out to be spurious already: nothing was lost, the ACK was late.",
                count(evidence.in_vain as u64, "retransmission")
            ),
        );
    }
    left_out(pen, evidence);
    if !evidence.enough {
        warning(pen, "Too few losses or connections for more than a hint.");
    }
}

fn left_out(pen: &mut Pen, evidence: &Evidence) {
    let reasons = [
        (evidence.incomplete, "the beginning is not recorded"),
        (evidence.not_by_floor, "their RTO was not computed from the round-trip time"),
        (evidence.disturbed, "ICMP errors, a closed window or a local failure were involved"),
    ];
    let told: Vec<String> = reasons
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, why)| format!("{number} ({why})"))
        .collect();
    if !told.is_empty() {
        words(pen, &format!("Left out: {}.", told.join(", ")));
    }
}

fn cell(distribution: Option<&Distribution>, of: fn(&Distribution) -> f64) -> String {
    distribution.map_or_else(|| "-".to_owned(), |distribution| signed_millis(of(distribution)))
}

fn table(pen: &mut Pen, candidates: &[Candidate]) {
    let first = candidates.first();
    let by_loss = high_name(first.and_then(|candidate| candidate.sooner.as_ref()));
    let by_flow = high_name(first.and_then(|candidate| candidate.sooner_by_flow.as_ref()));
    let text = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let mut rows = vec![
        text(&["", "FIRST", "REPAIRED", "AFTER", "SOONER", "BY", "BY", "FLOW", "MORE", ""]),
        text(&["RTO_MIN", "RTO", "p50", by_loss, "p50", by_loss, "p50", by_flow, "SENT", "SPURIOUS"]),
    ];
    for candidate in candidates {
        let (recovery, sooner) = (candidate.recovery.as_ref(), candidate.sooner.as_ref());
        let flows = candidate.sooner_by_flow.as_ref();
        rows.push(vec![
            format!("{} ms", candidate.rto_min_ms),
            cell(candidate.first_rto.as_ref(), |it| it.p50_ms),
            cell(recovery, |it| it.p50_ms),
            cell(recovery, |it| it.p99_ms),
            cell(sooner, |it| it.p50_ms),
            cell(sooner, |it| it.p99_ms),
            cell(flows, |it| it.p50_ms),
            cell(flows, |it| it.p99_ms),
            candidate.more_at_most.to_string(),
            candidate.more_in_vain.to_string(),
        ]);
    }
    table_of(pen, 2, &rows);
}

fn prefixes(pen: &mut Pen, advice: &RtoMinAdvice) {
    if advice.prefixes.len() < 2 {
        return;
    }
    let floor_ms = advice.commands.first().map_or(SHOWN_FLOOR_MS, |commands| commands.rto_min_ms);
    let text = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let now = high_name(advice.recovery_now.as_ref());
    let head = [&format!("TO, AT {floor_ms} ms"), "LOSSES", "FLOWS", "p50 NOW", &format!("{now} NOW")];
    let mut rows = vec![text(&[&head[..], &["p50 THEN", "MORE", "SPURIOUS"]].concat())];
    let name = |advice: &PrefixAdvice| match advice.prefix {
        Some(prefix) => prefix.to_string(),
        None => format!("elsewhere ({})", count(advice.addresses as u64, "host")),
    };
    for prefix in advice.prefixes.iter().take(MOST_PREFIXES) {
        let candidate = prefix.candidates.iter().find(|candidate| candidate.rto_min_ms == floor_ms);
        let recovery = prefix.recovery_now.as_ref();
        rows.push(vec![
            name(prefix),
            prefix.losses.to_string(),
            prefix.flows.to_string(),
            cell(recovery, |it| it.p50_ms),
            cell(recovery, |it| it.p99_ms),
            cell(candidate.and_then(|candidate| candidate.recovery.as_ref()), |it| it.p50_ms),
            candidate.map_or_else(String::new, |candidate| candidate.more_at_most.to_string()),
            candidate.map_or_else(String::new, |candidate| candidate.more_in_vain.to_string()),
        ]);
    }
    pen.gap();
    table_of(pen, 1, &rows);
    let more = advice.prefixes.len().saturating_sub(MOST_PREFIXES);
    if more > 0 {
        words(pen, &format!("... and {more} more; --format json has them all."));
    }
}

fn risks(pen: &mut Pen, advice: &Advice) {
    let rto_min = &advice.rto_min;
    pen.gap();
    let outrun: Vec<&Candidate> =
        rto_min.candidates.iter().filter(|candidate| candidate.flows_outrun_by_delayed_ack > 0).collect();
    let flows = match (outrun.first(), outrun.len()) {
        (None, _) => String::new(),
        (Some(highest), _) => format!(
            " At {} ms and less, this is so on {} here.",
            highest.rto_min_ms,
            count(highest.flows_outrun_by_delayed_ack as u64, "connection")
        ),
    };
    warning(
        pen,
        &format!(
            "Delayed ACKs: a Linux peer may delay an ACK by {DELAYED_ACK_MS} to 200 ms, other systems by 50 to 200 ms. An RTO \
         that is shorter than the round-trip time and that delay causes spurious retransmissions, which slow the \
         connection down.{flows}"
        ),
    );
    let rounding = rto_min.candidates.iter().find(|it| it.in_force_ms > f64::from(it.rto_min_ms));
    let jiffy = match (&advice.recording.hz[..], rounding) {
        ([hz], Some(candidate)) => format!(
            " The kernel rounds it to jiffies (HZ {hz}: {} ms becomes {}), and its timers expire up to a jiffy late, \
             longer ones up to an eighth of their time (timer wheel).",
            candidate.rto_min_ms,
            signed_millis(candidate.in_force_ms)
        ),
        ([hz], None) => format!(
            " Timers expire up to a jiffy late (HZ {hz}: {} ms), longer ones up to an eighth of their time (timer wheel).",
            1000 / hz.max(&1)
        ),
        _ => String::new(),
    };
    warning(
        pen,
        &format!(
            "The RTO is the smoothed round-trip time plus at least RTO_MIN: a sum, not a maximum.{jiffy}"
        ),
    );
    if rto_min.evidence.variance_dominated > 0 {
        words(
            pen,
            &format!(
                "For {} the variation of the round-trip time made the RTO longer than RTO_MIN: there a lower RTO_MIN does not help.",
                count(rto_min.evidence.variance_dominated as u64, "loss")
            ),
        );
    }
    match rto_min.suggested_ms {
        Some(ms) => result(
            pen,
            &format!(
                "{ms} ms is the lowest of these without spurious retransmissions, as far as this recording shows, that leaves time \
             for an ACK that is delayed by {DELAYED_ACK_MS} ms."
            ),
        ),
        None if rto_min.evidence.enough => {
            result(pen, "None of these repairs sooner and is safe, as far as this recording shows.");
        }
        None => {}
    }
}

fn apply(pen: &mut Pen, commands: &Commands) {
    let ms = commands.rto_min_ms;
    pen.gap();
    if commands.routes.is_empty() {
        words(pen, "No remote prefix has enough losses for a route of its own.");
    }
    for route in &commands.routes {
        let netns: Vec<String> = route.netns.iter().map(u32::to_string).collect();
        words(
            pen,
            &format!(
                "{ms} ms for {} (network namespace {}). The first command shows the route in use. The second changes that route, \
             which may lead to other destinations, too; the third adds a route for this prefix alone. Existing \
             connections follow within a few round trips.",
                route.prefix,
                netns.join(", ")
            ),
        );
        command(pen, &route.show);
        command(pen, &route.change);
        command(pen, &route.own_route);
    }
    let has_it = match commands.sysctl_available {
        Available::Yes => "this kernel has the sysctl",
        Available::No => "this kernel does not have the sysctl, which came with Linux 6.11",
        Available::Unknown => {
            "if the kernel has the sysctl, which came with Linux 6.11; the recording does not say"
        }
    };
    words(pen, &format!("{ms} ms for all new connections of a network namespace ({has_it}):"));
    command(pen, &commands.sysctl);
}
