//! Thresholds on the way to a timeout of the connection. Each is announced once an episode.

use super::episode::Episode;
use crate::{
    deadline::TimerView,
    event::{Deadline, Threshold, ThresholdName},
    words::time::millis,
};

/// The thresholds that an episode has passed and that were not announced yet.
///
/// * `tcp_retries1`: from this time on the kernel doubts the path (`tcp_write_timeout`).
/// * `warn_at` (0 to 1): the share of the kernel's time budget that is used.
pub(super) fn passed(
    episode: &mut Episode,
    view: Option<&TimerView>,
    deadline: Option<&Deadline>,
    warn_at: f64,
) -> Vec<Threshold> {
    let mut passed = Vec::new();
    if let Some(view) = view.filter(|view| view.past_retries1())
        && !std::mem::replace(&mut episode.announced_retries1, true)
    {
        passed.push(Threshold {
            name: ThresholdName::Retries1,
            deadline: deadline.cloned(),
            note: format!(
                "{} of retransmissions without an ACK: past tcp_retries1={}, so with each further timeout the \
                 kernel looks for another route and, if tcp_mtu_probing is on, probes for a smaller MTU",
                millis(view.elapsed().0),
                view.sysctls.retries1
            ),
        });
    }
    if let Some(deadline) = deadline.filter(|deadline| deadline.used >= warn_at)
        && !std::mem::replace(&mut episode.announced_deadline, true)
    {
        passed.push(Threshold {
            name: ThresholdName::Deadline,
            deadline: Some(deadline.clone()),
            note: time_used(deadline),
        });
    }
    passed
}

/// How much of the budget is used. When it ends, and after how many retransmissions, is in the deadline.
fn time_used(deadline: &Deadline) -> String {
    let percent = deadline.used * 100.0;
    let unit = deadline.knob.unit();
    let limit = deadline.limit.map(|limit| format!("={limit}{unit}")).unwrap_or_default();
    let knob = deadline.knob.name();
    match deadline.budget_ms {
        Some(budget_ms) => format!(
            "{percent:.0} % of its time is used: {} of the {} that {knob}{limit} allows",
            millis(deadline.elapsed_ms),
            millis(budget_ms)
        ),
        None => format!("{percent:.0} % of the time that {knob}{limit} allows is used"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Knob;

    fn deadline(knob: Knob, limit: u32, budget_ms: Option<u64>) -> Deadline {
        Deadline {
            knob,
            limit: Some(limit),
            budget_ms,
            elapsed_ms: 3000,
            used: 0.6,
            earliest_ns: 0,
            expected_ns: 1,
            latest_ns: 2,
            retransmissions_left: 1,
        }
    }

    #[test]
    fn a_warning_says_how_much_of_what_is_used() {
        assert_eq!(
            time_used(&deadline(Knob::TcpUserTimeout, 5000, Some(5000))),
            "60 % of its time is used: 3 s of the 5 s that TCP_USER_TIMEOUT=5000 ms allows"
        );
        assert_eq!(
            time_used(&deadline(Knob::TcpSynackRetries, 5, None)),
            "60 % of the time that tcp_synack_retries=5 allows is used"
        );
    }
}
