//! A line becomes the event again that it was made of.
//!
//! There are two ways of reading, of which only one is needed: any JSON, by serde. The other one knows how
//! [`super::encode()`] lays a line out. It cuts the line at its seams ([`super::cut`]), knows a flow again by its text
//! ([`super::flows`]), reads `kernel`, two thirds of a line, straight into the record, and skips it unread where nobody
//! asks for it. The fields of the event are read by the same code in both. What the fast way refuses, for whatever
//! reason, goes the other way, so it can be wrong only in accepting, and the tests hold the two against each other on
//! any damage. It stays because it is worth it: for a recording of 4 MB it takes 38 million instructions instead of 143
//! without `kernel` (`report`), and 85 instead of 217 with it (`replay`, `advise`). `cargo bench --bench recording`
//! measures both.

use std::{borrow::Cow, str};

use serde::Deserialize;
use serde_json::value::RawValue;
use tcpretrans_ebpf::Record;

use crate::{
    event::{
        Clock, Event, What,
        json::{DecodeError, Reading, Timestamp},
    },
    form::{
        cut::cut,
        flows::Flows,
        kernel_object::{self, baseline},
    },
};

/// How much of a line is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// All: the record that the event was made of is there again.
    Whole,
    /// All but `kernel`, which is most of a line and is not even looked at: the record has only what the event's
    /// own fields say of it.
    WithoutKernel,
}

/// A line understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// What it is about.
    pub event: Event,
    /// The clock by which it was written.
    pub clock: Clock,
}

/// What lines of all events have.
#[derive(Deserialize)]
struct Common<'a> {
    ts: Timestamp,
    mono_ns: u64,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    flow: Option<&'a RawValue>,
    #[serde(borrow)]
    kernel: Option<&'a RawValue>,
}

/// Reads lines. Remembers what many of them share.
#[derive(Debug)]
pub struct Decoder {
    detail: Detail,
    flows: Flows,
    /// The object that the middle of a line is made.
    middle: String,
}

impl Decoder {
    /// Reads lines in this detail.
    pub fn new(detail: Detail) -> Decoder {
        Decoder { detail, flows: Flows::default(), middle: String::new() }
    }

    /// Reads one line; the newline may be there or not.
    ///
    /// # Errors
    /// [`DecodeError`] says what is wrong with it; never panics, whatever the line is.
    pub fn decode(&mut self, line: &[u8]) -> Result<Decoded, DecodeError> {
        let text = str::from_utf8(line).map_err(|error| DecodeError::NotUtf8(error.valid_up_to() + 1))?;
        let line = text.trim_end_matches(['\r', '\n']);
        match self.as_we_write_it(line) {
            Some(decoded) => Ok(decoded),
            None => self.as_any_json(line),
        }
    }

    /// A line as [`super::encode()`] writes it, cut where it has its seams. `None`: it is none such, or something is
    /// wrong with it, which the other way finds out.
    pub(super) fn as_we_write_it(&mut self, line: &str) -> Option<Decoded> {
        let pieces = cut(line)?;
        let clock = Clock { wall_minus_mono_ns: wall_minus_mono_ns(pieces.wall_ns, pieces.mono_ns) };
        let flow = match pieces.flow {
            Some(text) => Some(self.flows.of_text(text, clock).ok()?),
            None => None,
        };
        self.middle.clear();
        self.middle.push('{');
        self.middle.push_str(pieces.middle.strip_prefix(',').unwrap_or_default());
        self.middle.push('}');
        let what = read_what(&self.middle, pieces.event, clock).ok()?;
        let mut event = Event { mono_ns: pieces.mono_ns, flow, what };
        if event.what.record().is_some() {
            let mut record = baseline(&event);
            if let (Some(kernel), Detail::Whole) = (pieces.kernel, self.detail) {
                kernel_object::apply_text(kernel, &mut record)?;
            }
            set_record(&mut event, record);
        } else if pieces.kernel.is_some() {
            return None;
        }
        Some(Decoded { event, clock })
    }

    /// Any line, however its JSON is laid out.
    pub(super) fn as_any_json(&mut self, line: &str) -> Result<Decoded, DecodeError> {
        let common: Common<'_> = serde_json::from_str(line)?;
        let clock = Clock { wall_minus_mono_ns: wall_minus_mono_ns(common.ts.wall_ns, common.mono_ns) };
        let flow = common.flow.map(|flow| self.flows.of_text(flow.get(), clock)).transpose()?;
        let what = read_what(line, &common.event, clock)?;
        let mut event = Event { mono_ns: common.mono_ns, flow, what };
        if event.what.record().is_some() {
            let mut record = baseline(&event);
            if let (Some(kernel), Detail::Whole) = (common.kernel, self.detail) {
                kernel_object::apply(kernel.get(), &mut record)?;
            }
            set_record(&mut event, record);
        }
        Ok(Decoded { event, clock })
    }
}

/// Reads the fields of an event of that name.
fn read_what(json: &str, name: &str, clock: Clock) -> Result<What, DecodeError> {
    let line = Reading::new(clock);
    let mut fields = serde_json::Deserializer::from_str(json);
    match What::read(name, &mut fields, &line) {
        None => Err(DecodeError::UnknownEvent(name.to_owned())),
        Some(Ok(what)) => {
            fields.end()?;
            Ok(what)
        }
        Some(Err(error)) => Err(line.error(error)),
    }
}
fn set_record(event: &mut Event, record: Record) {
    if let Some(place) = event.what.record_mut() {
        *place = record;
    }
}

/// Reads one line; the newline may be there or not.
///
/// # Errors
/// [`DecodeError`] says what is wrong with it; never panics, whatever the line is.
pub fn decode(line: &[u8]) -> Result<Event, DecodeError> {
    Decoder::new(Detail::Whole).decode(line).map(|decoded| decoded.event)
}

/// Both clocks stand in the line, so it can be read without its neighbours.
fn wall_minus_mono_ns(wall_ns: i64, mono_ns: u64) -> i64 {
    let offset = i128::from(wall_ns) - i128::from(mono_ns);
    offset.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Recovered, RecoveredBy};

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
            "this tcpretrans does not know the event \"reborn\"; a newer one wrote this recording"
        );
        assert_eq!(error(&RECOVERED.replace("progress", "magic")), "\"magic\" is not a value of by");
        assert!(error(&RECOVERED.replace("\"segs\":3", "\"segs\":-3")).contains("invalid value"));
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let line = r#"{"ts":"2026-11-22T07:03:00Z","mono_ns":5,"event":"start","schema":2,"version":"9","kernel":"9","hz":1,"command":[],"filters":{},"clock":0,"features":{}}"#;
        assert!(matches!(decode(line.as_bytes()), Err(DecodeError::NewerSchema(2))));
        let readable = line.replace("\"schema\":2", "\"schema\":1");
        assert!(decode(readable.as_bytes()).is_ok());
        for hz in ["0", "4294967295"] {
            let line = readable.replace("\"hz\":1,", &format!("\"hz\":{hz},"));
            assert_eq!(decode(line.as_bytes()).unwrap_err().to_string(), format!("hz cannot be {hz}"));
        }
    }
}
