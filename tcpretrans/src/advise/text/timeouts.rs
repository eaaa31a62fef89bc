//! Timeouts of applications for people.

use super::{median_and_high, result, table_of, warning, words};
use crate::{
    advise::{
        Advice,
        timeouts::{Cut, app_requests::RequestAdvice, connects::ConnectAdvice},
    },
    page::Pen,
    words::{
        figures::count,
        time::{millis, signed_millis},
    },
};

pub(super) fn render(pen: &mut Pen, advice: &Advice) {
    pen.heading("Timeout of connect()");
    connects(pen, &advice.connect_timeout, &advice.request_timeout);
    pen.heading("Timeout of requests on established connections");
    requests(pen, &advice.request_timeout);
}

fn connects(pen: &mut Pen, connects: &ConnectAdvice, requests: &RequestAdvice) {
    let ended = [
        (connects.timed_out.as_ref(), "it timed out"),
        (
            connects.abandoned.as_ref(),
            "the application closed the socket first (whether it would have succeeded is not known)",
        ),
    ];
    match &connects.succeeded {
        None => words(pen, "No connect() succeeded after a retransmitted SYN: too few to say anything."),
        Some(succeeded) => words(
            pen,
            &format!(
                "{} succeeded after a retransmitted SYN, {} after the call.",
                connect_calls(succeeded.count),
                median_and_high(succeeded)
            ),
        ),
    }
    for (distribution, how) in ended {
        if let Some(distribution) = distribution {
            words(
                pen,
                &format!(
                    "{} failed, after {}: {how}.",
                    connect_calls(distribution.count),
                    median_and_high(distribution)
                ),
            );
        }
    }
    if connects.refused > 0 {
        words(
            pen,
            &format!(
                "{} failed after a retransmitted SYN: connection refused, or host unreachable.",
                connect_calls(connects.refused)
            ),
        );
    }
    let Some(succeeded) = &connects.succeeded else { return };
    pen.gap();
    cuts(pen, "fails", &connects.timeouts, succeeded.count);
    pen.gap();
    if !connects.enough {
        warning(pen, "Too few calls for more than a hint.");
    }
    sentence(pen, "connect", "fails", &connects.timeouts, succeeded.count, connects.harmless_ms);
    if let Some(wait) = &connects.first_wait {
        let established = requests.first_wait.as_ref().map_or_else(String::new, |wait| {
            format!("; on established connections the RTO was {}", signed_millis(wait.p50_ms))
        });
        words(
            pen,
            &format!(
                "A lost SYN was retransmitted after {} (median){established}. Connections that are kept in a pool do not \
             wait for the initial RTO.",
                signed_millis(wait.p50_ms)
            ),
        );
    }
}

fn connect_calls(number: usize) -> String {
    count(number as u64, "connect() call")
}

fn requests(pen: &mut Pen, requests: &RequestAdvice) {
    let Some(repaired) = &requests.repaired else {
        words(pen, "No loss was recovered: too few to say anything.");
        hung_up(pen, requests);
        return;
    };
    words(
        pen,
        &format!(
            "{} recovered, {} after the original transmission. A request that meets one takes that much longer.",
            count(repaired.count as u64, "stall"),
            median_and_high(repaired)
        ),
    );
    hung_up(pen, requests);
    pen.gap();
    cuts(pen, "cuts off", &requests.timeouts, repaired.count);
    pen.gap();
    if !requests.enough {
        warning(pen, "Too few stalls for more than a hint.");
    }
    sentence(pen, "request", "cuts off", &requests.timeouts, repaired.count, requests.harmless_ms);
}

fn hung_up(pen: &mut Pen, requests: &RequestAdvice) {
    if let Some(hung_up) = &requests.hung_up {
        words(
            pen,
            &format!(
                "In {} the application closed while TCP was retransmitting, {} after the original transmission: whether it \
             would have recovered is not known.",
                count(hung_up.count as u64, "stall"),
                median_and_high(hung_up)
            ),
        );
    }
    if requests.hung_up_by_peer > 0 {
        words(pen, &format!("In {} the peer closed.", count(requests.hung_up_by_peer as u64, "stall")));
    }
}

fn cuts(pen: &mut Pen, verb: &str, cuts: &[Cut], of: usize) {
    // From the last that cuts off all of them to the first that cuts off none.
    let first = cuts.iter().rposition(|cut| cut.cut_off == of).unwrap_or(0);
    let last = cuts.iter().position(|cut| cut.cut_off == 0).unwrap_or(cuts.len() - 1);
    let shown = &cuts[first.min(last)..=last.max(first)];
    let mut timeouts = vec!["a timeout of".to_owned()];
    timeouts.extend(shown.iter().map(|cut| millis(cut.timeout_ms)));
    let mut numbers = vec![format!("{verb}, of {of}")];
    numbers.extend(shown.iter().map(|cut| cut.cut_off.to_string()));
    table_of(pen, 1, &[timeouts, numbers]);
}

/// "A connect timeout of 1 s fails 37 of these 41; 3 s fails none."
fn sentence(pen: &mut Pen, what: &str, verb: &str, cuts: &[Cut], of: usize, harmless_ms: Option<u64>) {
    // What cuts off half of them is worth telling most, else what cuts off any.
    let harmful = |cut: &&Cut| cut.cut_off > 0;
    let half = cuts.iter().rfind(|cut| harmful(cut) && 2 * cut.cut_off >= of);
    let Some(worst) = half.or_else(|| cuts.iter().rfind(harmful)) else { return };
    let rest = match harmless_ms {
        Some(ms) => format!("; {} {verb} none", millis(ms)),
        None => match cuts.last() {
            Some(longest) if longest.timeout_ms != worst.timeout_ms => {
                format!("; even {} {verb} {}", millis(longest.timeout_ms), longest.cut_off)
            }
            _ => String::new(),
        },
    };
    result(
        pen,
        &format!(
            "A {what} timeout of {} {verb} {} of these {of}{rest}.",
            millis(worst.timeout_ms),
            worst.cut_off
        ),
    );
}
