//! What the loader sets before the programs are verified. The verifier treats these as constants and
//! removes the branches that they rule out, arguments and helpers that this kernel lacks included.

use aya_ebpf::Global;
use tcpretrans_ebpf::{Field, FilterSettings, Location};

/// By the number of the field.
#[unsafe(no_mangle)]
static FIELD_LOCATIONS: Global<[Location; Field::COUNT]> = Global::new([Location::ABSENT; Field::COUNT]);

/// `FilterSettings` as three words: active, cgroup level, cgroup id (low, high).
#[unsafe(no_mangle)]
static FILTER: Global<[u32; 4]> = Global::new([0; 4]);

/// 1: `tcp_retransmit_skb` has the argument `err` (6.17).
#[unsafe(no_mangle)]
static RETRANSMIT_HAS_ERR: Global<u32> = Global::new(0);

/// 1: `tcp_send_reset` has the argument `reason` (6.10).
#[unsafe(no_mangle)]
static SEND_RESET_HAS_REASON: Global<u32> = Global::new(0);

/// 1: tracing programs may call `bpf_get_socket_cookie` (5.12).
#[unsafe(no_mangle)]
static HAS_COOKIE_HELPER: Global<u32> = Global::new(0);

/// 1: this kernel does not announce changes of the congestion state (5.19): `recoveries` watches.
#[unsafe(no_mangle)]
static WATCH_RECOVERIES: Global<u32> = Global::new(0);

/// 1: report every socket's close, not only the troubled ones' (`--all-closes`).
#[unsafe(no_mangle)]
static ALL_CLOSES: Global<u32> = Global::new(0);

/// TCP_USER_TIMEOUT, ms, of the tracer's own listening socket, which is the calibration.
#[unsafe(no_mangle)]
static CALIBRATION_MARK_MS: Global<u32> = Global::new(u32::MAX);

/// Bytes of unread records at which the reader is woken before its next regular drain.
#[unsafe(no_mangle)]
static WAKE_BYTES: Global<u32> = Global::new(u32::MAX);

macro_rules! flag {
    ($name:ident, $global:ident) => {
        #[inline(always)]
        pub fn $name() -> bool {
            $global.load() != 0
        }
    };
}

flag!(retransmit_has_err, RETRANSMIT_HAS_ERR);
flag!(send_reset_has_reason, SEND_RESET_HAS_REASON);
flag!(has_cookie_helper, HAS_COOKIE_HELPER);
flag!(watch_recoveries, WATCH_RECOVERIES);
flag!(all_closes, ALL_CLOSES);

#[inline(always)]
pub fn calibration_mark_ms() -> u32 {
    CALIBRATION_MARK_MS.load()
}

#[inline(always)]
pub fn wake_bytes() -> u64 {
    u64::from(WAKE_BYTES.load())
}

#[inline(always)]
fn filter_word(index: usize) -> u32 {
    // One word at a time: loading the whole array would copy it through the stack.
    let words = (&raw const FILTER).cast::<u32>();
    // SAFETY: callers ask for one of the four. Volatile, so that the compiler leaves it to the loader.
    unsafe { words.add(index).read_volatile() }
}

/// Is any filter on?
#[inline(always)]
pub fn filters_are_on() -> bool {
    filter_word(0) != 0
}

/// Is this filter on? (`FilterSettings` constants)
#[inline(always)]
pub fn filter_is_on(which: u32) -> bool {
    filter_word(0) & which != 0
}

#[inline(always)]
pub fn filter() -> FilterSettings {
    FilterSettings {
        active: filter_word(0),
        cgroup_level: filter_word(1),
        cgroup_id: u64::from(filter_word(2)) | (u64::from(filter_word(3)) << 32),
    }
}

/// What the loader found of a field: is it there, and for reads without a type, where?
#[inline(always)]
pub fn location(field: Field) -> Location {
    let locations = (&raw const FIELD_LOCATIONS).cast::<Location>();
    // SAFETY: there is one for each field. Volatile, so that the compiler leaves it to the loader.
    unsafe { locations.add(field as usize).read_volatile() }
}

/// An address that no socket has; see [`super::socket::identity`].
#[inline(always)]
pub fn base_of_identities() -> u64 {
    (&raw const FIELD_LOCATIONS) as u64
}
