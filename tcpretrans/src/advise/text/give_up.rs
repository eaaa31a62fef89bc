//! `tcp_retries2` and TCP_USER_TIMEOUT for people.

use super::page::{Page, count, median_and_high, time};
use crate::advise::{
    distribution::Distribution,
    give_up::{Choice, ForRetries, GiveUpAdvice},
};

/// The least that RFC 1122 (4.2.3.5) asks for: R2 of at least 100 s.
const RFC_1122_RETRIES: u32 = 8;

pub(super) fn render(page: &mut Page, advice: &GiveUpAdvice) {
    page.heading("tcp_retries2 and TCP_USER_TIMEOUT: how long a dead peer is waited for");
    if advice.silences == 0 {
        page.words("No established connection had an RTO: too few to say anything.");
        return;
    }
    facts(page, advice);
    let Some(choice) = &advice.choice else {
        page.words(
            "None of them shows its timer from the first RTO on: what other values would do is not known.",
        );
        return;
    };
    page.gap();
    table(page, &advice.retries2);
    page.gap();
    page.words(
        "NOTICED: since the original transmission, with the RTOs of this recording. CUT OFF: connections that \
         recovered, and would have been given up before.",
    );
    choose(page, advice, choice);
}

fn facts(page: &mut Page, advice: &GiveUpAdvice) {
    page.words(&format!(
        "{} of established connections with RTOs.",
        count(advice.silences as u64, "silence")
    ));
    if let Some(recovered) = &advice.recovered {
        page.words(&format!(
            "{} ended well, after {}.",
            count(recovered.count as u64, "silence"),
            median_and_high(recovered)
        ));
    }
    for (knob, waited) in &advice.given_up {
        page.words(&format!(
            "{} given up by the kernel ({knob}), after {}.",
            count(waited.count as u64, "connection"),
            median_and_high(waited)
        ));
    }
    if let Some(hung_up) = &advice.hung_up {
        page.words(&format!(
            "In {} an application hung up first, after {}.",
            count(hung_up.count as u64, "silence"),
            median_and_high(hung_up)
        ));
    }
    if advice.unresolved > 0 {
        page.words(&format!(
            "{} went on when the recording ended.",
            count(advice.unresolved as u64, "silence")
        ));
    }
    if advice.with_user_timeout > 0 {
        page.words(&format!(
            "{} had a TCP_USER_TIMEOUT, to which tcp_retries2 is nothing.",
            count(advice.with_user_timeout as u64, "silence")
        ));
    }
}

fn noticed(detection: Option<&Distribution>) -> [String; 2] {
    match detection {
        Some(detection) => [time(detection.p50_ms), time(detection.max_ms)],
        None => ["-".to_owned(), "-".to_owned()],
    }
}

fn table(page: &mut Page, rows: &[ForRetries]) {
    let text = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let mut table = vec![text(&["tcp_retries2", "STANDS FOR", "NOTICED p50", "max", "CUT OFF"])];
    for row in rows {
        let [p50, max] = noticed(row.detection.as_ref());
        let budget = time(row.budget_ms as f64);
        table.push(vec![row.retries.to_string(), budget, p50, max, row.cut_off.to_string()]);
    }
    page.table(1, &table);
}

fn choose(page: &mut Page, advice: &GiveUpAdvice, choice: &Choice) {
    let wanted = time(advice.detect_within_ms as f64);
    page.gap();
    match &choice.user_timeout {
        None => {
            page.result(&format!("No TCP_USER_TIMEOUT notices a dead peer within {wanted} on all of them."))
        }
        Some(found) => {
            let [_, max] = noticed(found.detection.as_ref());
            page.result(&format!(
                "Within {wanted}, connection by connection: TCP_USER_TIMEOUT {} (noticed after {max} at most), which \
                 would have cut off {}.",
                time(found.timeout_ms as f64),
                none_or(found.cut_off)
            ));
            choice.setsockopt.iter().for_each(|command| page.command(command));
        }
    }
    match &choice.retries2 {
        None => page.result(&format!(
            "No tcp_retries2 notices a dead peer within {wanted} on all of them: the RTOs are too long for it."
        )),
        Some(found) => {
            let [_, max] = noticed(found.detection.as_ref());
            page.result(&format!(
                "Within {wanted}, for a whole network namespace: tcp_retries2={} (noticed after {max} at most), which \
                 would have cut off {}.",
                found.retries,
                none_or(found.cut_off)
            ));
            choice.sysctl.iter().for_each(|command| page.command(command));
            if found.cut_off > 0
                && let Some(harmless) = &choice.harmless_retries2
            {
                let [_, max] = noticed(harmless.detection.as_ref());
                page.words(&format!(
                    "Cutting off none takes tcp_retries2={} or more (noticed after {max} at most).",
                    harmless.retries
                ));
            }
        }
    }
    let below = choice.retries2.as_ref().is_some_and(|found| found.retries < RFC_1122_RETRIES);
    let rfc = if below { "; RFC 1122 asks for 100 s at least, which is 8" } else { "" };
    page.warning(&format!(
        "tcp_retries2 holds for every connection of the namespace, SSH sessions and the like included{rfc}. An outage \
         longer than any in this recording will cut off what would have survived it."
    ));
    page.warning(
        "Both count only while data is unacknowledged: a dead peer of an idle connection is noticed by SO_KEEPALIVE \
         alone, or never.",
    );
}

fn none_or(count: usize) -> String {
    if count == 0 {
        "none of those that recovered".to_owned()
    } else {
        format!("{count} of those that recovered")
    }
}
