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
    settings::{self, place, snap},
    socket::{self, Sock, set},
    tracepoints::emit,
};

/// `enum tcp_ca_state`
const RECOVERY: u8 = 3;

/// Sockets that are in Recovery or Loss, with that state. Who finds no room is noticed at its next event. The loader
/// makes it as small as can be where it is not used.
#[map]
static IN_LOSS: LruHashMap<u64, u8> = LruHashMap::with_max_entries(16_384, 0);

/// The socket's congestion state.
///
/// # Safety
/// `sock` from [`Sock::of`].
#[inline(always)]
pub unsafe fn ca_state(sock: Sock) -> u8 {
    unsafe { load::bits(sock.tp, snap!(ca_state), place!(settings::snapshot_offsets(), ca_state)) }
}

/// Remembers that a socket retransmits in Recovery or Loss.
///
/// # Safety
/// `sock` from [`Sock::of`].
#[inline(always)]
pub unsafe fn remember(sock: Sock) {
    if settings::watch_recoveries() {
        let state = unsafe { ca_state(sock) };
        if state >= RECOVERY {
            let _ = IN_LOSS.insert(socket::identity(sock.sk), state, 0);
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
    let Some(sock) = Sock::of(ctx.arg(0)) else { return 0 };
    unsafe {
        let new = ca_state(sock);
        if new >= RECOVERY {
            return 0;
        }
        let sk = socket::identity(sock.sk);
        let Some(&old) = IN_LOSS.get(sk) else { return 0 };
        let _ = IN_LOSS.remove(sk);
        emit(&ctx, Kind::CongState, sock, sock.sk, |record| {
            set!(record.old = old);
            set!(record.new = new);
        });
    }
    0
}
