//! Signals by the names that `kill -l` gives them.

use std::borrow::Cow;

use nix::sys::signal::Signal;

/// `SIGKILL` for 9; the number itself where it has no name, as real-time signals.
pub(crate) fn name(number: u8) -> Cow<'static, str> {
    match Signal::try_from(i32::from(number)) {
        Ok(signal) => Cow::Borrowed(signal.as_str()),
        Err(_) => Cow::Owned(number.to_string()),
    }
}

/// As [`name`], for sentences: `signal 34`.
pub(crate) fn described(number: u8) -> Cow<'static, str> {
    match Signal::try_from(i32::from(number)) {
        Ok(signal) => Cow::Borrowed(signal.as_str()),
        Err(_) => Cow::Owned(format!("signal {number}")),
    }
}

/// The number that [`name`] has made that text of.
pub(crate) fn number(name: &str) -> Option<u8> {
    let number = name.parse::<Signal>().map(|signal| signal as i32).ok();
    number.and_then(|number| u8::try_from(number).ok()).or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!((name(9), name(15), name(34)), ("SIGKILL".into(), "SIGTERM".into(), "34".into()));
        assert!((0..=127).all(|signal| number(&name(signal)) == Some(signal)));
        assert_eq!(number("SIGNONSENSE"), None);
        assert_eq!((described(9), described(40)), ("SIGKILL".into(), "signal 40".into()));
    }
}
