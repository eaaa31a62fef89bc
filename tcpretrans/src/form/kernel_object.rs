//! `kernel`: what the line's own fields do not say of the record that it comes from.
//!
//! A recording must give replay the very record that the live trace had, and stay small. So reader and writer
//! both derive a record from the line's other fields (the baseline), and the object holds only what is
//! different there, by the kernel's names: for most fields, what is not zero.

use std::{borrow::Cow, fmt, net::Ipv6Addr, sync::LazyLock};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess},
};
use tcpretrans_ebpf::{Number, Record};

use crate::{
    event::{Event, Flow, Retransmit, SendError, What},
    form::DecodeError,
    socket::{INFINITE_SSTHRESH, NET_XMIT_DROP},
};

/// `AF_INET`, `AF_INET6`
const FAMILIES: [u16; 2] = [libc::AF_INET as u16, libc::AF_INET6 as u16];

/// The record that an event's fields other than `kernel` speak of. Part of the schema: to derive one more
/// field here would change what recordings mean that are already written.
pub(super) fn baseline(event: &Event) -> Record {
    let mut record = Record { mono_ns: event.mono_ns, ..Record::default() };
    if let Some(flow) = &event.flow {
        of_flow(&mut record, flow);
    }
    match &event.what {
        What::Retransmit(retransmit) => of_retransmit(&mut record, retransmit),
        What::Observation(observation) => record.kind = observation.kind as u8,
        What::Start(_)
        | What::InBackoff(_)
        | What::Threshold(_)
        | What::Recovered(_)
        | What::Closed(_)
        | What::Lost(_)
        | What::End(_) => {}
    }
    record
}

fn of_flow(record: &mut Record, flow: &Flow) {
    let octets = |addr| match addr {
        std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(v6) => v6.octets(),
    };
    record.laddr = octets(flow.laddr);
    record.raddr = octets(flow.raddr);
    record.lport = flow.lport;
    record.rport = flow.rport;
    record.cookie = flow.id.0;
    record.owner_tgid = flow.pid.unwrap_or(0);
    record.owner_comm = flow.comm.as_deref().and_then(task_bytes).unwrap_or_default();
    record.sock.netns = flow.netns;
    record.sock.sk_uid = flow.uid.unwrap_or(0);
    record.sock.skc_family = FAMILIES[usize::from(flow.laddr.is_ipv6())];
}

fn of_retransmit(record: &mut Record, retransmit: &Retransmit) {
    record.kind = retransmit.ty.attempt().kind() as u8;
    record.segs = u16::try_from(retransmit.segs).unwrap_or(0);
    record.skb_len = retransmit.bytes;
    if let Some(seq) = retransmit.seq {
        record.seq = seq;
        record.end_seq = seq.wrapping_add(retransmit.bytes);
    }
    record.err = match retransmit.err {
        None => 0,
        Some(SendError::QueueDrop) => NET_XMIT_DROP,
        Some(SendError::Errno(errno)) => errno.wrapping_neg(),
    };
    let sock = &mut record.sock;
    sock.skc_state = retransmit.state;
    sock.icsk_retransmits = u8::try_from(retransmit.retransmits).unwrap_or(0);
    sock.icsk_backoff = u8::try_from(retransmit.backoff).unwrap_or(0);
    sock.rttvar_us = retransmit.rttvar_us.unwrap_or(0);
    sock.snd_cwnd = retransmit.cwnd;
    sock.snd_ssthresh = retransmit.ssthresh.unwrap_or(INFINITE_SSTHRESH);
    sock.packets_out = retransmit.packets_out;
}

/// A field of sixteen bytes, which is no number.
struct Array {
    name: &'static str,
    of: fn(&Record) -> &[u8; 16],
    place: fn(&mut Record) -> &mut [u8; 16],
    /// As text; `None`: text could not say it exactly.
    text: fn(&[u8; 16]) -> Option<Cow<'_, str>>,
    /// The bytes that `text` has made that text of.
    bytes: fn(&str) -> Option<[u8; 16]>,
}

macro_rules! arrays {
    ($($name:ident: $text:ident $bytes:ident,)*) => {
        [$(Array {
            name: stringify!($name),
            of: |record| &record.$name,
            place: |record| &mut record.$name,
            text: $text,
            bytes: $bytes,
        },)*]
    };
}

/// All of them, in the order in which they are written. (One that is forgotten here does not come back from a
/// recording, which the round trip of any record finds.)
static ARRAYS: [Array; 4] = arrays! {
    current_comm: task_text task_bytes,
    owner_comm: task_text task_bytes,
    laddr: address_text address_bytes,
    raddr: address_text address_bytes,
};

fn task_text(bytes: &[u8; 16]) -> Option<Cow<'_, str>> {
    let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let (text, rest) = bytes.split_at(len);
    if rest.iter().any(|&byte| byte != 0) {
        return None;
    }
    std::str::from_utf8(text).ok().map(Cow::Borrowed)
}

