//! A line becomes the event again that it was made of.

use std::{collections::BTreeMap, sync::Arc};

use tcpretrans_ebpf::{Kind, Record};

use super::{
    kernel_object::{BadField, baseline},
    schema::{
        AccountTotals, ClosedLine, Common, DeadlineObject, EndLine, FlowObject, HungUpObject, InBackoffLine,
        LostLine, ObservationLine, RecoveredLine, RetransmitLine, SCHEMA, StartLine, Text, ThresholdLine,
        TimeoutTotals,
    },
    timestamp::Timestamp,
    tracepoint,
};
use crate::{
    event::{
        Cause, Closed, Deadline, End, Event, Flow, FlowId, HungUp, HungUpSide, InBackoff, Knob, Lost,
        LostWhere, Observation, Recovered, RecoveredBy, Retransmit, RetransmitType, Start, Threshold,
        ThresholdName, Unseen, What, Who,
        run::{Account, Timeouts, TypeTotal},
    },
    sink::{clock::Clock, errno, signal, state_name},
};

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No JSON, or not the fields that its event has.
    #[error("not a line of a recording: {0}")]
    Json(#[from] serde_json::Error),
    /// An event of a newer version.
    #[error("this tcpretrans knows no event \"{0}\"; a newer one wrote this recording")]
    UnknownEvent(String),
    /// A schema of a newer version.
    #[error(
        "the recording has schema {0}, this tcpretrans reads up to {SCHEMA}; use the version that wrote it"
    )]
    NewerSchema(u32),
    /// A name that is none of the known ones.
    #[error("\"{name}\" is no {field}")]
    UnknownName {
        /// The field that it stands in.
        field: &'static str,
        /// The name.
        name: String,
    },
    /// A value in `kernel` that cannot be.
    #[error(transparent)]
    Kernel(#[from] BadField),
}

/// How much of a line is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All: the record that the event was made of is there again.
    Whole,
    /// All but `kernel`, which is most of a line: the record has only what the event's own fields say of it.
    WithoutKernel,
}

/// A line understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What it tells of.
    pub event: Event,
    /// The clock by which it was written.
    pub clock: Clock,
}

/// Reads lines. Remembers what many of them share.
#[derive(Debug)]
pub struct Decoder {
    detail: Detail,
}

impl Decoder {
    /// Reads lines in this detail.
    pub fn new(detail: Detail) -> Decoder {
        Decoder { detail }
    }

    /// Reads one line; the newline may be there or not.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong with it; never panics, whatever the line is.
    pub fn decode(&mut self, line: &[u8]) -> Result<Decoded, DecodeError> {
        let common: Common<'_> = serde_json::from_slice(line)?;
        let clock = Clock { wall_minus_mono_ns: wall_minus_mono_ns(common.ts.wall_ns, common.mono_ns) };
        let mut event = decode(line)?;
        if self.detail == Detail::WithoutKernel {
            let base = baseline(&event);
            match &mut event.what {
                What::Retransmit(retransmit) => retransmit.record = base,
                What::Observation(observation) => observation.record = base,
                _ => {}
            }
        }
        Ok(Decoded { event, clock })
    }
}

/// Reads one line; the newline may be there or not.
///
/// # Errors
/// [`DecodeError`] says what is wrong with it; never panics, whatever the line is.
pub fn decode(line: &[u8]) -> Result<Event, DecodeError> {
    let common: Common<'_> = serde_json::from_slice(line)?;
    let mono_ns = common.mono_ns;
    let clock = Clock { wall_minus_mono_ns: wall_minus_mono_ns(common.ts.wall_ns, mono_ns) };
    let (flow, what) = match common.event.as_ref() {
        "start" => (None, start(serde_json::from_slice(line)?)?),
        "retransmit" => retransmit(serde_json::from_slice(line)?, mono_ns, clock)?,
        "in_backoff" => in_backoff(serde_json::from_slice(line)?, clock)?,
        "threshold" => threshold(serde_json::from_slice(line)?, clock)?,
        "recovered" => recovered(serde_json::from_slice(line)?)?,
        "closed" => closed(serde_json::from_slice(line)?, clock)?,
        "observation" => observation(serde_json::from_slice(line)?, mono_ns)?,
        "lost" => lost(serde_json::from_slice(line)?)?,
        "end" => (None, end(serde_json::from_slice(line)?)?),
        other => return Err(DecodeError::UnknownEvent(other.to_owned())),
    };
    Ok(Event { mono_ns, flow, what })
}

