//! An event becomes a line.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write, str};

use serde::Serialize;
use tcpretrans_ebpf::Record;

use crate::{
    event::{
        Closed, Deadline, End, Event, Flow, FlowId, HungUp, Retransmit, Start, What, clock::Clock,
        run::Account,
    },
    form::{
        kernel_object,
        kernel_object::baseline,
        schema::{
            AccountTotals, ClosedLine, DeadlineObject, EndLine, EventTotals, FlowObject, HungUpObject,
            InBackoffLine, LostLine, ObservationLine, RecoveredLine, RetransmitLine, SCHEMA, StartLine, Text,
            ThresholdLine, TimeoutTotals,
        },
        timestamp::Timestamp,
    },
    words::{errno, signal, state_name},
};

/// Appends the event's line, newline included.
///
/// # Errors
/// None that an event could cause; what was appended until then is taken back.
pub fn encode(event: &Event, clock: &Clock, line: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let start = line.len();
    let result = Encoder { event, clock: *clock, line }.encode();
    match result {
        Ok(()) => line.push(b'\n'),
        Err(_) => line.truncate(start),
    }
    result
}

struct Encoder<'a> {
    event: &'a Event,
    clock: Clock,
    line: &'a mut Vec<u8>,
}

/// Sixteen digits at most, without an allocation.
struct Hex {
    digits: [u8; 16],
    len: usize,
}

impl Hex {
    fn new(id: FlowId) -> Hex {
        let mut hex = Hex { digits: [0; 16], len: 0 };
        // Cannot fail: a u64 has no more than sixteen digits.
        let _ = write!(hex, "{id}");
        hex
    }