fn task_bytes(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(bytes)
}

fn address_text(bytes: &[u8; 16]) -> Option<Cow<'_, str>> {
    Some(Ipv6Addr::from(*bytes).to_string().into())
}

fn address_bytes(text: &str) -> Option<[u8; 16]> {
    text.parse().ok().map(|addr: Ipv6Addr| addr.octets())
}

/// The numbers of a record, in the order in which they are written.
static NUMBERS: LazyLock<Vec<Number>> = LazyLock::new(|| {
    let mut numbers = Vec::new();
    Record::numbers(|number| numbers.push(number));
    numbers
});

/// The number of that name. What differs from the baseline is written in the order of the record: mostly it is one of
/// the next few that are `expected`.
fn number(name: &str, expected: &mut usize) -> Option<&'static Number> {
    let (before, after) = NUMBERS.split_at(*expected);
    let at = after.iter().chain(before).position(|number| number.name == name)?;
    let at = (*expected + at) % NUMBERS.len();
    *expected = (at + 1) % NUMBERS.len();
    NUMBERS.get(at)
}

/// Appends the object that makes `record` of `base` (see [`baseline`]).
///
/// By hand, because it is two thirds of a line and the names need no escaping: serde_json looks at each of
/// their letters, which takes longer than all the rest.
pub(super) fn write(record: &Record, base: &Record, line: &mut Vec<u8>) {
    let start = line.len();
    let key = |line: &mut Vec<u8>, name: &str| {
        line.extend_from_slice(if line.len() == start { b"{\"" } else { b",\"" });
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(b"\":");
    };
    let mut digits = itoa::Buffer::new();
    record.differences(base, |name, value| {
        key(line, name);
        // Almost all are unsigned, and 64 bits are printed several times as fast as 128.
        let digits = match u64::try_from(value) {
            Ok(value) => digits.format(value),
            Err(_) => digits.format(value),
        };
        line.extend_from_slice(digits.as_bytes());
    });
    for array in &ARRAYS {
        let now = (array.of)(record);
        if now != (array.of)(base) {
            key(line, array.name);
            let value = match (array.text)(now) {
                Some(text) => serde_json::json!(text),
                None => serde_json::json!(now),
            };
            line.extend_from_slice(value.to_string().as_bytes());
        }
    }
    line.extend_from_slice(if line.len() == start { b"{}" } else { b"}" });
}

/// Applies an object as [`write`] writes it to a baseline, without reading it into anything first: this is two
/// thirds of reading a recording. `None`: it is laid out in another way, or something is wrong with it, which [`apply`]
/// finds out; then the record is of no use.
pub(super) fn apply_text(object: &str, record: &mut Record) -> Option<()> {
    let mut rest = object.strip_prefix('{')?;
    let mut expected = 0;
    if rest == "}" {
        return Some(());
    }
    loop {
        rest = rest.strip_prefix('"')?;
        let name;
        (name, rest) = rest.split_at_checked(memchr::memchr(b'"', rest.as_bytes())?)?;
        rest = rest.strip_prefix("\":")?;
        if let Some(text) = rest.strip_prefix('"') {
            let value;
            (value, rest) = text.split_at_checked(memchr::memchr(b'"', text.as_bytes())?)?;
            rest = rest.strip_prefix('"')?;
            if value.bytes().any(|byte| byte == b'\\' || byte < b' ') {
                return None;
            }
            let array = ARRAYS.iter().find(|array| array.name == name)?;
            *(array.place)(record) = (array.bytes)(value)?;
        } else {
            let negative = rest.starts_with('-');
            let digits;
            (digits, rest) = {
                let text = &rest[usize::from(negative)..];
                text.split_at_checked(super::cut::digits(text)?)?
            };
            let value: u64 = digits.parse().ok()?;
            if negative && value == 0 {
                // -0 is a floating-point number to serde_json, and no field is one.
                return None;
            }
            let value = if negative { -i128::from(value) } else { i128::from(value) };
            if !number(name, &mut expected)?.store(record, value) {
                return None;
            }
        }
        match rest.as_bytes() {
            b"}" => return Some(()),
            [b',', ..] => rest = &rest[1..],
            _ => return None,
        }
    }
}

/// Applies any object of that meaning to a baseline, however it is laid out. Fields that this version does not know
/// are skipped: a newer one may have written the recording.
///
/// # Errors
/// [`DecodeError::Kernel`] names the field whose value is of the wrong kind or out of range.
pub(super) fn apply(object: &str, record: &mut Record) -> Result<(), DecodeError> {
    let mut bad = None;
    let mut fields = serde_json::Deserializer::from_str(object);
    match (Fields { record, expected: 0, bad: &mut bad }).deserialize(&mut fields) {
        Ok(()) => Ok(fields.end()?),
        Err(error) => Err(bad.map_or(DecodeError::Json(error), DecodeError::Kernel)),
    }
}

