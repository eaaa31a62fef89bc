//! The way of a record through userspace: ring buffer bytes -> decode -> owner -> correlate -> JSON Lines or table.
//!
//! The records are synthetic, but make up whole lives: of 4,000 connections, most lose segments and repair them within
//! a round trip, some back off for several RTOs, and each ends at some time, so that every part of the correlator has
//! something to do.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::{fs::File, hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use jiff::tz::TimeZone;
use tcpretrans::{
    event::{Clock, Event},
    flow::{Config, Correlator},
    internals::{Cgroups, JsonSink, Layout, Owners, Sink, Stream, TableSink},
};
use tcpretrans_ebpf::{Kind, Record, Snapshot, tcp_state::*};

const HZ: u32 = 250;
const FLOWS: usize = 4_000;
const RECORDS: usize = 100_000;
/// As many as the live trace takes in one go.
const BATCH: usize = 2048;
const CLOCK: Clock = Clock { wall_minus_mono_ns: 1_795_359_847_123_456_789 };

/// `enum tcp_ca_state`
const OPEN: u8 = 0;
const RECOVERY: u8 = 3;
const LOSS: u8 = 4;
/// `icsk_pending`: the retransmission timer.
const RETRANSMIT_TIMER: u8 = 1;
/// `TCPCB_LOST`
const LOST: u8 = 4;

/// Marsaglia's xorshift: the same records each time, on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// One connection, and what it is going through.
struct Life {
    record: Record,
    /// What is still to come of its trouble, last first.
    script: Vec<Step>,
}

#[derive(Clone, Copy)]
enum Step {
    Cong(u8),
    Fast,
    Timeout,
    Close,
}

impl Life {
    fn new(number: u64, now_ns: u64) -> Life {
        let mut address = [0; 16];
        address[10..].copy_from_slice(&[0xff, 0xff, 10, 0, (number >> 8) as u8, number as u8]);
        let sock = Snapshot {
            skc_state: ESTABLISHED,
            skc_family: 2,
            netns: 4_026_531_840,
            sk_uid: 1000,
            snd_una: 1_000_000,
            snd_nxt: 1_100_000,
            write_seq: 1_200_000,
            snd_wnd: 65_535,
            snd_cwnd: 20,
            snd_ssthresh: 18,
            mss_cache: 1448,
            packets_out: 14,
            srtt_us: 8 * 25_000,
            rttvar_us: 12_000,
            icsk_rto: 51,
            icsk_rto_min: 50,
            icsk_rto_max: 30_000,
            icsk_pending: RETRANSMIT_TIMER,
            tcp_retries1: 3,
            tcp_retries2: 15,
            tcp_syn_retries: 6,
            tcp_syn_linear_timeouts: 4,
            tcp_synack_retries: 5,
            tcp_keepalive_time: 7200 * HZ,
            tcp_keepalive_intvl: 75 * HZ,
            tcp_keepalive_probes: 9,
            ..Snapshot::default()
        };
        let record = Record {
            sk: number << 12,
            cookie: number,
            cgroup_id: 1,
            inode: 100_000 + number,
            born_ns: now_ns,
            owner_comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0",
            owner_tgid: 1000 + (number % 8) as u32,
            laddr: address,
            raddr: address,
            lport: (1024 + number % 60_000) as u16,
            rport: 443,
            rst_reason: u32::MAX,
            fin_idle_jiffies: u32::MAX,
            sock,
            ..Record::default()
        };
        Life { record, script: Vec::new() }
    }

    /// Most losses are repaired at once; the others back off for a while. One in ten ends then.
    fn think_of_trouble(&mut self, random: &mut Random) {
        if random.below(10) == 0 {
            self.script.push(Step::Close);
        }
        self.script.push(Step::Cong(OPEN));
        if random.below(8) == 0 {
            self.script.extend((0..=random.below(4)).map(|_| Step::Timeout));
            self.script.push(Step::Cong(LOSS));
        } else {
            self.script.extend((0..=random.below(9)).map(|_| Step::Fast));
            self.script.push(Step::Cong(RECOVERY));
        }
    }

