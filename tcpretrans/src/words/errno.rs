//! Errors by the names that the manual pages give them.

use std::{borrow::Cow, sync::LazyLock};

use nix::errno::Errno;

/// Linux's errors end at 133 (EHWPOISON).
const LAST: i32 = 133;

/// All names; the place is the number. Empty: no such error.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    (0..=LAST)
        .map(|number| match Errno::from_raw(number) {
            Errno::UnknownErrno => String::new(),
            errno => format!("{errno:?}"),
        })
        .collect()
});

/// `ETIMEDOUT` for 110; the number itself where it has no name.
pub(crate) fn name(number: i32) -> Cow<'static, str> {
    match usize::try_from(number).ok().and_then(|at| NAMES.get(at)) {
        Some(name) if !name.is_empty() => Cow::Borrowed(name),
        _ => Cow::Owned(number.to_string()),
    }
}

/// The number that [`name`] has made that text of.
pub(crate) fn number(name: &str) -> Option<i32> {
    match NAMES.iter().position(|known| known == name) {
        Some(at) if !name.is_empty() => i32::try_from(at).ok(),
        _ => name.parse().ok(),
    }
}

/// `EHOSTUNREACH (No route to host)`
pub(crate) fn described(number: i32) -> String {
    match Errno::from_raw(number) {
        Errno::UnknownErrno => format!("error {number}"),
        known => format!("{known:?} ({})", known.desc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_in_the_manual() {
        assert_eq!(name(110), "ETIMEDOUT");
        assert_eq!(name(libc::ECONNRESET), "ECONNRESET");
        assert_eq!(name(libc::ENOBUFS), "ENOBUFS");
        assert_eq!(name(LAST), "EHWPOISON");
        assert_eq!(described(libc::EHOSTUNREACH), "EHOSTUNREACH (No route to host)");
    }

    #[test]
    fn every_number_comes_back() {
        for errno in (-2..=600).chain([i32::MIN, i32::MAX]) {
            assert_eq!(number(&name(errno)), Some(errno), "{errno}");
        }
        assert_eq!(number(""), None);
        assert_eq!(number("ENOSUCHTHING"), None);
    }
}
