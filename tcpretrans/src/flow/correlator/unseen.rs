//! Looking for retransmissions that made no record, on the way of every record.

use std::sync::Arc;

use tcpretrans_ebpf::{Kind, Record};

use super::Correlator;
use crate::{
    event::{Event, Flow, FlowId},
    flow::{
        identity::{self, Ends},
        unseen::{Counted, Gap, Watch},
    },
};

impl Correlator {
    /// From now on, tells of retransmissions that made no record. For a live trace: a recording has been told of them
    /// already. `maybe_failed`: this kernel makes no record of attempts that fail locally.
    pub fn watch_for_unseen(&mut self, now_ns: u64, maybe_failed: bool) {
        self.watch = Some(Watch::from(now_ns, maybe_failed));
    }

    /// No record was lost up to now but for those that made none: these are told.
    pub fn nothing_was_lost(&mut self, events: &mut Vec<Event>) {
        if let Some(watch) = &mut self.watch {
            watch.tell(events);
        }
    }

    /// What is missing between the flow's last record and this one, and the flow if it is known.
    pub(super) fn gap_before(
        &mut self,
        kind: Kind,
        id: FlowId,
        record: &Record,
    ) -> Option<(Gap, Option<Arc<Flow>>)> {
        let watch = self.watch.as_ref()?;
        let mut flow = None;
        let before = match self.flows.get_mut(id) {
            // The first look at the sockets runs beside the programs: its records are in no order with theirs.
            Some(_) if kind == Kind::Seed => return None,
            Some(state) => {
                let before = std::mem::replace(&mut state.counted, Counted::after(record));
                let gap = before.gap_before(kind, record)?;
                flow = Some(state.flow.clone());
                (gap, before.at_ns)
            }
            None => {
                let request = identity::request_id(Ends::of(record));
                let request = self.flows.get_mut(request).map(|state| state.counted);
                let before = watch.before_first(record, request)?;
                (before.gap_before(kind, record)?, before.at_ns)
            }
        };
        let (gap, since_ns) = before;
        // Records that are known to be lost explain it.
        let explained = self.doubtful_ns.is_some_and(|lost_ns| since_ns <= lost_ns);
        (!explained).then_some((gap, flow))
    }

    /// Keeps a gap that `record` has shown. Without a flow it was the flow's first record.
    pub(super) fn hold(&mut self, gap: Gap, record: &Record, id: FlowId, flow: Option<Arc<Flow>>) {
        let flow = flow.or_else(|| self.flows.get_mut(id).map(|state| state.flow.clone()));
        if let (Some(watch), Some(flow)) = (&mut self.watch, flow) {
            watch.hold(gap, record.mono_ns, flow);
        }
    }
}
