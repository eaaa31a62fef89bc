//! `tcpretrans demo`: a recorded incident, for those who want to see before they trace. Needs no privileges.
//!
//! `cargo xtask record-demo` has played it in a lab of network namespaces and recorded it with this tool.

pub(crate) mod args;

use std::io::{self, Write};

use crate::{
    demo::args::DemoConfig,
    failure::Failure,
    options::Exit,
    page::{PLAIN, Page, Pen},
    pipe::args::OutputConfig,
    recording::{Detail, Reader},
    replay,
    replay::{args::ReplayConfig, pace::Pace},
    sink::{Format, registry::AllSinks},
};

const INCIDENT: &[u8] = include_bytes!("incident.jsonl.zlib");
/// Far more than it is: an upper bound for what is unpacked.
const MOST_BYTES: usize = 4 << 20;

const BEFORE: &str = "A recorded incident on one host, about 15 seconds long. A backup runs over a path that loses packets, and \
     recovers each time. Then the servers stop answering: search recovers, checkout times out, billing closes its \
     connection before TCP times out, and mailer connects to a host that does not exist.";

/// What to do next, and by which command.
const AFTER: [(&str, &str); 4] = [
    ("This was a recording. To trace this machine live:", "sudo tcpretrans"),
    ("To see whether this machine can trace:", "tcpretrans doctor"),
    ("To keep a log:", "sudo tcpretrans -o tcp.jsonl"),
    ("To look at it later:", "tcpretrans replay tcp.jsonl"),
];

/// The recording, as its log was.
///
/// # Errors
/// If the program is damaged.
pub fn recording() -> io::Result<Vec<u8>> {
    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(INCIDENT, MOST_BYTES)
        .map_err(|error| io::Error::other(format!("the recording in this program is damaged: {error}")))
}

/// Shows it.
///
/// # Errors
/// If standard output cannot be written to.
pub(crate) fn run(config: &DemoConfig) -> Result<Exit, Failure> {
    let recording = recording().map_err(Failure::io("cannot show the demo"))?;
    let reader = Reader::of_memory("the demo", recording, Detail::Whole)?;
    let replay = ReplayConfig {
        files: Vec::new(),
        filter: Default::default(),
        output: OutputConfig {
            sinks: AllSinks { stdout: Some(config.format), ..AllSinks::default() },
            ..OutputConfig::default()
        },
        count: None,
    };
    let for_people = config.format == Format::Table;
    if for_people {
        say(|pen| pen.paragraph("", 0, PLAIN, BEFORE));
    }
    let code = replay::play(reader, &replay, config.speed.map(Pace::new))?;
    if for_people {
        say(|pen| {
            for (what, command) in AFTER {
                pen.paragraph("", 2, PLAIN, what);
                pen.command(2, command);
            }
        });
    }
    Ok(code)
}

/// For people, who read standard error as they read the table; programs get nothing but the events.
fn say(write: impl FnOnce(&mut Pen)) {
    let mut pen = Pen::new(Page::stderr());
    write(&mut pen);
    // Nobody may be reading standard error.
    let _ = io::stderr().write_all(pen.finish().as_bytes());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::event::{Cause, HungUpSide, RetransmitType, ThresholdName, What};

    #[test]
    fn the_story_is_in_it_and_nothing_of_the_machine_it_was_made_on() {
        let reader = Reader::of_memory("the demo", recording().expect("unpacks"), Detail::Whole);
        let mut reader = reader.expect("a recording");
        let mut types = BTreeSet::new();
        let mut causes = BTreeSet::new();
        let (mut recovered, mut warned, mut hung_up) = (0, 0, 0);
        for recorded in &mut reader {
            let event = recorded.expect("readable").event;
            match event.what {
                What::Start(start) => assert!(start.command.iter().all(|word| !word.contains('/'))),
                What::Retransmit(retransmit) => {
                    types.insert(retransmit.ty);
                }
                What::Recovered(_) => recovered += 1,
                What::Threshold(threshold) => warned += u32::from(threshold.name == ThresholdName::Deadline),
                What::Closed(closed) => {
                    hung_up += u32::from(closed.hung_up.is_some_and(|it| it.side == HungUpSide::Local));
                    causes.insert(closed.cause);
                }
                _ => {}
            }
        }
        assert_eq!((reader.damage().count(), reader.damage().notes()), (0, &[][..]));
        for ty in [RetransmitType::Fast, RetransmitType::Tlp, RetransmitType::Rto, RetransmitType::Syn] {
            assert!(types.contains(&ty), "{types:?}");
        }
        for cause in [Cause::RetransmitTimeout, Cause::OrphanTimeout, Cause::ConnectTimeout] {
            assert!(causes.contains(&cause), "{causes:?}");
        }
        assert!(recovered >= 2 && warned >= 2 && hung_up >= 1, "{recovered} {warned} {hung_up}");
        assert!(INCIDENT.len() < 60_000, "every binary carries it");
    }
}
