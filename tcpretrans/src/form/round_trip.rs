//! What is written is what is read: the promise that replay stands on.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use proptest::{collection::btree_map, option, prelude::*, sample::select};
use tcpretrans_ebpf::{Kind, Record};

use crate::{
    event::{
        Cause, Clock, Closed, Deadline, End, Event, Flow, FlowId, HungUp, HungUpSide, InBackoff, Knob, Lost,
        LostWhere, Observation, Recovered, RecoveredBy, Retransmit, RetransmitType, SendError, Start,
        Threshold, ThresholdName, Unseen, What, Who,
        run::{Account, Timeouts, TypeTotal},
        samples,
    },
    form::{Decoder, Detail, decode, encode},
};

fn line_of(event: &Event, clock: &Clock) -> String {
    let mut line = Vec::new();
    encode(event, clock, &mut line).unwrap();
    String::from_utf8(line).unwrap()
}

/// Times that have a date: some 36 years of uptime.
fn mono_ns() -> impl Strategy<Value = u64> {
    0..1_u64 << 60
}

fn clock() -> impl Strategy<Value = Clock> {
    (-1_i64 << 60..1 << 60).prop_map(|wall_minus_mono_ns| Clock { wall_minus_mono_ns })
}

fn addr() -> impl Strategy<Value = IpAddr> {
    // As events have them: never IPv4-mapped IPv6.
    any::<IpAddr>().prop_map(|addr| addr.to_canonical())
}

fn text() -> impl Strategy<Value = Arc<str>> {
    any::<String>().prop_map(Arc::from)
}

fn flow() -> impl Strategy<Value = Arc<Flow>> {
    let ends = (addr(), any::<u16>(), addr(), any::<u16>());
    let owner =
        (any::<Option<u32>>(), option::of(text()), any::<Option<u32>>(), option::of(text()), any::<u32>());
    (ends, owner, any::<u64>()).prop_map(|(ends, owner, id)| {
        let (laddr, lport, raddr, rport) = ends;
        let (pid, comm, uid, cgroup, netns) = owner;
        let id = FlowId(id);
        Arc::new(Flow { laddr, lport, raddr, rport, netns, id, pid, comm, uid, cgroup })
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    select(&Kind::ALL[..])
}

/// Any record of a kernel: only the padding is zero.
fn record() -> impl Strategy<Value = Record> {
    (prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], Record::SIZE), kind()).prop_map(
        |(bytes, kind)| {
            let mut bytes = bytes;
            bytes[std::mem::offset_of!(Record, kind)] = kind as u8;
            let (_, mut record) = Record::decode(&bytes).unwrap();
            record.reserved = Default::default();
            record.sock.pad = Default::default();
            record
        },
    )
}

fn deadline() -> impl Strategy<Value = Deadline> {
    let times = (mono_ns(), mono_ns(), mono_ns());
    let budget = (any::<Option<u32>>(), any::<Option<u64>>(), any::<u64>(), 0.0..=1.0_f64);
    (select(&Knob::ALL[..]), times, budget, any::<u32>()).prop_map(|(knob, times, budget, left)| Deadline {
        knob,
        limit: budget.0,
        budget_ms: budget.1,
        elapsed_ms: budget.2,
        used: budget.3,
        earliest_ns: times.0,
        expected_ns: times.1,
        latest_ns: times.2,
        retransmissions_left: left,
    })
}

fn send_error() -> impl Strategy<Value = SendError> {
    prop_oneof![Just(SendError::QueueDrop), (1..600).prop_map(SendError::Errno)]
}

fn retransmit() -> impl Strategy<Value = What> {
    let what = (select(&RetransmitType::ALL[..]), any::<bool>(), any::<u8>(), option::of(send_error()));
    let skb = (any::<u32>(), any::<u32>(), any::<Option<u32>>());
    let ladder = (any::<u32>(), any::<u32>(), any::<Option<u64>>(), any::<Option<u64>>());
    let path = (any::<Option<u32>>(), any::<Option<u32>>(), any::<u32>(), any::<Option<u32>>());
    let rest = (any::<u32>(), any::<u32>(), any::<u32>(), option::of(deadline()));
    (what, skb, ladder, path, rest, record()).prop_map(|(what, skb, ladder, path, rest, record)| {
        What::Retransmit(Box::new(Retransmit {
            ty: what.0,
            certain: what.1,
            state: what.2,
            err: what.3,
            segs: skb.0,
            bytes: skb.1,
            seq: skb.2,
            retransmits: ladder.0,
            backoff: ladder.1,
            rto_ms: ladder.2,
            next_rto_ms: ladder.3,
            srtt_us: path.0,
            rttvar_us: path.1,
            cwnd: path.2,
            ssthresh: path.3,
            packets_out: rest.0,
            unacked_bytes: rest.1,
            episode: rest.2,
            deadline: rest.3,
            record,
        }))
    })
}

