//! RTO_MIN for people.

use super::page::{Page, count, high_name, median_and_high, time};
use crate::advise::{
    Advice,
    distribution::Distribution,
    rto_min::{
        Candidate, Commands, DELAYED_ACK_MS, Evidence, PrefixAdvice, RtoMinAdvice, commands::Available,
    },
};

/// More rows than this hide the first.
const MOST_PREFIXES: usize = 6;
/// What the prefixes are shown at if nothing is asked for or suggested.
const SHOWN_FLOOR_MS: u32 = 50;

pub(super) fn render(page: &mut Page, advice: &Advice) {
    let rto_min = &advice.rto_min;
    page.heading("RTO_MIN: how soon a timer repairs a loss");
    evidence(page, &rto_min.evidence, rto_min.recovery_now.as_ref());
    if rto_min.evidence.losses == 0 {
        return;
    }
    page.gap();
    table(page, &rto_min.candidates);
    page.gap();
    page.words(
        "REPAIRED, SOONER: if the same transmissions get lost as did. MORE SENT: none then; so many at most if the \
         path was dead until the recorded repair, which then comes no sooner. IN VAIN: sent while the answer was on its \
         way, if answers take as long as they did.",
    );
    prefixes(page, rto_min);
    risks(page, advice);
    for commands in &rto_min.commands {
        apply(page, commands);
    }
}

fn evidence(page: &mut Page, evidence: &Evidence, recovery: Option<&Distribution>) {
    let Some(recovery) = recovery else {
        page.words("No loss was repaired by a timer that RTO_MIN sets: too few to say anything.");
        left_out(page, evidence);
        return;
    };
    let by_probe = match evidence.by_probe {
        0 => String::new(),
        probes => format!(
            " ({} by an RTO, {probes} by a tail loss probe: with one packet in flight it waits for RTO_MIN, too)",
            evidence.by_rto
        ),
    };
    let floors: Vec<String> = evidence
        .floors_now
        .iter()
        .take(3)
        .map(|floor| match evidence.floors_now.len() {
            1 => time(floor.floor_ms),
            _ => format!("{} ({})", time(floor.floor_ms), count(floor.losses as u64, "loss")),
        })
        .collect();
    page.words(&format!(
        "{} on {} repaired by a timer{by_probe}, after {}. RTO_MIN now: {}.",
        count(evidence.losses as u64, "loss"),
        count(evidence.flows as u64, "connection"),
        median_and_high(recovery),
        floors.join(", ")
    ));
    if evidence.several_timeouts > 0 {
        page.words(&format!(
            "{} took several timeouts in a row. If the path was dead for that time, rather than packet after packet lost, \
             SOONER is too good there.",
            count(evidence.several_timeouts as u64, "loss")
        ));
    }
    if evidence.in_vain > 0 {
        page.words(&format!(
            "{} of a timer turned out to be in vain already: nothing was lost, the ACK was late.",
            count(evidence.in_vain as u64, "retransmission")
        ));
    }
    left_out(page, evidence);
    if !evidence.enough {
        page.warning("Too few losses or connections for more than a hint.");
    }
}

fn left_out(page: &mut Page, evidence: &Evidence) {
    let reasons = [
        (evidence.incomplete, "the beginning is not in the recording"),
        (evidence.not_by_floor, "something else than the round-trip time set their RTO"),
        (evidence.disturbed, "ICMP errors, a closed window or a local failure were part of it"),
    ];
    let told: Vec<String> = reasons
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, why)| format!("{number} ({why})"))
        .collect();
    if !told.is_empty() {
        page.words(&format!("Left out: {}.", told.join(", ")));
    }
}

fn cell(distribution: Option<&Distribution>, of: fn(&Distribution) -> f64) -> String {
    distribution.map_or_else(|| "-".to_owned(), |distribution| time(of(distribution)))
}

