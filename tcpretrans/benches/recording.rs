//! How fast a recording is read: `cargo bench --bench recording [-- FILE]`.
//!
//! One core, a file in the page cache. Without FILE the recording of `tcpretrans demo` is read again and again.

use std::{hint::black_box, io::Write, path::PathBuf, time::Instant};

use tcpretrans::recording::{Detail, Reader};

/// Enough to last about a second.
const BYTES: usize = 256 << 20;

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let recording = match given {
        Some(path) => std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}")),
        None => tcpretrans::demo::recording().expect("the demo's recording"),
    };
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut bytes = 0;
    while bytes < BYTES {
        file.write_all(&recording).expect("room for it");
        bytes += recording.len();
    }
    let path = [PathBuf::from(file.path())];
    let lines = recording.iter().filter(|&&byte| byte == b'\n').count();
    println!("{} MB, {} bytes a line", bytes >> 20, recording.len() / lines.max(1));
    for detail in [Detail::WithoutKernel, Detail::Whole] {
        for _ in 0..3 {
            let start = Instant::now();
            let mut reader = Reader::open(&path, detail).expect("a recording");
            let mut events = 0_u64;
            for recorded in reader.by_ref() {
                black_box(recorded.expect("readable"));
                events += 1;
            }
            assert_eq!(reader.damage().count(), 0, "{:?}", reader.damage().first());
            let seconds = start.elapsed().as_secs_f64();
            println!(
                "{detail:?}: {:.0} MB/s, {:.0} events/s",
                bytes as f64 / 1e6 / seconds,
                events as f64 / seconds
            );
        }
    }
}
