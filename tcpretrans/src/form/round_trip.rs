//! What is written is what is read: replay depends on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use proptest::prelude::*;

use crate::{
    event::{Clock, Closed, Event, Flow, Retransmit, SendError, What, samples, samples::any_event},
    form::{Decoder, Detail, decode, encode},
};

fn line_of(event: &Event, clock: &Clock) -> String {
    let mut line = Vec::new();
    encode(event, clock, &mut line);
    String::from_utf8(line).unwrap()
}

fn clock() -> impl Strategy<Value = Clock> {
    (-1_i64 << 60..1 << 60).prop_map(|wall_minus_mono_ns| Clock { wall_minus_mono_ns })
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

/// Fields that came later are written, and null or empty; all others are as they were.
fn only_more(old: &serde_json::Value, new: &serde_json::Value) {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return assert_eq!(old, new) };
    for (name, value) in new {
        match old.get(name) {
            Some(before) => only_more(before, value),
            None => {
                assert!(value.is_null() || value.as_array().is_some_and(Vec::is_empty), "{name}: {value}")
            }
        }
    }
    assert!(old.keys().all(|name| new.contains_key(name)), "of {old:?} something is gone: {new:?}");
}

/// Recordings of schema 1 as they were first written.
#[test]
fn recordings_of_0_1_0_are_read_and_written_as_they_were() {
    let mut kinds = BTreeSet::new();
    for name in ["night", "lost"] {
        let path = format!("{}/tests/recordings/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let recording = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut decoder = Decoder::new(Detail::Whole);
        for line in recording.lines() {
            let fast = decoder.as_we_write_it(line).unwrap_or_else(|| panic!("not read fast: {line}"));
            let any = decoder.as_any_json(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(fast, any);
            let again = line_of(&fast.event, &fast.clock);
            if again.trim_end() != line {
                only_more(&serde_json::from_str(line).unwrap(), &serde_json::from_str(&again).unwrap());
            }
            kinds.insert(fast.event.what.name());
        }
    }
    let events = [
        "start",
        "retransmit",
        "in_backoff",
        "threshold",
        "recovered",
        "closed",
        "observation",
        "lost",
        "end",
    ];
    assert_eq!(kinds, events.into(), "these were there then");
}

/// What was added to schema 1 is missing in the first recordings.
#[test]
fn fields_that_came_later_may_be_missing() {
    for (kind, later) in [
        ("start", &["reset_reasons", "warn_at_percent", "all_closes", "part"][..]),
        ("closed", &["hung_up", "killed_by"]),
        ("lost", &["segs", "maybe_failed"]),
        ("end", &["failed_segs", "errors", "timeouts", "unseen_segs", "records", "flows_left"]),
    ] {
        let event = samples::one_of_each().into_iter().find(|event| event.what.name() == kind).unwrap();
        let mut line: serde_json::Value = serde_json::from_str(&line_of(&event, &samples::CLOCK)).unwrap();
        for field in later {
            assert!(line.as_object_mut().unwrap().remove(*field).is_some(), "{kind}.{field}");
        }
        let decoded = decode(line.to_string().as_bytes()).unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(decoded.what.name(), kind);
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
        if let Some(record) = expected.event.what.record_mut() {
            *record = base;
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
    let fields: BTreeMap<&str, Vec<String>> =
        events.iter().map(|event| (event.what.name(), names(event))).collect();
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
    expect(
        "in_backoff",
        "ts mono_ns event flow state retransmits backoff rto_ms since_ms total_retrans unacked_bytes episode deadline",
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
    expect(
        "end",
        "ts mono_ns event events segs bytes failed failed_segs errors timeouts lost unseen_segs duration_ms \
         records_sent records_received records flows_left",
    );
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
            encode(&event, &samples::CLOCK, &mut buffer);
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
