//! The proof: load and attach everything, and see a record come back.

use std::time::Duration;

use super::findings::{Item, Section, State};
use crate::{
    failure::sentence,
    kernel::{
        self,
        btf::Btf,
        features::Features,
        hz,
        programs::{Programs, Settings},
    },
};

/// Enough for what happens within the blink of an eye.
const RING_BYTES: u32 = 1 << 18;
const PATIENCE: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Debug)]
pub(super) struct Proof {
    /// The findings.
    pub section: Section,
    /// Timer ticks a second.
    pub hz: Option<u32>,
    /// The reason why tracing does not work.
    pub failure: Option<kernel::Error>,
}

const NAME: &str = "Trial run";

/// Attaches the programs for a moment.
pub(super) fn run(btf: &Btf) -> Proof {
    let mut items = Vec::new();
    let outcome = attach_and_measure(btf, &mut items);
    let (hz, failure) = match outcome {
        Ok(hz) => (Some(hz), None),
        Err(error) => (None, Some(error)),
    };
    Proof { section: Section { name: NAME, items }, hz, failure }
}

fn attach_and_measure(btf: &Btf, items: &mut Vec<Item>) -> Result<u32, kernel::Error> {
    let missing = |name: &str, error: &kernel::Error| Item::new(name, State::Missing, sentence(error));
    let attached = Features::detect(btf).map_err(kernel::Error::from).and_then(|features| {
        let settings = Settings { ring_bytes: RING_BYTES, ..Settings::default() };
        let (programs, ring) = Programs::attach(&features, &settings)?;
        let count = features.tracepoints.len() + usize::from(programs.watches_recovery_exit());
        Ok((count, (programs, ring)))
    });
    let (count, (programs, mut ring)) =
        attached.inspect_err(|error| items.push(missing("programs", error)))?;
    items.push(Item::new("programs", State::Ok, format!("{count} accepted by the verifier and attached")));
    let measured = hz::measure(&mut ring, PATIENCE).map_err(kernel::Error::from);
    drop(programs);
    let calibration = measured.inspect_err(|error| items.push(missing("records", error)))?;
    items.push(Item::new("records", State::Ok, "the event of a test socket arrived through the ring buffer"));
    let detail = format!("{}, measured: the first RTO of a new socket is one second", calibration.hz);
    items.push(Item::new("HZ", State::Ok, detail));
    Ok(calibration.hz)
}

/// What can be said without the right to attach.
pub(super) fn not_run(release: &str) -> Proof {
    let hz = hz::from_config(release);
    let hz_item = match hz {
        Some(hz) => Item::new("HZ", State::Ok, format!("{hz}, from /boot/config-{release}")),
        None => Item::new("HZ", State::Unknown, "only the attached programs can measure it"),
    };
    let not_tried = Item::new("programs", State::Unknown, "not tried: something is missing, see above");
    Proof { section: Section { name: NAME, items: vec![not_tried, hz_item] }, hz, failure: None }
}
