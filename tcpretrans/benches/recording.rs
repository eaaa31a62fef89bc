//! How fast a recording is read and written: `cargo bench --bench recording [-- FILE]`.
//!
//! One core, a file in the page cache. Without FILE the recording of `tcpretrans demo` is read again and again. The
//! same recording with a blank more in each line goes the way of any JSON, which says what the fast way is worth.

use std::{hint::black_box, io::Write, path::PathBuf, time::Instant};

use tcpretrans::{
    form::{Decoder, encode},
    recording::{Detail, Reader},
};

/// Enough to last about a second.
const BYTES: usize = 256 << 20;

/// How often each is measured.
const TIMES: usize = 3;

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let recording = match given {
        Some(path) => std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")),
        None => tcpretrans::internals::demo_recording().expect("the demo's recording"),
    };
    let lines = recording.iter().filter(|&&byte| byte == b'\n').count();
    println!("{} bytes a line", recording.len() / lines.max(1));
    let text = String::from_utf8(recording).expect("text");
    let otherwise = text.replace(",\"mono_ns\":", ", \"mono_ns\":");
    for (layout, recording) in [("as written", &text), ("any JSON", &otherwise)] {
        for detail in [Detail::WithoutKernel, Detail::Whole] {
            read(layout, recording.as_bytes(), detail);
        }
    }
    write(&text);
}

fn read(layout: &str, recording: &[u8], detail: Detail) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut bytes = 0;
    while bytes < BYTES {
        file.write_all(recording).expect("room for it");
        bytes += recording.len();
    }
    let path = [PathBuf::from(file.path())];
    for _ in 0..TIMES {
        let start = Instant::now();
        let mut reader = Reader::open(&path, detail).expect("a recording");
        let mut events = 0_u64;
        for recorded in reader.by_ref() {
            black_box(recorded.expect("readable"));
            events += 1;
        }
        assert_eq!(reader.damage().count(), 0, "{:?}", reader.damage().first());
        tell(&format!("read {layout}, {detail:?}"), bytes, events, start);
    }
}

fn write(recording: &str) {
    let mut decoder = Decoder::new(Detail::Whole);
    let decoded: Vec<_> =
        recording.lines().map(|line| decoder.decode(line.as_bytes()).expect("a line")).collect();
    let mut line = Vec::new();
    for _ in 0..TIMES {
        let start = Instant::now();
        let (mut bytes, mut events) = (0, 0_u64);
        while bytes < BYTES {
            for decoded in &decoded {
                line.clear();
                encode(&decoded.event, &decoded.clock, &mut line);
                bytes += black_box(&line).len();
                events += 1;
            }
        }
        tell("write", bytes, events, start);
    }
}

fn tell(what: &str, bytes: usize, events: u64, start: Instant) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {:.0} MB/s, {:.0} events/s", bytes as f64 / 1e6 / seconds, events as f64 / seconds);
}