    fn as_str(&self) -> &str {
        self.digits.get(..self.len).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

impl Write for Hex {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.digits.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

fn flow_object<'a>(flow: &'a Flow, id: &'a Hex) -> FlowObject<'a> {
    FlowObject {
        family: Text::Borrowed(flow.family()),
        laddr: flow.laddr,
        lport: flow.lport,
        raddr: flow.raddr,
        rport: flow.rport,
        netns: (flow.netns != 0).then_some(flow.netns),
        id: Text::Borrowed(id.as_str()),
        pid: flow.pid,
        comm: flow.comm.as_deref().map(Text::Borrowed),
        uid: flow.uid,
        cgroup: flow.cgroup.as_deref().map(Text::Borrowed),
    }
}

impl Encoder<'_> {
    fn encode(self) -> Result<(), serde_json::Error> {
        let Encoder { event, .. } = self;
        let id = Hex::new(event.flow.as_ref().map_or(FlowId(0), |flow| flow.id));
        let flow = event.flow.as_deref().map(|flow| flow_object(flow, &id));
        let ts = self.time(event.mono_ns);
        let mono_ns = event.mono_ns;
        match &event.what {
            What::Start(start) => self.start(start),
            What::Retransmit(retransmit) => self.retransmit(retransmit, flow),
            What::Threshold(threshold) => {
                let deadline = threshold.deadline.as_ref().map(|deadline| self.deadline(deadline));
                self.write(&ThresholdLine {
                    ts,
                    mono_ns,
                    event: "threshold".into(),
                    flow,
                    name: threshold.name.name().into(),
                    deadline,
                    note: Text::Borrowed(&threshold.note),
                })
            }
            What::InBackoff(in_backoff) => {
                let deadline = in_backoff.deadline.as_ref().map(|deadline| self.deadline(deadline));
                self.write(&InBackoffLine {
                    ts,
                    mono_ns,
                    event: "in_backoff".into(),
                    flow,
                    state: state_name::name(in_backoff.state),
                    retransmits: in_backoff.retransmits,
                    backoff: in_backoff.backoff,
                    rto_ms: in_backoff.rto_ms,
                    since_ms: in_backoff.since_ms,
                    total_retrans: in_backoff.total_retrans,
                    unacked_bytes: in_backoff.unacked_bytes,
                    episode: in_backoff.episode,
                    deadline,
                })
            }
            What::Recovered(recovered) => self.write(&RecoveredLine {
                ts,
                mono_ns,
                event: "recovered".into(),
                flow,
                duration_ms: recovered.duration_ms,
                retransmissions: recovered.retransmissions,
                segs: recovered.segs,
                max_backoff: recovered.max_backoff,
                spurious: recovered.spurious,
                by: recovered.by.name().into(),
                episode: recovered.episode,
            }),
            What::Closed(closed) => self.closed(closed, flow),
            What::Observation(observation) => {
                let line = ObservationLine {
                    ts,
                    mono_ns,
                    event: "observation".into(),
                    flow,
                    tracepoint: observation.kind.name().into(),
                    kernel: None,
                };
                self.write_with_record(&line, &observation.record)
            }
            What::Lost(lost) => self.write(&LostLine {
                ts,
                mono_ns,
                event: "lost".into(),
                flow,
                records: lost.records,
                place: lost.place.name().into(),
                segs: lost.unseen.map(|unseen| unseen.segs),
                maybe_failed: lost.unseen.map(|unseen| unseen.maybe_failed),
            }),
            What::End(end) => self.end(end),
        }
    }

    fn write(self, line: &impl Serialize) -> Result<(), serde_json::Error> {
        serde_json::to_writer(self.line, line)
    }

    /// The same, with the object `kernel` at the end.
    fn write_with_record(self, line: &impl Serialize, record: &Record) -> Result<(), serde_json::Error> {
        serde_json::to_writer(&mut *self.line, line)?;
        self.line.pop();
        self.line.extend_from_slice(b",\"kernel\":");
        kernel_object::write(record, &baseline(self.event), self.line);
        self.line.push(b'}');
        Ok(())
    }

    fn time(&self, mono_ns: u64) -> Timestamp {
        Timestamp { wall_ns: self.clock.wall_ns(mono_ns) }
    }

    fn deadline(&self, deadline: &Deadline) -> DeadlineObject<'static> {
        DeadlineObject {
            knob: deadline.knob.name().into(),
            limit: deadline.limit,
            budget_ms: deadline.budget_ms,
            elapsed_ms: deadline.elapsed_ms,
            used: deadline.used,
            earliest: self.time(deadline.earliest_ns),
            latest: self.time(deadline.latest_ns),
            expected: self.time(deadline.expected_ns),
            retransmissions_left: deadline.retransmissions_left,
        }
    }

    fn hung_up<'a>(&self, hung_up: &'a HungUp) -> HungUpObject<'a> {
        HungUpObject {
            side: hung_up.side.name().into(),
            pid: hung_up.pid,
            comm: hung_up.comm.as_deref().map(Text::Borrowed),
            unacked_bytes: hung_up.unacked_bytes,
            retransmits: hung_up.retransmits,
            into_backoff_ms: hung_up.into_backoff_ms,
            waited_ms: hung_up.waited_ms,
            rto_ms: hung_up.rto_ms,
            would_have_tried_until: hung_up.would_have_tried_until_ns.map(|mono_ns| self.time(mono_ns)),
        }
    }

    fn start(self, start: &Start) -> Result<(), serde_json::Error> {
        let line = StartLine {
            ts: self.time(self.event.mono_ns),
            mono_ns: self.event.mono_ns,
            event: "start".into(),
            schema: SCHEMA,
            version: Text::Borrowed(&start.version),
            kernel: Text::Borrowed(&start.kernel),
            hz: start.hz,
            command: Cow::Borrowed(&start.command),
            filters: Cow::Borrowed(&start.filters),
            clock: start.clock_ns,
            features: start.features.iter().map(|(name, has)| (Text::Borrowed(&**name), *has)).collect(),
            reset_reasons: Cow::Borrowed(&start.reset_reasons),
            warn_at_percent: start.warn_at_percent,
            all_closes: start.all_closes,
            part: start.part,
        };
        self.write(&line)
    }

    fn retransmit(
        self,
        retransmit: &Retransmit,
        flow: Option<FlowObject<'_>>,
    ) -> Result<(), serde_json::Error> {
        let line = RetransmitLine {
            ts: self.time(self.event.mono_ns),
            mono_ns: self.event.mono_ns,
            event: "retransmit".into(),
            flow,
            ty: retransmit.ty.name().into(),
            certain: retransmit.certain,
            state: state_name::name(retransmit.state),
            segs: retransmit.segs,
            bytes: retransmit.bytes,
            seq: retransmit.seq,
            err: retransmit.err.map(errno::send_error_name),
            retransmits: retransmit.retransmits,
            backoff: retransmit.backoff,
            rto_ms: retransmit.rto_ms,
            next_rto_ms: retransmit.next_rto_ms,
            srtt_us: retransmit.srtt_us,
            rttvar_us: retransmit.rttvar_us,
            cwnd: retransmit.cwnd,
            ssthresh: retransmit.ssthresh,
            packets_out: retransmit.packets_out,
            unacked_bytes: retransmit.unacked_bytes,
            episode: retransmit.episode,
            deadline: retransmit.deadline.as_ref().map(|deadline| self.deadline(deadline)),
            kernel: None,
        };
        self.write_with_record(&line, &retransmit.record)
    }

    fn closed(self, closed: &Closed, flow: Option<FlowObject<'_>>) -> Result<(), serde_json::Error> {
        let line = ClosedLine {
            ts: self.time(self.event.mono_ns),
            mono_ns: self.event.mono_ns,
            event: "closed".into(),
            flow,
            cause: closed.cause.name().into(),
            who: closed.who.map(|who| who.name().into()),
            error: closed.error.map(errno::name),
            knob: closed.knob.map(|knob| knob.name().into()),
            state: state_name::name(closed.state),
            retransmissions: closed.retransmissions,
            segs: closed.segs,
            unacked_bytes: closed.unacked_bytes,
            unsent_bytes: closed.unsent_bytes,
            lifetime_ms: closed.lifetime_ms,
            silent_ms: closed.silent_ms,
            predicted_at: closed.predicted_at_ns.map(|mono_ns| self.time(mono_ns)),
            hung_up: closed.hung_up.as_ref().map(|hung_up| self.hung_up(hung_up)),
            killed_by: closed.killed_by.map(signal::name),
            note: Text::Owned(closed.sentence(|mono_ns| self.time(mono_ns).utc_second())),
        };
        self.write(&line)
    }

    fn end(self, end: &End) -> Result<(), serde_json::Error> {
        let by_type = |count: fn(&crate::event::run::TypeTotal) -> u64| -> BTreeMap<Text<'_>, u64> {
            end.retransmits.iter().map(|(ty, total)| (ty.name().into(), count(total))).collect()
        };
        let line = EndLine {
            ts: self.time(self.event.mono_ns),
            mono_ns: self.event.mono_ns,
            event: "end".into(),
            events: EventTotals {
                retransmit: by_type(|total| total.sent + total.failed),
                threshold: end.thresholds,
                recovered: end.recovered,
                closed: end.closed.iter().map(|(cause, count)| (cause.name().into(), *count)).collect(),
            },
            segs: by_type(|total| total.segs),
            bytes: by_type(|total| total.bytes),
            failed: by_type(|total| total.failed),
            failed_segs: by_type(|total| total.failed_segs),
            errors: end
                .errors
                .iter()
                .map(|(&error, &count)| (errno::send_error_name(error), count))
                .collect(),
            timeouts: TimeoutTotals {
                retransmitted: end.timeouts.retransmitted,
                synack: end.timeouts.synack,
                gave_up: end.timeouts.gave_up,
            },
            lost: end.lost.iter().map(|(place, count)| (place.name().into(), *count)).collect(),
            unseen_segs: end.unseen_segs,
            duration_ms: end.duration_ms,
            records_sent: end.records_sent,
            records_received: end.records_received,
            records: end
                .records
                .iter()
                .map(|(kind, account)| {
                    let Account { sent, received, ring } = *account;
                    (kind.name().into(), AccountTotals { sent, received, ring })
                })
                .collect(),
            flows_left: end.flows_left,
        };
        self.write(&line)
    }
}
