//! The ends of loss episodes on kernels without `tcp_cong_state_set` (before 5.19): seen as the function returns in
//! which the kernel leaves Recovery and Loss.

use aya_ebpf::{
    macros::{fexit, map},
    maps::LruHashMap,
    programs::FExitContext,
};
use tcpretrans_ebpf::Kind;

use super::{fill::set, load::Typed, output::emit, settings, socket::Sock};

/// `enum tcp_ca_state`
const RECOVERY: u8 = 3;

/// Sockets that are in Recovery or Loss, with that state. Who finds no room is noticed at its next event. The loader
/// makes it as small as can be where it is not used.
#[map]
static IN_LOSS: LruHashMap<u64, u8> = LruHashMap::with_max_entries(16_384, 0);

/// Remembers that a socket retransmits in Recovery or Loss.
#[inline(always)]
pub fn remember(sock: Sock) {
    if settings::watch_recoveries() {
        let state = sock.ca_state();
        if state >= RECOVERY {
            let _ = IN_LOSS.insert(sock.identity(), state, 0);
        }
    }
}

/// The socket has closed.
#[inline(always)]
pub fn forget(sock: Sock) {
    if settings::watch_recoveries() {
        let _ = IN_LOSS.remove(sock.identity());
    }
}

/// `tcp_fastretrans_alert(sk, ...)` runs for ACKs of sockets that are not simply Open, and is where
/// `tcp_try_undo_recovery` and `tcp_process_loss` leave Recovery and Loss. At its return `undo_marker` tells whether it
/// was for nothing, as it does when `tcp_cong_state_set` comes.
#[fexit(function = "tcp_fastretrans_alert")]
pub fn tcp_fastretrans_alert(ctx: FExitContext) -> i32 {
    let Some(sock) = Sock::of(Typed::new(ctx.arg(0))) else { return 0 };
    let new = sock.ca_state();
    if new >= RECOVERY {
        return 0;
    }
    let identity = sock.identity();
    let Some(old) = IN_LOSS.get_ptr(identity) else { return 0 };
    // SAFETY: the lookup gave an entry, which the kernel keeps while the program runs; should it be used for another
    // socket meanwhile, this one's state is that one's, and as good as forgotten.
    let old = unsafe { old.read() };
    let _ = IN_LOSS.remove(identity);
    emit(&ctx, Kind::CongState, sock, sock.sk, |record| {
        set!(record.old = old);
        set!(record.new = new);
    });
    0
}