fn table(page: &mut Page, candidates: &[Candidate]) {
    let first = candidates.first();
    let by_loss = high_name(first.and_then(|candidate| candidate.sooner.as_ref()));
    let by_flow = high_name(first.and_then(|candidate| candidate.sooner_by_flow.as_ref()));
    let text = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let mut rows = vec![
        text(&["", "FIRST", "REPAIRED", "AFTER", "SOONER", "BY", "BY", "FLOW", "MORE", "IN"]),
        text(&["RTO_MIN", "RTO", "p50", by_loss, "p50", by_loss, "p50", by_flow, "SENT", "VAIN"]),
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
    page.table(2, &rows);
}

fn prefixes(page: &mut Page, advice: &RtoMinAdvice) {
    if advice.prefixes.len() < 2 {
        return;
    }
    let floor_ms = advice.commands.first().map_or(SHOWN_FLOOR_MS, |commands| commands.rto_min_ms);
    let text = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let now = high_name(advice.recovery_now.as_ref());
    let head = [&format!("TOWARDS, AT {floor_ms} ms"), "LOSSES", "FLOWS", "p50 NOW", &format!("{now} NOW")];
    let mut rows = vec![text(&[&head[..], &["p50 THEN", "MORE", "VAIN"]].concat())];
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
    page.gap();
    page.table(1, &rows);
    let more = advice.prefixes.len().saturating_sub(MOST_PREFIXES);
    if more > 0 {
        page.words(&format!("... and {more} more; --format json has them all."));
    }
}

fn risks(page: &mut Page, advice: &Advice) {
    let rto_min = &advice.rto_min;
    page.gap();
    let outrun: Vec<&Candidate> =
        rto_min.candidates.iter().filter(|candidate| candidate.flows_outrun_by_delayed_ack > 0).collect();
    let flows = match (outrun.first(), outrun.len()) {
        (None, _) => String::new(),
        (Some(highest), _) => format!(
            " At {} ms and less that is so on {} here.",
            highest.rto_min_ms,
            count(highest.flows_outrun_by_delayed_ack as u64, "connection")
        ),
    };
    page.warning(&format!(
        "Delayed ACKs: a Linux peer may keep an ACK back for {DELAYED_ACK_MS} to 200 ms, others for 50 to 200. An RTO \
         shorter than the round trip and that delay sends again in vain, and slows down.{flows}"
    ));
    let rounding = rto_min.candidates.iter().find(|it| it.in_force_ms > f64::from(it.rto_min_ms));
    let jiffy = match (&advice.recording.hz[..], rounding) {
        ([hz], Some(candidate)) => format!(
            " The kernel keeps it in jiffies (HZ {hz}: {} ms is {}), and its timers fire up to a jiffy late, longer \
             ones up to an eighth (the timer wheel).",
            candidate.rto_min_ms,
            time(candidate.in_force_ms)
        ),
        ([hz], None) => format!(
            " Timers fire up to a jiffy late (HZ {hz}: {} ms), longer ones up to an eighth (the timer wheel).",
            1000 / hz.max(&1)
        ),
        _ => String::new(),
    };
    page.warning(&format!(
        "The RTO is the smoothed round-trip time plus at least RTO_MIN: a sum, not a maximum.{jiffy}"
    ));
    if rto_min.evidence.variance_dominated > 0 {
        page.words(&format!(
            "On {} the path's own variance made the RTO longer than RTO_MIN: there no floor helps.",
            count(rto_min.evidence.variance_dominated as u64, "loss")
        ));
    }
    match rto_min.suggested_ms {
        Some(ms) => page.result(&format!(
            "{ms} ms is the lowest of these that sends nothing in vain as far as this recording shows, and leaves time \
             for an ACK that is delayed by {DELAYED_ACK_MS} ms."
        )),
        None if rto_min.evidence.enough => {
            page.result("None of these is both sooner and safe by what this recording shows.");
        }
        None => {}
    }
}

fn apply(page: &mut Page, commands: &Commands) {
    let ms = commands.rto_min_ms;
    page.gap();
    if commands.routes.is_empty() {
        page.words("No remote prefix has losses enough for a route of its own.");
    }
    for route in &commands.routes {
        let netns: Vec<String> = route.netns.iter().map(u32::to_string).collect();
        page.words(&format!(
            "{ms} ms towards {} (network namespace {}): by the route in force, which may lead elsewhere, too (look \
             first), or by one of its own. Existing connections follow within some round trips:",
            route.prefix,
            netns.join(", ")
        ));
        page.command(&route.show);
        page.command(&route.change);
        page.command(&route.own_route);
    }
    let has_it = match commands.sysctl_available {
        Available::Yes => "this kernel has the sysctl",
        Available::No => "the sysctl came with Linux 6.11, after this kernel",
        Available::Unknown => {
            "if the kernel has the sysctl: Linux 6.11 brought it, and the recording does not tell"
        }
    };
    page.words(&format!("{ms} ms for all new connections of a network namespace ({has_it}):"));
    page.command(&commands.sysctl);
}
