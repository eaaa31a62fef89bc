//! Flows of which nothing more will be heard: their state must go although no record says so.

use crate::flow::state::FlowState;

/// A flow that is known for a reset alone, which did not end it, or whose end was lost. Its CLOSE would have
/// followed within microseconds.
const RESET_ONLY_NS: u64 = 1_000_000_000;
/// After records were lost: a flow that was silent since then for so long is taken for gone. Twice the longest
/// RTO and more: one that still retransmits has been heard of by then.
const DOUBTFUL_NS: u64 = 600_000_000_000;

/// After when the flow is gone unless something is heard of it, mono ns; `None`: it is not to be forgotten.
/// `doubtful_ns`: up to then records were lost.
pub fn gone_after_ns(state: &FlowState, doubtful_ns: Option<u64>) -> Option<u64> {
    if state.closing.is_some() {
        return None;
    }
    let had_trouble = state.episodes > 0 || state.last_total_retrans > 0;
    if !had_trouble {
        return Some(state.last_ns.saturating_add(RESET_ONLY_NS));
    }
    let doubtful = doubtful_ns.is_some_and(|lost_ns| state.last_ns <= lost_ns);
    (doubtful && state.request_over_ns.is_none()).then(|| state.last_ns.saturating_add(DOUBTFUL_NS))
}
