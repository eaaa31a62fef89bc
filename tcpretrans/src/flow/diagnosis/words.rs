//! Figures and names as people read them.

use nix::{errno::Errno, sys::signal::Signal};

/// `3.2 s`, `4 m 43 s`, `17 h 3 m`.
pub fn seconds(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        60_000..3_600_000 => format!("{} m {} s", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{} h {} m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// `1,448`
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 byte`, `1,448 bytes`.
pub fn count(number: u64, one: &str) -> String {
    format!("{} {one}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// `EHOSTUNREACH (No route to host)`
pub fn error(errno: i32) -> String {
    match Errno::from_raw(errno) {
        Errno::UnknownErrno => format!("error {errno}"),
        known => format!("{known:?} ({})", known.desc()),
    }
}

/// `SIGKILL`
pub fn signal(number: u8) -> String {
    match Signal::try_from(i32::from(number)) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(
            [999, 3_299, 283_000, 61_380_000].map(seconds),
            ["999 ms", "3.2 s", "4 m 43 s", "17 h 3 m"]
        );
        assert_eq!([7, 1448, 1_234_567].map(thousands), ["7", "1,448", "1,234,567"]);
        assert_eq!((count(1, "byte"), count(1448, "byte")), ("1 byte".into(), "1,448 bytes".into()));
    }

    #[test]
    fn names() {
        assert_eq!(error(libc::EHOSTUNREACH), "EHOSTUNREACH (No route to host)");
        assert_eq!((signal(9), signal(40)), ("SIGKILL".to_owned(), "signal 40".to_owned()));
    }
}
