//! Timeouts of applications for people.

use super::page::{Page, count, median_and_high, time};
use crate::advise::{
    Advice,
    timeouts::{Cut, connects::ConnectAdvice, requests::RequestAdvice},
};

pub(super) fn render(page: &mut Page, advice: &Advice) {
    page.heading("Timeout of connect()");
    connects(page, &advice.connect_timeout, &advice.request_timeout);
    page.heading("Timeout of requests on established connections");
    requests(page, &advice.request_timeout);
}

fn connects(page: &mut Page, connects: &ConnectAdvice, requests: &RequestAdvice) {
    let ended = [
        (connects.timed_out.as_ref(), "the kernel gave up"),
        (
            connects.abandoned.as_ref(),
            "the application gave up (whether they would have succeeded is not known)",
        ),
    ];
    match &connects.succeeded {
        None => {
            page.words("No connect succeeded after its SYN had to be sent again: too few to say anything.")
        }
        Some(succeeded) => page.words(&format!(
            "{} succeeded after the SYN had been sent again, {} after it was called.",
            count(succeeded.count as u64, "connect"),
            median_and_high(succeeded)
        )),
    }
    for (distribution, how) in ended {
        if let Some(distribution) = distribution {
            page.words(&format!(
                "{} failed: {how}, after {}.",
                count(distribution.count as u64, "connect"),
                median_and_high(distribution)
            ));
        }
    }
    if connects.refused > 0 {
        page.words(&format!(
            "{} failed after a retransmission: refused, or unreachable.",
            count(connects.refused as u64, "connect")
        ));
    }
    let Some(succeeded) = &connects.succeeded else { return };
    page.gap();
    cuts(page, "fails", &connects.timeouts, succeeded.count);
    page.gap();
    if !connects.enough {
        page.warning("Too few connects for more than a hint.");
    }
    sentence(page, "connect", "fails", &connects.timeouts, succeeded.count, connects.harmless_ms);
    if let Some(wait) = &connects.first_wait {
        let established = requests.first_wait.as_ref().map_or_else(String::new, |wait| {
            format!("; on established connections it was {}", time(wait.p50_ms))
        });
        page.words(&format!(
            "A lost SYN was sent again after {} (median){established}. Connections kept in a pool never pay the \
             initial RTO.",
            time(wait.p50_ms)
        ));
    }
}

fn requests(page: &mut Page, requests: &RequestAdvice) {
    let Some(repaired) = &requests.repaired else {
        page.words("No stall was repaired: too few to say anything.");
        hung_up(page, requests);
        return;
    };
    page.words(&format!(
        "{} repaired, {} from the original transmission to the repair. A request that meets one takes so long on top.",
        count(repaired.count as u64, "stall"),
        median_and_high(repaired)
    ));
    hung_up(page, requests);
    page.gap();
    cuts(page, "cuts off", &requests.timeouts, repaired.count);
    page.gap();
    if !requests.enough {
        page.warning("Too few stalls for more than a hint.");
    }
    sentence(page, "request", "cuts off", &requests.timeouts, repaired.count, requests.harmless_ms);
}

fn hung_up(page: &mut Page, requests: &RequestAdvice) {
    if let Some(hung_up) = &requests.hung_up {
        page.words(&format!(
            "In {} the application hung up while TCP was trying, {} after the original transmission: what TCP would \
             have made of it is not known.",
            count(hung_up.count as u64, "stall"),
            median_and_high(hung_up)
        ));
    }
    if requests.hung_up_by_peer > 0 {
        page.words(&format!("In {} the peer hung up.", count(requests.hung_up_by_peer as u64, "stall")));
    }
}

fn cuts(page: &mut Page, verb: &str, cuts: &[Cut], of: usize) {
    // From the last that cuts off all of them to the first that cuts off none.
    let first = cuts.iter().rposition(|cut| cut.cut_off == of).unwrap_or(0);
    let last = cuts.iter().position(|cut| cut.cut_off == 0).unwrap_or(cuts.len() - 1);
    let shown = &cuts[first.min(last)..=last.max(first)];
    let mut timeouts = vec!["a timeout of".to_owned()];
    timeouts.extend(shown.iter().map(|cut| time(cut.timeout_ms as f64)));
    let mut numbers = vec![format!("{verb}, of {of}")];
    numbers.extend(shown.iter().map(|cut| cut.cut_off.to_string()));
    page.table(1, &[timeouts, numbers]);
}

/// "A connect timeout of 1 s fails 37 of these 41; 3 s fails none."
fn sentence(page: &mut Page, what: &str, verb: &str, cuts: &[Cut], of: usize, harmless_ms: Option<u64>) {
    // What cuts off half of them is worth telling most, else what cuts off any.
    let harmful = |cut: &&Cut| cut.cut_off > 0;
    let half = cuts.iter().rfind(|cut| harmful(cut) && 2 * cut.cut_off >= of);
    let Some(worst) = half.or_else(|| cuts.iter().rfind(harmful)) else { return };
    let rest = match harmless_ms {
        Some(ms) => format!("; {} {verb} none", time(ms as f64)),
        None => match cuts.last() {
            Some(longest) if longest.timeout_ms != worst.timeout_ms => {
                format!("; even {} {verb} {}", time(longest.timeout_ms as f64), longest.cut_off)
            }
            _ => String::new(),
        },
    };
    page.result(&format!(
        "A {what} timeout of {} {verb} {} of these {of}{rest}.",
        time(worst.timeout_ms as f64),
        worst.cut_off
    ));
}