/// Both clocks stand in the line, so it can be read without its neighbours.
fn wall_minus_mono_ns(wall_ns: i64, mono_ns: u64) -> i64 {
    let offset = i128::from(wall_ns) - i128::from(mono_ns);
    offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

type FlowAndWhat = Result<(Option<Arc<Flow>>, What), DecodeError>;

/// The one of `all` that is called so.
fn named<T: Copy>(
    field: &'static str,
    all: &[T],
    name_of: impl Fn(T) -> &'static str,
    name: &str,
) -> Result<T, DecodeError> {
    all.iter()
        .copied()
        .find(|&one| name_of(one) == name)
        .ok_or_else(|| DecodeError::UnknownName { field, name: name.to_owned() })
}

fn known<T>(field: &'static str, name: &str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError::UnknownName { field, name: name.to_owned() })
}

fn knob(name: &str) -> Result<Knob, DecodeError> {
    named("knob", &Knob::ALL, Knob::name, name)
}

fn retransmit_type(name: &str) -> Result<RetransmitType, DecodeError> {
    known("type", name, RetransmitType::from_name(name))
}

fn cause(name: &str) -> Result<Cause, DecodeError> {
    named("cause", &Cause::ALL, Cause::name, name)
}

fn place(name: &str) -> Result<LostWhere, DecodeError> {
    named("where", &LostWhere::ALL, LostWhere::name, name)
}

fn flow(object: Option<FlowObject<'_>>) -> Result<Option<Arc<Flow>>, DecodeError> {
    let Some(object) = object else { return Ok(None) };
    let id = known("id", &object.id, u64::from_str_radix(&object.id, 16).ok())?;
    Ok(Some(Arc::new(Flow {
        laddr: object.laddr,
        lport: object.lport,
        raddr: object.raddr,
        rport: object.rport,
        netns: object.netns.unwrap_or(0),
        id: FlowId(id),
        pid: object.pid,
        comm: object.comm.as_deref().map(Arc::from),
        uid: object.uid,
        cgroup: object.cgroup.as_deref().map(Arc::from),
    })))
}

fn deadline(object: Option<DeadlineObject<'_>>, clock: Clock) -> Result<Option<Deadline>, DecodeError> {
    let Some(object) = object else { return Ok(None) };
    let mono_ns = |time: Timestamp| clock.mono_ns(time.wall_ns);
    Ok(Some(Deadline {
        knob: knob(&object.knob)?,
        limit: object.limit,
        budget_ms: object.budget_ms,
        elapsed_ms: object.elapsed_ms,
        used: object.used,
        earliest_ns: mono_ns(object.earliest),
        expected_ns: mono_ns(object.expected),
        latest_ns: mono_ns(object.latest),
        retransmissions_left: object.retransmissions_left,
    }))
}

fn start(line: StartLine<'_>) -> Result<What, DecodeError> {
    if line.schema > SCHEMA {
        return Err(DecodeError::NewerSchema(line.schema));
    }
    Ok(What::Start(Box::new(Start {
        version: line.version.into_owned(),
        kernel: line.kernel.into_owned(),
        hz: line.hz,
        command: line.command.into_owned(),
        filters: line.filters.into_owned(),
        clock_ns: line.clock,
        features: line.features.into_iter().map(|(name, has)| (name.into_owned().into(), has)).collect(),
        reset_reasons: line.reset_reasons.into_owned(),
        warn_at_percent: line.warn_at_percent,
        all_closes: line.all_closes,
        part: line.part,
    })))
}

fn retransmit(line: RetransmitLine<'_>, mono_ns: u64, clock: Clock) -> FlowAndWhat {
    let retransmit = Retransmit {
        ty: retransmit_type(&line.ty)?,
        certain: line.certain,
        state: known("state", &line.state, state_name::number(&line.state))?,
        segs: line.segs,
        bytes: line.bytes,
        seq: line.seq,
        err: line.err.map(|name| known("err", &name, errno::send_error(&name))).transpose()?,
        retransmits: line.retransmits,
        backoff: line.backoff,
        rto_ms: line.rto_ms,
        next_rto_ms: line.next_rto_ms,
        srtt_us: line.srtt_us,
        rttvar_us: line.rttvar_us,
        cwnd: line.cwnd,
        ssthresh: line.ssthresh,
        packets_out: line.packets_out,
        unacked_bytes: line.unacked_bytes,
        episode: line.episode,
        deadline: deadline(line.deadline, clock)?,
        record: Record::default(),
    };
    let mut event = Event { mono_ns, flow: flow(line.flow)?, what: What::Retransmit(Box::new(retransmit)) };
    let mut record = baseline(&event);
    line.kernel.unwrap_or_default().apply(&mut record)?;
    if let What::Retransmit(retransmit) = &mut event.what {
        retransmit.record = record;
    }
    Ok((event.flow, event.what))
}

fn threshold(line: ThresholdLine<'_>, clock: Clock) -> FlowAndWhat {
    let threshold = Threshold {
        name: named("threshold", &ThresholdName::ALL, ThresholdName::name, &line.name)?,
        deadline: deadline(line.deadline, clock)?,
        note: line.note.into_owned(),
    };
    Ok((flow(line.flow)?, What::Threshold(threshold)))
}

fn recovered(line: RecoveredLine<'_>) -> FlowAndWhat {
    let recovered = Recovered {
        duration_ms: line.duration_ms,
        retransmissions: line.retransmissions,
        segs: line.segs,
        max_backoff: line.max_backoff,
        spurious: line.spurious,
        by: named("by", &RecoveredBy::ALL, RecoveredBy::name, &line.by)?,
        episode: line.episode,
    };
    Ok((flow(line.flow)?, What::Recovered(recovered)))
}

fn hung_up(object: HungUpObject<'_>, clock: Clock) -> Result<HungUp, DecodeError> {
    Ok(HungUp {
        side: named("side", &HungUpSide::ALL, HungUpSide::name, &object.side)?,
        pid: object.pid,
        comm: object.comm.as_deref().map(Arc::from),
        unacked_bytes: object.unacked_bytes,
        retransmits: object.retransmits,
        into_backoff_ms: object.into_backoff_ms,
        waited_ms: object.waited_ms,
        rto_ms: object.rto_ms,
        would_have_tried_until_ns: object.would_have_tried_until.map(|time| clock.mono_ns(time.wall_ns)),
    })
}

fn closed(line: ClosedLine<'_>, clock: Clock) -> FlowAndWhat {
    let until = line.hung_up.as_ref().and_then(|hung_up| hung_up.would_have_tried_until);
    let mut closed = Closed {
        cause: cause(&line.cause)?,
        who: line.who.map(|name| named("who", &Who::ALL, Who::name, &name)).transpose()?,
        error: line.error.map(|name| known("error", &name, errno::number(&name))).transpose()?,
        knob: line.knob.map(|name| knob(&name)).transpose()?,
        state: known("state", &line.state, state_name::number(&line.state))?,
        retransmissions: line.retransmissions,
        segs: line.segs,
        unacked_bytes: line.unacked_bytes,
        unsent_bytes: line.unsent_bytes,
        lifetime_ms: line.lifetime_ms,
        silent_ms: line.silent_ms,
        predicted_at_ns: line.predicted_at.map(|time| clock.mono_ns(time.wall_ns)),
        hung_up: line.hung_up.map(|object| hung_up(object, clock)).transpose()?,
        killed_by: line.killed_by.map(|name| known("killed_by", &name, signal::number(&name))).transpose()?,
        note: String::new(),
    };
    // The line has the whole sentence, the event its first part.
    let rest = closed.sentence(|_| until.map(Timestamp::utc_second).unwrap_or_default());
    closed.note = line.note.strip_suffix(rest.as_str()).unwrap_or(&line.note).to_owned();
    Ok((flow(line.flow)?, What::Closed(Box::new(closed))))
}

fn in_backoff(line: InBackoffLine<'_>, clock: Clock) -> FlowAndWhat {
    let in_backoff = InBackoff {
        state: known("state", &line.state, state_name::number(&line.state))?,
        retransmits: line.retransmits,
        backoff: line.backoff,
        rto_ms: line.rto_ms,
        since_ms: line.since_ms,
        total_retrans: line.total_retrans,
        unacked_bytes: line.unacked_bytes,
        deadline: deadline(line.deadline, clock)?,
        episode: line.episode,
    };
    Ok((flow(line.flow)?, What::InBackoff(Box::new(in_backoff))))
}

fn observation(line: ObservationLine<'_>, mono_ns: u64) -> FlowAndWhat {
    let kind = named("tracepoint", &Kind::ALL, tracepoint::name, &line.tracepoint)?;
    let observation = Observation { kind, record: Record::default() };
    let mut event = Event { mono_ns, flow: flow(line.flow)?, what: What::Observation(Box::new(observation)) };
    let mut record = baseline(&event);
    line.kernel.unwrap_or_default().apply(&mut record)?;
    if let What::Observation(observation) = &mut event.what {
        observation.record = record;
    }
    Ok((event.flow, event.what))
}

fn lost(line: LostLine<'_>) -> Result<(Option<Arc<Flow>>, What), DecodeError> {
    let unseen = line.segs.map(|segs| Unseen { segs, maybe_failed: line.maybe_failed.unwrap_or(false) });
    let lost = Lost { records: line.records, place: place(&line.place)?, unseen };
    Ok((flow(line.flow)?, What::Lost(lost)))
}

fn end(line: EndLine<'_>) -> Result<What, DecodeError> {
    let of = |totals: &BTreeMap<Text<'_>, u64>, name: &str| totals.get(name).copied().unwrap_or(0);
    let mut retransmits = BTreeMap::new();
    for (name, &attempts) in &line.events.retransmit {
        let failed = of(&line.failed, name);
        let total = TypeTotal {
            sent: attempts.saturating_sub(failed),
            failed,
            segs: of(&line.segs, name),
            bytes: of(&line.bytes, name),
            failed_segs: of(&line.failed_segs, name),
        };
        retransmits.insert(retransmit_type(name)?, total);
    }
    let closed = line.events.closed.iter().map(|(name, &count)| Ok((cause(name)?, count)));
    let lost = line.lost.iter().map(|(name, &count)| Ok((place(name)?, count)));
    let errors =
        line.errors.iter().map(|(name, &count)| Ok((known("error", name, errno::send_error(name))?, count)));
    let TimeoutTotals { retransmitted, synack, gave_up } = line.timeouts;
    // In the order of the kinds, which is that of the wire.
    let records = Kind::ALL.into_iter().filter_map(|kind| {
        let &AccountTotals { sent, received, ring } = line.records.get(tracepoint::name(kind))?;
        Some((kind, Account { sent, received, ring }))
    });
    Ok(What::End(Box::new(End {
        duration_ms: line.duration_ms,
        retransmits,
        thresholds: line.events.threshold,
        recovered: line.events.recovered,
        closed: closed.collect::<Result<_, DecodeError>>()?,
        lost: lost.collect::<Result<_, DecodeError>>()?,
        unseen_segs: line.unseen_segs,
        errors: errors.collect::<Result<_, DecodeError>>()?,
        timeouts: Timeouts { retransmitted, synack, gave_up },
        records: records.collect(),
        records_sent: line.records_sent,
        records_received: line.records_received,
        flows_left: line.flows_left,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECOVERED: &str = r#"{"ts":"2026-11-22T07:03:00.5Z","mono_ns":5,"event":"recovered","flow":null,"duration_ms":1,"retransmissions":2,"segs":3,"max_backoff":4,"spurious":null,"by":"progress","episode":6}"#;

    #[test]
    fn a_line_with_or_without_its_newline() {
        let event = decode(RECOVERED.as_bytes()).unwrap();
        assert_eq!(event.mono_ns, 5);
        assert_eq!(
            event.what,
            What::Recovered(Recovered {
                duration_ms: 1,
                retransmissions: 2,
                segs: 3,
                max_backoff: 4,
                spurious: None,
                by: RecoveredBy::Progress,
                episode: 6,
            })
        );
        assert_eq!(decode(format!("{RECOVERED}\r\n").as_bytes()).unwrap(), event);
    }

    #[test]
    fn fields_of_a_newer_version_are_skipped() {
        let newer = RECOVERED.replace(r#""segs":3"#, r#""segs":3,"more":{"a":[1,null]}"#);
        assert_eq!(decode(newer.as_bytes()).unwrap(), decode(RECOVERED.as_bytes()).unwrap());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |line: &str| decode(line.as_bytes()).unwrap_err().to_string();
        assert!(error("").starts_with("not a line of a recording: EOF"), "{}", error(""));
        assert!(error(&RECOVERED[..60]).contains("EOF"), "cut short by a crash");
        assert!(error("[]").contains("invalid"));
        assert!(error(r#"{"event":"recovered"}"#).contains("missing field `ts`"));
        assert_eq!(
            error(&RECOVERED.replace("\"recovered\"", "\"reborn\"")),
            "this tcpretrans knows no event \"reborn\"; a newer one wrote this recording"
        );
        assert_eq!(error(&RECOVERED.replace("progress", "magic")), "\"magic\" is no by");
        assert!(error(&RECOVERED.replace("\"segs\":3", "\"segs\":-3")).contains("invalid value"));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let line = r#"{"ts":"2026-11-22T07:03:00Z","mono_ns":5,"event":"start","schema":2,"version":"9","kernel":"9","hz":1,"command":[],"filters":{},"clock":0,"features":{}}"#;
        assert!(matches!(decode(line.as_bytes()), Err(DecodeError::NewerSchema(2))));
        assert!(decode(line.replace("\"schema\":2", "\"schema\":1").as_bytes()).is_ok());
    }
}
