//! Flows of which nothing more will be heard: their state must go although no record says so.

use crate::{flow::state::FlowState, socket::Nanos};

/// A flow that is known for a reset alone, which did not end it, or whose end was lost. Its CLOSE would have
/// followed within microseconds.
const RESET_ONLY: Nanos = Nanos::from_secs(1);
/// After records were lost: a flow that was silent since then for so long is taken for gone. Twice the longest
/// RTO and more: one that still retransmits has been heard of by then.
const DOUBTFUL: Nanos = Nanos::from_secs(600);

/// After when the flow is gone unless something is heard of it; `None`: it is not to be forgotten.
/// `lost`: up to then records were lost.
pub(in crate::flow) fn gone_after(state: &FlowState, lost: Option<Nanos>) -> Option<Nanos> {
    if state.closing.is_some() {
        return None;
    }
    let had_trouble = state.episodes > 0 || state.last_total_retrans > 0;
    if !had_trouble {
        return Some(state.last + RESET_ONLY);
    }
    let doubtful = lost.is_some_and(|lost| state.last <= lost);
    (doubtful && state.request_over.is_none()).then(|| state.last + DOUBTFUL)
}
