//! Sockets that were in trouble before the trace began: one pass over a network namespace's sockets.

use aya_ebpf::programs::BtfTracePointContext;
use tcpretrans_ebpf::{Field, Kind, tcp_state};

use super::{
    load::Typed,
    output::emit,
    socket::{self, Sock},
};

/// `bpf_iter_tcp(meta, sk_common, uid)`: runs in the reader's context, once for each socket.
///
/// A socket is in trouble if a retransmission timer has expired without an answer since.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp_seed")]
pub fn tcp_seed(ctx: *mut core::ffi::c_void) -> i32 {
    let ctx = BtfTracePointContext::new(ctx);
    let sk = Typed::new(ctx.arg(1));
    if sk.is_null() || socket::is_mini(sk.load(Field::skc_state)) {
        return 0;
    }
    let Some(Sock { tp, .. }) = Sock::of(sk) else { return 0 };
    let state: u8 = tp.load(Field::skc_state);
    let unanswered: u8 = tp.load(Field::icsk_retransmits);
    if unanswered == 0 || state == tcp_state::LISTEN || state == tcp_state::CLOSE {
        return 0;
    }
    // What an iterator passes is a `sock_common`: there is no more to it for the verifier.
    emit(&ctx, Kind::Seed, Sock { sk: tp, tp }, tp, |_| {});
    0
}
