//! What the fields of a line mean: names become values, times of the wall clock monotonic ones.

use std::{collections::BTreeMap, sync::Arc};

use tcpretrans_ebpf::{Kind, Record};

use crate::{
    event::{
        Cause, Closed, Deadline, End, Flow, FlowId, HungUp, HungUpSide, InBackoff, Knob, Lost, LostWhere,
        Observation, Recovered, RecoveredBy, Retransmit, RetransmitType, Start, Threshold, ThresholdName,
        Unseen, What, Who,
        clock::Clock,
        run::{Account, Timeouts, TypeTotal},
    },
    form::{
        decode::DecodeError,
        schema::{
            AccountTotals, ClosedLine, DeadlineObject, EndLine, FlowObject, HungUpObject, InBackoffLine,
            LostLine, ObservationLine, RecoveredLine, RetransmitLine, SCHEMA, StartLine, Text, ThresholdLine,
            TimeoutTotals,
        },
        timestamp::Timestamp,
    },
    words::{errno, signal, state_name},
};

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

/// `CONFIG_HZ` ends at 1000 but on old Alphas (1024).
const MOST_HZ: u32 = 10_000;

pub(super) fn flow(object: FlowObject<'_>) -> Result<Flow, DecodeError> {
    let id = known("id", &object.id, u64::from_str_radix(&object.id, 16).ok())?;
    Ok(Flow {
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
    })
}

fn deadline(object: Option<&DeadlineObject<'_>>, clock: Clock) -> Result<Option<Deadline>, DecodeError> {
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

pub(super) fn start(line: StartLine<'_>) -> Result<What, DecodeError> {
    if line.schema > SCHEMA {
        return Err(DecodeError::NewerSchema(line.schema));
    }
    if line.hz == 0 || line.hz > MOST_HZ {
        return Err(DecodeError::Impossible { field: "hz", value: line.hz.into() });
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

pub(super) fn retransmit(line: &RetransmitLine<'_>, clock: Clock) -> Result<What, DecodeError> {
    Ok(What::Retransmit(Box::new(Retransmit {
        ty: retransmit_type(&line.ty)?,
        certain: line.certain,
        state: known("state", &line.state, state_name::number(&line.state))?,
        segs: line.segs,
        bytes: line.bytes,
        seq: line.seq,
        err: line.err.as_ref().map(|name| known("err", name, errno::send_error(name))).transpose()?,
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
        deadline: deadline(line.deadline.as_ref(), clock)?,
        record: Record::default(),
    })))
}

pub(super) fn threshold(line: ThresholdLine<'_>, clock: Clock) -> Result<What, DecodeError> {
    let threshold = Threshold {
        name: named("threshold", &ThresholdName::ALL, ThresholdName::name, &line.name)?,
        deadline: deadline(line.deadline.as_ref(), clock)?,
        note: line.note.into_owned(),
    };
    Ok(What::Threshold(threshold))
}

pub(super) fn recovered(line: RecoveredLine<'_>) -> Result<What, DecodeError> {
    let recovered = Recovered {
        duration_ms: line.duration_ms,
        retransmissions: line.retransmissions,
        segs: line.segs,
        max_backoff: line.max_backoff,
        spurious: line.spurious,
        by: named("by", &RecoveredBy::ALL, RecoveredBy::name, &line.by)?,
        episode: line.episode,
    };
    Ok(What::Recovered(recovered))
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

pub(super) fn closed(line: ClosedLine<'_>, clock: Clock) -> Result<What, DecodeError> {
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
    Ok(What::Closed(Box::new(closed)))
}

pub(super) fn in_backoff(line: InBackoffLine<'_>, clock: Clock) -> Result<What, DecodeError> {
    let in_backoff = InBackoff {
        state: known("state", &line.state, state_name::number(&line.state))?,
        retransmits: line.retransmits,
        backoff: line.backoff,
        rto_ms: line.rto_ms,
        since_ms: line.since_ms,
        total_retrans: line.total_retrans,
        unacked_bytes: line.unacked_bytes,
        deadline: deadline(line.deadline.as_ref(), clock)?,
        episode: line.episode,
    };
    Ok(What::InBackoff(Box::new(in_backoff)))
}

pub(super) fn observation(line: &ObservationLine<'_>) -> Result<What, DecodeError> {
    let kind = named("tracepoint", &Kind::ALL, Kind::name, &line.tracepoint)?;
    Ok(What::Observation(Box::new(Observation { kind, record: Record::default() })))
}

pub(super) fn lost(line: LostLine<'_>) -> Result<What, DecodeError> {
    let unseen = line.segs.map(|segs| Unseen { segs, maybe_failed: line.maybe_failed.unwrap_or(false) });
    let lost = Lost { records: line.records, place: place(&line.place)?, unseen };
    Ok(What::Lost(lost))
}

pub(super) fn end(line: EndLine<'_>) -> Result<What, DecodeError> {
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
        let &AccountTotals { sent, received, ring } = line.records.get(kind.name())?;
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
