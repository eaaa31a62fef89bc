//! Thresholds on the way to a flow's death. Each is told once an episode.

use super::episode::Episode;
use crate::{
    deadline::TimerView,
    event::{Deadline, Threshold, ThresholdName},
};

/// The thresholds that an episode has passed and that were not told yet.
///
/// * `tcp_retries1`: from this time on the kernel doubts the path (`tcp_write_timeout`).
/// * `warn_at` (0 to 1): the share of the death budget that is used.
pub fn passed(
    episode: &mut Episode,
    view: Option<&TimerView>,
    deadline: Option<&Deadline>,
    warn_at: f64,
) -> Vec<Threshold> {
    let mut passed = Vec::new();
    if let Some(view) = view.filter(|view| view.past_retries1())
        && !std::mem::replace(&mut episode.retries1_told, true)
    {
        passed.push(Threshold {
            name: ThresholdName::Retries1,
            deadline: deadline.cloned(),
            note: format!(
                "unanswered for {}, which is tcp_retries1={}: with each further timeout the kernel looks its route \
                 up again, picks another flow label or path hash, and tries a smaller MTU if tcp_mtu_probing allows",
                seconds(view.elapsed_ms()),
                view.sysctls.retries1
            ),
        });
    }
    if let Some(deadline) = deadline.filter(|deadline| deadline.used >= warn_at)
        && !std::mem::replace(&mut episode.deadline_told, true)
    {
        let tries = match deadline.retransmissions_left {
            0 => "no more tries".to_owned(),
            1 => "1 more try".to_owned(),
            tries => format!("{tries} more tries"),
        };
        let limit = deadline.limit.map(|limit| format!("={limit}")).unwrap_or_default();
        let unit = if deadline.knob == crate::event::Knob::TcpUserTimeout { " ms" } else { "" };
        passed.push(Threshold {
            name: ThresholdName::Deadline,
            deadline: Some(deadline.clone()),
            note: format!(
                "{:.0} % of the time that {}{limit}{unit} allows is used; the kernel gives up after {tries}",
                deadline.used * 100.0,
                deadline.knob.name()
            ),
        });
    }
    passed
}

/// `3.2 s`, `4 m 43 s`.
fn seconds(ms: u64) -> String {
    super::obituary::words::seconds(ms)
}