fn hung_up() -> impl Strategy<Value = HungUp> {
    let who = (select(&HungUpSide::ALL[..]), any::<Option<u32>>(), any::<Option<String>>());
    let counts = (any::<u32>(), any::<u32>());
    let times = (any::<Option<u64>>(), any::<Option<u64>>(), any::<u64>(), option::of(mono_ns()));
    (who, counts, times).prop_map(|(who, counts, times)| HungUp {
        side: who.0,
        pid: who.1,
        comm: who.2.map(Into::into),
        unacked_bytes: counts.0,
        retransmits: counts.1,
        into_backoff_ms: times.0,
        waited_ms: times.1,
        rto_ms: times.2,
        would_have_tried_until_ns: times.3,
    })
}

fn closed() -> impl Strategy<Value = What> {
    let why = (
        select(&Cause::ALL[..]),
        option::of(select(&Who::ALL[..])),
        option::of(1..600),
        option::of(select(&Knob::ALL[..])),
    );
    let counts = (any::<u8>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    let times = (any::<Option<u64>>(), any::<Option<u64>>(), option::of(mono_ns()));
    let hang = (option::of(hung_up()), option::of(1_u8..128));
    (why, counts, times, hang, any::<String>()).prop_map(|(why, counts, times, hang, note)| {
        What::Closed(Box::new(Closed {
            cause: why.0,
            who: why.1,
            error: why.2,
            knob: why.3,
            state: counts.0,
            retransmissions: counts.1,
            segs: counts.2,
            unacked_bytes: counts.3,
            unsent_bytes: counts.4,
            lifetime_ms: times.0,
            silent_ms: times.1,
            predicted_at_ns: times.2,
            hung_up: hang.0,
            killed_by: hang.1,
            note,
        }))
    })
}

fn other_flow_event() -> impl Strategy<Value = What> {
    prop_oneof![
        (select(&ThresholdName::ALL[..]), option::of(deadline()), any::<String>())
            .prop_map(|(name, deadline, note)| What::Threshold(Threshold { name, deadline, note })),
        (any::<[u32; 4]>(), any::<u64>(), any::<Option<bool>>(), select(&RecoveredBy::ALL[..])).prop_map(
            |(counts, duration_ms, spurious, by)| What::Recovered(Recovered {
                duration_ms,
                retransmissions: counts[0],
                segs: counts[1],
                max_backoff: counts[2],
                episode: counts[3],
                spurious,
                by,
            })
        ),
        (any::<u8>(), any::<[u32; 5]>(), any::<u64>(), any::<Option<u64>>(), option::of(deadline()))
            .prop_map(|(state, counts, rto_ms, since_ms, deadline)| What::InBackoff(Box::new(InBackoff {
                state,
                retransmits: counts[0],
                backoff: counts[1],
                total_retrans: counts[2],
                unacked_bytes: counts[3],
                episode: counts[4],
                rto_ms,
                since_ms,
                deadline,
            }))),
        (kind(), record())
            .prop_map(|(kind, record)| What::Observation(Box::new(Observation { kind, record }))),
    ]
}

fn own_event() -> impl Strategy<Value = What> {
    let strings = || prop::collection::vec(any::<String>(), 0..3);
    let start = (
        any::<[String; 2]>(),
        1_u32..=10_000,
        strings(),
        btree_map(any::<String>(), any::<String>(), 0..3),
        any::<i64>(),
        btree_map(any::<String>(), any::<bool>(), 0..3),
        btree_map(any::<u32>(), any::<String>(), 0..3),
        any::<(Option<u8>, Option<bool>, Option<u32>)>(),
    )
        .prop_map(|(texts, hz, command, filters, clock_ns, features, reset_reasons, settings)| {
            let [version, kernel] = texts;
            let features = features.into_iter().map(|(name, has)| (name.into(), has)).collect();
            What::Start(Box::new(Start {
                version,
                kernel,
                hz,
                command,
                filters,
                clock_ns,
                features,
                reset_reasons,
                warn_at_percent: settings.0,
                all_closes: settings.1,
                part: settings.2,
            }))
        });
    let total = (0..1_u64 << 60, 0..1_u64 << 60, any::<[u64; 3]>()).prop_map(
        |(sent, failed, [segs, bytes, failed_segs])| TypeTotal { sent, failed, segs, bytes, failed_segs },
    );
    let error = prop_oneof![Just(SendError::QueueDrop), (1..134).prop_map(SendError::Errno)];
    let accounts = any::<[[u64; 3]; 3]>().prop_map(|counts| {
        let kinds = [Kind::Retransmit, Kind::State, Kind::Seed];
        let account = |[sent, received, ring]: [u64; 3]| Account { sent, received, ring };
        kinds.into_iter().zip(counts.map(account)).collect::<Vec<_>>()
    });
    let end = (
        any::<[u64; 10]>(),
        btree_map(select(&RetransmitType::ALL[..]), total, 0..5),
        btree_map(select(&Cause::ALL[..]), any::<u64>(), 0..5),
        btree_map(select(&LostWhere::ALL[..]), any::<u64>(), 0..5),
        btree_map(error, any::<u64>(), 0..5),
        accounts,
    )
        .prop_map(|(counts, retransmits, closed, lost, errors, records)| {
            What::End(Box::new(End {
                duration_ms: counts[0],
                thresholds: counts[1],
                recovered: counts[2],
                records_sent: counts[3],
                records_received: counts[4],
                flows_left: counts[5],
                unseen_segs: counts[6],
                timeouts: Timeouts { retransmitted: counts[7], synack: counts[8], gave_up: counts[9] },
                errors,
                records,
                retransmits,
                closed,
                lost,
            }))
        });
    let unseen = option::of((any::<u64>(), any::<bool>()));
    let lost = (any::<u64>(), select(&LostWhere::ALL[..]), unseen).prop_map(|(records, place, unseen)| {
        let unseen = unseen.map(|(segs, maybe_failed)| Unseen { segs, maybe_failed });
        What::Lost(Lost { records, place, unseen })
    });
    prop_oneof![start, end, lost]
}

fn any_event() -> impl Strategy<Value = Event> {
    let of_flow = (mono_ns(), option::of(flow()), prop_oneof![retransmit(), closed(), other_flow_event()]);
    let own = (mono_ns(), Just(None), own_event());
    prop_oneof![3 => of_flow, 1 => own].prop_map(|(mono_ns, flow, what)| Event { mono_ns, flow, what })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_event_comes_back_as_it_was(event in any_event(), clock in clock()) {
        let line = line_of(&event, &clock);
        prop_assert_eq!(line.matches('\n').count(), 1, "{}", line);
        prop_assert_eq!(decode(line.as_bytes()).unwrap(), event);
    }

    #[test]
    fn both_ways_of_reading_find_the_same(event in any_event(), clock in clock()) {
        let line = line_of(&event, &clock);
        let mut decoder = Decoder::new(Detail::Whole);
        let slowly = decoder.as_any_json(line.trim_end()).unwrap();
        // A brace in a name hides the end of the flow.
        if let Some(fast) = decoder.as_we_write_it(line.trim_end()) {
            prop_assert_eq!(fast, slowly);
        }
    }

    #[test]
    fn what_is_read_fast_is_no_less_strictly_read(at in 0_usize..3000, byte: u8, cut: bool, end in 0_usize..3000) {
        for event in samples::one_of_each() {
            let mut line = line_of(&event, &samples::CLOCK).trim_end().as_bytes().to_vec();
            let at = at % line.len();
            line[at] = byte;
            if cut {
                let end = end % line.len();
                line.drain(at.min(end)..at.max(end));
            }
            let Ok(line) = std::str::from_utf8(&line) else { continue };
            let mut decoder = Decoder::new(Detail::Whole);
            if let Some(fast) = decoder.as_we_write_it(line) {
                let slowly = decoder.as_any_json(line);
                prop_assert_eq!(Some(fast), slowly.ok(), "{}", line);
            }
        }
    }

    #[test]
    fn damaged_lines_are_an_error_and_never_a_panic(at in 0_usize..3000, byte: u8, cut: bool) {
        for event in samples::one_of_each() {
            let mut line = line_of(&event, &samples::CLOCK).into_bytes();
            let at = at % line.len();
            if cut && at > 0 && at < line.len() - 1 {
                prop_assert!(decode(&line[..at]).is_err());
            }
            line[at] = byte;
            let _ = decode(&line);
        }
    }
}

#[test]
fn what_we_write_is_read_fast() {
    for event in samples::one_of_each() {
        let line = line_of(&event, &samples::CLOCK);
        let mut decoder = Decoder::new(Detail::Whole);
        let decoded =
            decoder.as_we_write_it(line.trim_end()).unwrap_or_else(|| panic!("not read fast: {line}"));
        assert_eq!(decoded.event, event);
    }
}

#[test]
fn without_the_kernel_all_else_is_there() {
    let mut whole = Decoder::new(Detail::Whole);
    let mut without = Decoder::new(Detail::WithoutKernel);
    for event in samples::one_of_each() {
        let line = line_of(&event, &samples::CLOCK);
        let mut expected = whole.decode(line.as_bytes()).unwrap();
        let base = super::kernel_object::baseline(&expected.event);
        match &mut expected.event.what {
            What::Retransmit(retransmit) => retransmit.record = base,
            What::Observation(observation) => observation.record = base,
            _ => {}
        }
        assert_eq!(without.decode(line.as_bytes()).unwrap(), expected);
        // However it is laid out.
        let spaced = line.replacen("\"mono_ns\":", "\"mono_ns\": ", 1);
        assert_eq!(without.decode(spaced.as_bytes()).unwrap(), expected);
    }
}

#[test]
fn the_lines_have_the_documented_fields_in_their_order() {
    let names = |event: &Event| -> Vec<String> {
        // A map that keeps the order: the keys as they stand in the text.
        let line = line_of(event, &samples::CLOCK);
        let mut depth = 0;
        let mut names = Vec::new();
        let mut text = String::new();
        let mut in_text = false;
        for (at, c) in line.char_indices() {
            match c {
                '"' => {
                    in_text = !in_text;
                    if !in_text && depth == 1 && line[at + 1..].starts_with(':') {
                        names.push(text.clone());
                    }
                    text.clear();
                }
                _ if in_text => text.push(c),
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
        }
        names
    };
    let events = samples::one_of_each();
    let fields: BTreeMap<&str, Vec<String>> = events
        .iter()
        .map(|event| {
            let kind = match &event.what {
                What::Start(_) => "start",
                What::Retransmit(_) => "retransmit",
                What::InBackoff(_) => "in_backoff",
                What::Threshold(_) => "threshold",
                What::Recovered(_) => "recovered",
                What::Closed(_) => "closed",
                What::Observation(_) => "observation",
                What::Lost(_) => "lost",
                What::End(_) => "end",
            };
            (kind, names(event))
        })
        .collect();
    let expect = |kind: &str, names: &str| {
        assert_eq!(fields[kind], names.split_whitespace().collect::<Vec<_>>(), "{kind}");
    };
    expect(
        "start",
        "ts mono_ns event schema version kernel hz command filters clock features reset_reasons \
         warn_at_percent all_closes part",
    );
    expect(
        "retransmit",
        "ts mono_ns event flow type certain state segs bytes seq err retransmits backoff rto_ms next_rto_ms \
         srtt_us rttvar_us cwnd ssthresh packets_out unacked_bytes episode deadline kernel",
    );
    expect("threshold", "ts mono_ns event flow name deadline note");
    expect(
        "recovered",
        "ts mono_ns event flow duration_ms retransmissions segs max_backoff spurious by episode",
    );
    expect(
        "closed",
        "ts mono_ns event flow cause who error knob state retransmissions segs unacked_bytes unsent_bytes \
         lifetime_ms silent_ms predicted_at hung_up killed_by note",
    );
    expect("observation", "ts mono_ns event flow tracepoint kernel");
    expect("lost", "ts mono_ns event flow records where segs maybe_failed");
}

#[test]
fn a_sentence_has_its_time_in_the_line_and_not_in_the_event() {
    let note = "closed by the peer";
    let closed = Closed { note: note.to_owned(), hung_up: Some(samples::hung_up()), ..samples::closed() };
    let event = samples::event(samples::ipv4_flow(), What::Closed(Box::new(closed)));
    let line = line_of(&event, &samples::CLOCK);
    let until = r#""note":"closed by the peer; TCP itself would have tried until 15:04:08 UTC"}"#;
    assert!(line.trim_end().ends_with(until), "{line}");
    assert_eq!(decode(line.as_bytes()).unwrap(), event);
}

#[test]
fn a_retransmission_as_users_see_it() {
    let event = samples::event(samples::ipv4_flow(), samples::retransmit(samples::rto()));
    let line = line_of(&event, &samples::CLOCK);
    let (head, kernel) = line.split_once(r#","kernel":"#).unwrap();
    assert_eq!(
        head,
        concat!(
            r#"{"ts":"2026-11-22T15:04:07.123456789Z","mono_ns":1000000000000,"event":"retransmit","#,
            r#""flow":{"family":"ipv4","laddr":"10.0.0.1","lport":40000,"raddr":"10.0.0.2","rport":9000,"#,
            r#""netns":4026531840,"id":"1a2b","pid":1234,"comm":"java","uid":1000,"#,
            r#""cgroup":"/system.slice/x.service"},"#,
            r#""type":"rto","certain":true,"state":"ESTABLISHED","segs":1,"bytes":1448,"seq":3000000000,"#,
            r#""err":null,"retransmits":1,"backoff":0,"rto_ms":204,"next_rto_ms":408,"srtt_us":201,"#,
            r#""rttvar_us":200000,"cwnd":1,"ssthresh":5,"packets_out":10,"unacked_bytes":14480,"#,
            r#""episode":1,"deadline":{"knob":"tcp_retries2","limit":15,"budget_ms":924600,"elapsed_ms":204,"#,
            r#""used":0.00022,"earliest":"2026-11-22T15:19:43.123456789Z","#,
            r#""latest":"2026-11-22T15:19:47.123456789Z","expected":"2026-11-22T15:19:44.123456789Z","#,
            r#""retransmissions_left":15}"#,
        )
    );
    assert!(kernel.starts_with(r#"{"jiffies":4295000000,"sk":70007,"cgroup_id":4711,"#));
    for derivable in ["lport", "laddr", "seq", "owner_comm", "snd_cwnd", "skc_state", "mono_ns", "cookie"] {
        assert!(!kernel.contains(&format!("\"{derivable}\":")), "{derivable} stands there already: {kernel}");
    }
}

#[test]
fn what_is_unknown_is_null() {
    let flow = Flow {
        laddr: IpAddr::V6(Ipv6Addr::LOCALHOST),
        raddr: IpAddr::V6(Ipv6Addr::LOCALHOST),
        ..samples::unknown_owner()
    };
    let failed = Retransmit {
        err: Some(SendError::Errno(libc::ENETUNREACH)),
        seq: None,
        srtt_us: None,
        deadline: None,
        ..samples::rto()
    };
    let line = line_of(&samples::event(flow, samples::retransmit(failed)), &samples::CLOCK);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    for unknown in ["netns", "pid", "comm", "uid", "cgroup"] {
        assert!(line["flow"][unknown].is_null(), "{unknown}");
    }
    assert_eq!(line["flow"]["family"], "ipv6");
    assert_eq!(line["flow"]["laddr"], "::1");
    assert_eq!(line["err"], "ENETUNREACH");
    for unknown in ["seq", "srtt_us", "deadline"] {
        assert!(line.get(unknown).is_some_and(serde_json::Value::is_null), "{unknown}");
    }
}

/// `cargo test --release -p tcpretrans -- --ignored --nocapture speed`
#[test]
#[ignore = "measures; means something only with --release and an idle machine"]
fn speed() {
    let event = samples::event(samples::ipv4_flow(), samples::retransmit(samples::rto()));
    let per_second = |what: &str, mut once: Box<dyn FnMut() + '_>| {
        let rounds = 200_000_u32;
        let started = std::time::Instant::now();
        for _ in 0..rounds {
            once();
        }
        let rate = f64::from(rounds) / started.elapsed().as_secs_f64();
        println!("{what}: {rate:.0} events/s");
        rate
    };
    let line = line_of(&event, &samples::CLOCK);
    println!("{} bytes a line", line.len());
    let mut buffer = Vec::new();
    let encoding = per_second(
        "encode",
        Box::new(|| {
            buffer.clear();
            encode(&event, &samples::CLOCK, &mut buffer).unwrap();
        }),
    );
    let decoding = per_second(
        "decode",
        Box::new(|| {
            decode(line.as_bytes()).unwrap();
        }),
    );
    assert!(encoding > 250_000.0, "a storm of retransmissions would outrun the log");
    assert!(decoding > 30_000.0, "an hour's recording would take an hour");
}
