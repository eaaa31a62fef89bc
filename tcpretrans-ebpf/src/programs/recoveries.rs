//! The ends of loss episodes on kernels without `tcp_cong_state_set` (before 5.19): seen as the function returns in
//! which the kernel leaves Recovery and Loss.

use aya_ebpf::{
    macros::{fexit, map},
    maps::LruHashMap,
    programs::FExitContext,
};
use tcpretrans_ebpf::Kind;

use super::{
    load,
    settings::{self, snap},
    socket::{self, set},
    tracepoints::emit,
};

/// `enum tcp_ca_state`
const RECOVERY: u8 = 3;

/// Sockets that are in Recovery or Loss, with that state. Who finds no room is noticed at its next event. The loader
/// makes it as small as can be where it is not used.
#[map]
static IN_LOSS: LruHashMap<u64, u8> = LruHashMap::with_max_entries(16_384, 0);

/// Remembers that a socket retransmits in Recovery or Loss.
///
/// # Safety
/// `tp` from [`socket::tcp_sock`].
#[inline(always)]
pub unsafe fn remember(tp: *const u8) {
    if settings::watch_recoveries() {
        let state = unsafe { load::bits(tp, snap!(ca_state)) };
        if state >= RECOVERY {
            let _ = IN_LOSS.insert(socket::identity(tp), state, 0);
        }
    }
}

/// The socket has closed.
#[inline(always)]
pub fn forget(sk: u64) {
    if settings::watch_recoveries() {
        let _ = IN_LOSS.remove(sk);
    }
}

/// `tcp_fastretrans_alert(sk, ...)` runs for ACKs of sockets that are not simply Open, and is where
/// `tcp_try_undo_recovery` and `tcp_process_loss` leave Recovery and Loss. At its return `undo_marker` tells whether it
/// was for nothing, as it does when `tcp_cong_state_set` comes.
#[fexit(function = "tcp_fastretrans_alert")]
pub fn tcp_fastretrans_alert(ctx: FExitContext) -> i32 {
    let tp = socket::tcp_sock(ctx.arg::<*const u8>(0));
    if tp.is_null() {
        return 0;
    }
    unsafe {
        let new = load::bits(tp, snap!(ca_state));
        if new >= RECOVERY {
            return 0;
        }
        let sk = socket::identity(tp);
        let Some(&old) = IN_LOSS.get(sk) else { return 0 };
        let _ = IN_LOSS.remove(sk);
        let tuple = socket::tuple_of(tp);
        emit(&ctx, Kind::CongState, tp, &tuple, |record| {
            set!(record.old = old);
            set!(record.new = new);
        });
    }
    0
}