    fn step(&mut self, step: Step, now_ns: u64) {
        let record = &mut self.record;
        record.mono_ns = now_ns;
        record.jiffies = 4_295_000_000 + now_ns / (1_000_000_000 / u64::from(HZ));
        let sock = &mut record.sock;
        sock.timer_expires = record.jiffies + 50;
        match step {
            Step::Cong(new) => {
                (record.old, record.new) = (sock.ca_state, new);
                if new == OPEN {
                    (sock.icsk_retransmits, sock.icsk_backoff, sock.icsk_rto) = (0, 0, 51);
                    sock.snd_una = sock.snd_nxt;
                    sock.snd_nxt = sock.snd_nxt.wrapping_add(100_000);
                    sock.write_seq = sock.snd_nxt.wrapping_add(100_000);
                }
                sock.undo_marker = sock.snd_una;
                record.kind = Kind::CongState as u8;
            }
            Step::Fast | Step::Timeout => {
                let timer = matches!(step, Step::Timeout);
                sock.icsk_pending = if timer { 0 } else { RETRANSMIT_TIMER };
                if timer {
                    sock.icsk_retransmits += 1;
                }
                sock.total_retrans += 1;
                record.seq =
                    sock.snd_una.wrapping_add(if timer { 0 } else { 1448 * sock.total_retrans % 14 });
                record.end_seq = record.seq.wrapping_add(1448);
                record.skb_len = 1448;
                record.segs = 1;
                record.sacked = LOST;
                record.kind = Kind::Retransmit as u8;
            }
            Step::Close => {
                (record.old, record.new) = (LAST_ACK, CLOSE);
                record.kind = Kind::State as u8;
            }
        }
    }
}

/// Records as the ring buffer gives them.
fn records() -> Vec<u8> {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut now_ns = 1_000_000_000_000;
    let mut next = FLOWS as u64;
    let mut lives: Vec<Life> = (0..FLOWS as u64).map(|number| Life::new(number + 1, now_ns)).collect();
    let mut bytes = Vec::with_capacity(RECORDS * Record::SIZE);
    while bytes.len() < RECORDS * Record::SIZE {
        now_ns += 1 + random.below(3_000);
        let life = &mut lives[random.below(FLOWS as u64) as usize];
        if life.script.is_empty() {
            life.think_of_trouble(&mut random);
        }
        let Some(step) = life.script.pop() else { continue };
        life.step(step, now_ns);
        // SAFETY: a record is plain numbers without padding, which its own definition asserts.
        let raw = unsafe { std::slice::from_raw_parts((&raw const life.record).cast(), Record::SIZE) };
        bytes.extend_from_slice(raw);
        // The tracepoint fires before the state is stored.
        if let Step::Cong(new) = step {
            life.record.sock.ca_state = new;
        }
        if matches!(step, Step::Close) {
            next += 1;
            *life = Life::new(next, now_ns);
        }
    }
    bytes
}

fn correlator() -> Correlator {
    Correlator::new(Config { request_rto_max: Some(false), ..Config::new(HZ) })
}

/// The live trace without its ring.
fn correlate(bytes: &[u8], mut take: impl FnMut(&mut Vec<Event>)) {
    let mut correlator = correlator();
    let mut owners = Owners::new(Cgroups::new());
    let mut events = Vec::new();
    for batch in bytes.chunks(BATCH * Record::SIZE) {
        for raw in batch.chunks_exact(Record::SIZE) {
            let (kind, record) = Record::decode(raw).expect("a record");
            let owner = owners.of(&record);
            correlator.observe(kind, &record, &owner, &mut events);
        }
        take(&mut events);
        events.clear();
    }
}

fn write_to(sink: &mut impl Sink, bytes: &[u8]) {
    correlate(bytes, |events| {
        for event in events.iter() {
            sink.write(event, &CLOCK).expect("nothing fails there");
        }
        sink.flush().expect("nothing fails there");
    });
}

fn nowhere() -> Stream<File> {
    Stream::new(File::create("/dev/null").expect("exists"))
}

fn userspace(criterion: &mut Criterion) {
    let bytes = records();
    let mut group = criterion.benchmark_group("userspace");
    group.throughput(Throughput::Elements((bytes.len() / Record::SIZE) as u64));
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            for raw in bytes.chunks_exact(Record::SIZE) {
                black_box(Record::decode(raw).expect("a record"));
            }
        });
    });
    group.bench_function("decode_correlate", |bencher| {
        bencher.iter(|| {
            correlate(&bytes, |events| {
                black_box(events);
            })
        });
    });
    group.bench_function("decode_correlate_json", |bencher| {
        bencher.iter_batched_ref(
            || JsonSink::new(nowhere()),
            |sink| write_to(sink, &bytes),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("decode_correlate_table", |bencher| {
        bencher.iter_batched_ref(
            || TableSink::new(nowhere(), Layout::piped(false, TimeZone::UTC), None),
            |sink| write_to(sink, &bytes),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, userspace);
criterion_main!(benches);