struct Fields<'a> {
    record: &'a mut Record,
    /// As in [`number`].
    expected: usize,
    /// The field whose value cannot be.
    bad: &'a mut Option<String>,
}

impl Fields<'_> {
    fn set(&mut self, name: &str, value: &Value<'_>) -> Option<()> {
        if let Some(number) = number(name, &mut self.expected) {
            let Value::Number(value) = value else { return None };
            return number.store(self.record, *value).then_some(());
        }
        if let Some(array) = ARRAYS.iter().find(|array| array.name == name) {
            *(array.place)(self.record) = match value {
                Value::Number(_) => None,
                Value::Bytes(bytes) => bytes.as_slice().try_into().ok(),
                Value::Text(text) => (array.bytes)(text),
            }?;
        }
        Some(())
    }
}

impl<'de> DeserializeSeed<'de> for Fields<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, object: D) -> Result<(), D::Error> {
        object.deserialize_map(self)
    }
}

impl<'de> de::Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of kernel fields")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let value = map.next_value()?;
            if self.set(&name, &value).is_none() {
                *self.bad = Some(name.into_owned());
                return Err(de::Error::custom("no such value"));
            }
        }
        Ok(())
    }
}

/// Serde borrows a `Cow` only where a derive is told to.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// One value of the object.
#[derive(Debug, Clone, PartialEq)]
enum Value<'a> {
    Number(i128),
    Text(Cow<'a, str>),
    Bytes(Vec<u8>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> de::Visitor<'de> for Any {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text or a list of bytes")
            }

            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Value::Number(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Value::Number(value.into()))
            }

            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Borrowed(value)))
            }

            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Value::Text(Cow::Owned(value.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Value::Bytes(bytes))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(record: &Record, base: &Record) -> String {
        let mut line = b"before".to_vec();
        write(record, base, &mut line);
        String::from_utf8(line).unwrap().strip_prefix("before").unwrap().to_owned()
    }

    fn applied(json: &str) -> Result<Record, DecodeError> {
        let mut record = Record::default();
        apply(json, &mut record).map(|()| record)
    }

    #[test]
    fn only_what_is_different_is_written() {
        let base = Record { lport: 443, seq: 7, ..Record::default() };
        assert_eq!(differences(&base, &base), "{}");
        let mut record = Record { lport: 0, err: -105, sk: u64::MAX, ..base };
        record.sock.icsk_rto = 51;
        assert_eq!(
            differences(&record, &base),
            r#"{"sk":18446744073709551615,"err":-105,"lport":0,"icsk_rto":51}"#
        );
    }

    #[test]
    fn names_of_tasks_are_text_where_they_are_text() {
        let record = |owner_comm: &[u8; 16]| Record { owner_comm: *owner_comm, ..Record::default() };
        for (comm, json) in [
            (b"java\0\0\0\0\0\0\0\0\0\0\0\0", r#"{"owner_comm":"java"}"#),
            (b"0123456789abcdef", r#"{"owner_comm":"0123456789abcdef"}"#),
            (b"a\x1b\"\0\0\0\0\0\0\0\0\0\0\0\0\0", r#"{"owner_comm":"a\u001b\""}"#),
            (b"a\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0", r#"{"owner_comm":[97,255,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}"#),
            (b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0", r#"{"owner_comm":[97,0,98,0,0,0,0,0,0,0,0,0,0,0,0,0]}"#),
        ] {
            let record = record(comm);
            assert_eq!(differences(&record, &Record::default()), json);
            assert_eq!(applied(json).unwrap(), record);
        }
    }

    #[test]
    fn addresses_are_addresses() {
        let laddr = std::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped().octets();
        let record = Record { laddr, ..Record::default() };
        let json = r#"{"laddr":"::ffff:10.0.0.1"}"#;
        assert_eq!(differences(&record, &Record::default()), json);
        assert_eq!(applied(json).unwrap(), record);
    }

    #[test]
    fn fields_of_a_newer_version_are_skipped() {
        let json = r#"{"from_the_future":7,"also":"text","lport":9,"more":[1,2]}"#;
        assert_eq!(applied(json).unwrap(), Record { lport: 9, ..Record::default() });
    }

    #[test]
    fn values_that_cannot_be_are_an_error() {
        for (name, json) in [
            ("lport", r#"{"lport":65536}"#),
            ("kind", r#"{"kind":-1}"#),
            ("icsk_rto", r#"{"icsk_rto":"51"}"#),
            ("laddr", r#"{"laddr":"nowhere"}"#),
            ("raddr", r#"{"raddr":5}"#),
            ("owner_comm", r#"{"owner_comm":"longer than sixteen bytes"}"#),
            ("current_comm", r#"{"current_comm":[1,2,3]}"#),
        ] {
            assert!(matches!(applied(json), Err(DecodeError::Kernel(field)) if field == name), "{json}");
        }
        assert!(applied(r#"{"owner_comm":[256]}"#).is_err());
        assert!(applied(r#"{"x":1.5}"#).is_err());
    }
}
