//! A line cut into its parts where [`super::encode`] joins them, without reading the parts. Whatever is laid out in
//! another way is left to a reader of any JSON; whatever is cut here is what that one would find.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::form::Timestamp;

/// Parts of a line.
#[derive(Debug, PartialEq)]
pub(super) struct Pieces<'a> {
    /// `ts`
    pub wall_ns: i64,
    /// `mono_ns`
    pub mono_ns: u64,
    /// `event`
    pub event: &'a str,
    /// The object `flow`.
    pub flow: Option<&'a str>,
    /// The fields between `flow` and `kernel`, each with its comma before it.
    pub middle: &'a str,
    /// The object `kernel`.
    pub kernel: Option<&'a str>,
}

/// Before the object `kernel`, which ends the line. Within a text the quotes would be escaped.
const KERNEL: &str = ",\"kernel\":";

static FIND_KERNEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(",\"kernel\":{"));
/// Fields that were before the middle and must not be in it again.
static FIND_AGAIN: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["\"ts\":", "\"mono_ns\":", "\"event\":", "\"flow\":"].map(Finder::new));

/// Cuts; `None`: the line is laid out in another way.
pub(super) fn cut(line: &str) -> Option<Pieces<'_>> {
    let rest = line.strip_prefix("{\"ts\":\"")?;
    let (ts, rest) = rest.split_at_checked(30)?;
    let wall_ns = Timestamp::from_text(ts.as_bytes())?.wall_ns;
    let rest = rest.strip_prefix("\",\"mono_ns\":")?;
    let (mono_ns, rest) = rest.split_at_checked(digits(rest)?)?;
    let mono_ns = mono_ns.parse().ok()?;
    let rest = rest.strip_prefix(",\"event\":\"")?;
    let (event, rest) = rest.split_at_checked(memchr::memchr(b'"', rest.as_bytes())?)?;
    if !event.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        return None;
    }
    let rest = rest.strip_prefix('"')?.strip_suffix('}')?;
    let (flow, rest) = match rest.strip_prefix(",\"flow\":") {
        None => (None, rest),
        Some(rest) => match rest.strip_prefix("null") {
            Some(rest) => (None, rest),
            None => {
                // An object without objects in it. Were the brace part of a text, what is cut off is no object.
                let (flow, rest) = rest.split_at_checked(memchr::memchr(b'}', rest.as_bytes())? + 1)?;
                (Some(flow), rest)
            }
        },
    };
    let (middle, kernel) = match FIND_KERNEL.find(rest.as_bytes()) {
        Some(at) => {
            let (middle, kernel) = rest.split_at_checked(at)?;
            let kernel = kernel.strip_prefix(KERNEL).filter(|kernel| kernel.ends_with('}'))?;
            (middle, Some(kernel))
        }
        None => (rest, None),
    };
    let starts_well = middle.is_empty() || middle.starts_with(",\"");
    let again = FIND_AGAIN.iter().any(|name| name.find(middle.as_bytes()).is_some());
    (starts_well && !again).then_some(Pieces { wall_ns, mono_ns, event, flow, middle, kernel })
}

/// Length of the number at the beginning, as JSON has numbers.
pub(super) fn digits(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let len = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    (len == 1 || len > 1 && bytes[0] != b'0').then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_the_seams() {
        let line = r#"{"ts":"1970-01-01T00:00:01.000000000Z","mono_ns":7,"event":"retransmit","flow":{"comm":"a"},"type":"rto","kernel":{"sk":1}}"#;
        let pieces = Pieces {
            wall_ns: 1_000_000_000,
            mono_ns: 7,
            event: "retransmit",
            flow: Some(r#"{"comm":"a"}"#),
            middle: r#","type":"rto""#,
            kernel: Some(r#"{"sk":1}"#),
        };
        assert_eq!(cut(line), Some(pieces));
    }

    #[test]
    fn another_layout_is_left_to_others() {
        for line in [
            "",
            "{}",
            r#"{"ts":"1970-01-01T00:00:01Z","mono_ns":7,"event":"end"}"#,
            r#"{"ts":"1970-01-01T00:00:01.000000000Z","mono_ns":07,"event":"end"}"#,
            r#"{"ts":"1970-01-01T00:00:01.000000000Z","mono_ns":-7,"event":"end"}"#,
            r#"{"ts":"1970-01-01T00:00:01.000000000Z", "mono_ns":7,"event":"end"}"#,
            r#"{"ts":"1970-01-01T00:00:01.000000000Z","mono_ns":7,"event":"e\u0064"}"#,
            r#"{"ts":"1970-01-01T00:00:01.000000000Z","mono_ns":7,"event":"end","a":1,"mono_ns":8}"#,
            r#"{"ts":"1970-01-01T00:00:01.000000000Z","mono_ns":7,"event":"end" "a":1}"#,
            r#"{"ts":"1970-01-01T00:00:01.000000000Z","mono_ns":7,"event":"end","kernel":{"a":1}"#,
        ] {
            assert_eq!(cut(line), None, "{line}");
        }
    }
}
