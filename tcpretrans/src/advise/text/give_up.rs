//! `tcp_retries2` and TCP_USER_TIMEOUT for people.

use super::{command, median_and_high, result, table_of, warning, words};
use crate::{
    advise::{
        distribution::Distribution,
        give_up::{Choice, ForRetries, GiveUpAdvice},
    },
    page::Pen,
    words::{
        figures::count,
        time::{millis, signed_millis},
    },
};

/// The least that RFC 1122 (4.2.3.5) asks for: R2 of at least 100 s.
const RFC_1122_RETRIES: u32 = 8;

pub(super) fn render(pen: &mut Pen, advice: &GiveUpAdvice) {
    pen.heading("tcp_retries2 and TCP_USER_TIMEOUT: how long until a dead peer is noticed");
    if advice.silences == 0 {
        words(pen, "No established connection had a retransmission timeout: too few to say anything.");
        return;
    }
    facts(pen, advice);
    let Some(choice) = &advice.choice else {
        words(
            pen,
            "None of them was recorded from its first timeout on: what other values would do is not known.",
        );
        return;
    };
    pen.gap();
    table(pen, &advice.retries2);
    pen.gap();
    words(
        pen,
        "ALLOWS: the time that the kernel computes from it. NOTICED: when a dead peer would be noticed, since the \
         original transmission, with the timeouts of this recording. CUT OFF: connections that recovered later, and \
         would have timed out instead.",
    );
    choose(pen, advice, choice);
}

fn facts(pen: &mut Pen, advice: &GiveUpAdvice) {
    words(
        pen,
        &format!(
            "{} without an answer on established connections, with retransmission timeouts.",
            count(advice.silences as u64, "period")
        ),
    );
    if let Some(recovered) = &advice.recovered {
        words(
            pen,
            &format!(
                "{} ended with an answer, after {}.",
                count(recovered.count as u64, "period"),
                median_and_high(recovered)
            ),
        );
    }
    for (knob, waited) in &advice.given_up {
        words(
            pen,
            &format!(
                "{} timed out ({knob}), after {}.",
                count(waited.count as u64, "connection"),
                median_and_high(waited)
            ),
        );
    }
    if let Some(hung_up) = &advice.hung_up {
        words(
            pen,
            &format!(
                "In {} an application closed first, after {}.",
                count(hung_up.count as u64, "period"),
                median_and_high(hung_up)
            ),
        );
    }
    if advice.unresolved > 0 {
        words(
            pen,
            &format!("{} had not ended when the recording did.", count(advice.unresolved as u64, "period")),
        );
    }
    if advice.with_user_timeout > 0 {
        words(
            pen,
            &format!(
                "{} had a TCP_USER_TIMEOUT, which replaces tcp_retries2.",
                count(advice.with_user_timeout as u64, "period")
            ),
        );
    }
}

fn noticed(detection: Option<&Distribution>) -> [String; 2] {
    match detection {
        Some(detection) => [signed_millis(detection.p50_ms), signed_millis(detection.max_ms)],
        None => ["-".to_owned(), "-".to_owned()],
    }
}

fn table(pen: &mut Pen, rows: &[ForRetries]) {
    let text = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
    let mut table = vec![text(&["tcp_retries2", "ALLOWS", "NOTICED p50", "max", "CUT OFF"])];
    for row in rows {
        let [p50, max] = noticed(row.detection.as_ref());
        let budget = millis(row.budget_ms);
        table.push(vec![row.retries.to_string(), budget, p50, max, row.cut_off.to_string()]);
    }
    table_of(pen, 1, &table);
}

fn choose(pen: &mut Pen, advice: &GiveUpAdvice, choice: &Choice) {
    let wanted = millis(advice.detect_within_ms);
    pen.gap();
    match &choice.user_timeout {
        None => result(
            pen,
            &format!("No TCP_USER_TIMEOUT notices a dead peer within {wanted} on all of these connections."),
        ),
        Some(found) => {
            let [_, max] = noticed(found.detection.as_ref());
            result(
                pen,
                &format!(
                    "To notice a dead peer within {wanted}, for single connections: TCP_USER_TIMEOUT of {} (noticed after \
                 {max} at most). It would have cut off {}.",
                    millis(found.timeout_ms),
                    none_or(found.cut_off)
                ),
            );
            choice.setsockopt.iter().for_each(|line| command(pen, line));
        }
    }
    match &choice.retries2 {
        None => result(
            pen,
            &format!(
                "No tcp_retries2 notices a dead peer within {wanted} on all of these connections: their RTOs are too long."
            ),
        ),
        Some(found) => {
            let [_, max] = noticed(found.detection.as_ref());
            result(
                pen,
                &format!(
                    "To notice a dead peer within {wanted}, for a whole network namespace: tcp_retries2={} (noticed after \
                 {max} at most). It would have cut off {}.",
                    found.retries,
                    none_or(found.cut_off)
                ),
            );
            choice.sysctl.iter().for_each(|line| command(pen, line));
            if found.cut_off > 0
                && let Some(harmless) = &choice.harmless_retries2
            {
                let [_, max] = noticed(harmless.detection.as_ref());
                words(
                    pen,
                    &format!(
                        "To cut off none takes tcp_retries2={} or more (noticed after {max} at most).",
                        harmless.retries
                    ),
                );
            }
        }
    }
    let below = choice.retries2.as_ref().is_some_and(|found| found.retries < RFC_1122_RETRIES);
    let rfc = if below { "; RFC 1122 asks for at least 100 seconds, which is 8" } else { "" };
    warning(
        pen,
        &format!(
            "tcp_retries2 applies to every connection of the namespace, SSH sessions included{rfc}. An outage that is \
         longer than any in this recording will end connections that would have survived it."
        ),
    );
    warning(
        pen,
        "Both apply only while data is unacknowledged: a dead peer of an idle connection is noticed by SO_KEEPALIVE \
         only, or never.",
    );
}

fn none_or(count: usize) -> String {
    if count == 0 {
        "none of those that recovered".to_owned()
    } else {
        format!("{count} of those that recovered")
    }
}
