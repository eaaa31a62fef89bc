//! TCP states by name.

use std::borrow::Cow;

/// The kernel's names without `TCP_`; the place is the number.
const NAMES: [&str; 14] = [
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
    "BOUND_INACTIVE",
];

/// `ESTABLISHED` for 1; the number itself where it has no name.
pub(crate) fn name(state: u8) -> Cow<'static, str> {
    match NAMES.get(usize::from(state)) {
        Some(&name) if !name.is_empty() => Cow::Borrowed(name),
        _ => Cow::Owned(state.to_string()),
    }
}

/// The state that [`name`] has made that text of.
pub(crate) fn number(name: &str) -> Option<u8> {
    match NAMES.iter().position(|&known| known == name) {
        Some(at) if !name.is_empty() => u8::try_from(at).ok(),
        _ => name.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use tcpretrans_ebpf::tcp_state;

    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(name(tcp_state::ESTABLISHED), "ESTABLISHED");
        assert_eq!(name(tcp_state::CLOSE_WAIT), "CLOSE_WAIT");
        assert_eq!(name(tcp_state::NEW_SYN_RECV), "NEW_SYN_RECV");
        for state in 0..=u8::MAX {
            assert_eq!(number(&name(state)), Some(state));
        }
        assert_eq!(number(""), None);
        assert_eq!(number("ESTAB"), None);
    }
}
