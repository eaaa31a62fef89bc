//! The programs, one a tracepoint. Argument lists by kernel version: `docs/kernels.md`.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tcpretrans_ebpf::{Field, Kind, tcp_state};

use super::{
    clock,
    fill::{fill_current, set},
    load::Typed,
    output::{emit, emit_always},
    owners::{self, Fin},
    recoveries, settings,
    socket::{self, Sock},
};

/// `tcp_retransmit_skb(sk, skb[, err])`: the end of `__tcp_retransmit_skb`.
#[btf_tracepoint(function = "tcp_retransmit_skb")]
pub fn tcp_retransmit_skb(ctx: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::of(Typed::new(ctx.arg(0))) else { return 0 };
    let skb = Typed::new(ctx.arg(1));
    let err: i32 = if settings::retransmit_has_err() { ctx.arg(2) } else { 0 };
    recoveries::remember(sock);
    emit(&ctx, Kind::Retransmit, sock, sock.sk, |record| {
        set!(record.err = err);
        set!(record.skb_len = skb.load::<u32>(Field::skb_len));
        set!(record.seq = skb.load::<u32>(Field::cb_seq));
        set!(record.end_seq = skb.load::<u32>(Field::cb_end_seq));
        set!(record.segs = skb.load::<u16>(Field::cb_gso_segs));
        set!(record.sacked = skb.load::<u8>(Field::cb_sacked));
    });
    0
}

/// `tcp_retransmit_synack(sk, req)`: `sk` is the listener, `req` has the connection's two ends.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
pub fn tcp_retransmit_synack(ctx: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::of(Typed::new(ctx.arg(0))) else { return 0 };
    let req = Typed::new(ctx.arg(1));
    emit(&ctx, Kind::SynAck, sock, req, |record| {
        set!(record.num_retrans = req.load::<u8>(Field::req_num_retrans));
        set!(record.num_timeout = req.load_bits(Field::req_num_timeout));
        set!(record.req_timeout = req.load::<u32>(Field::req_timeout));
        set!(record.req_expires = req.load::<u64>(Field::req_timer_expires) as u32);
        set!(record.segs = 1);
    });
    0
}

/// `inet_sock_set_state(sk, old, new)`: the hottest of them, once or more for every connection of the machine.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let old = ctx.arg::<i32>(1) as u8;
    let new = ctx.arg::<i32>(2) as u8;
    let Some(sock) = Sock::of(Typed::new(ctx.arg(0))) else { return 0 };
    match (old, new) {
        (tcp_state::CLOSE, tcp_state::SYN_SENT) => {
            owners::remember_current(sock.identity(), clock::now_ns());
            return 0;
        }
        (tcp_state::CLOSE, tcp_state::LISTEN) => {
            owners::remember_current(sock.identity(), clock::now_ns());
            let user_timeout_ms = sock.tp.load::<u32>(Field::icsk_user_timeout);
            if user_timeout_ms == settings::calibration_mark_ms() {
                calibrate(&ctx, sock, old, new);
            }
            return 0;
        }
        (tcp_state::LISTEN, tcp_state::SYN_RECV) => {
            owners::remember_birth(sock.identity(), clock::now_ns());
            return 0;
        }
        (tcp_state::ESTABLISHED, tcp_state::FIN_WAIT1) => remember_fin(sock, Fin::Sent),
        (tcp_state::ESTABLISHED, tcp_state::CLOSE_WAIT) => remember_fin(sock, Fin::Received),
        (tcp_state::CLOSE_WAIT, tcp_state::LAST_ACK) => remember_fin(sock, Fin::Answered),
        _ => {}
    }
    if worth_a_record(sock, old, new) {
        emit(&ctx, Kind::State, sock, sock.sk, |record| {
            set!(record.old = old);
            set!(record.new = new);
            fill_current(record);
        });
    }
    if new == tcp_state::CLOSE {
        owners::forget(sock.identity());
        recoveries::forget(sock);
    }
    0
}

#[inline(always)]
fn remember_fin(sock: Sock, fin: Fin) {
    owners::remember_fin(sock.identity(), fin, clock::now_ns, || {
        (clock::jiffies() as u32).wrapping_sub(sock.tp.load(Field::lsndtime))
    });
}

/// An untroubled connection's state changes are nobody's business: it retransmitted nothing, ended in no error,
/// and went through the FIN states that an ordinary close goes through.
#[inline(always)]
fn worth_a_record(sock: Sock, old: u8, new: u8) -> bool {
    if sock.has_retransmitted() {
        return true;
    }
    if new != tcp_state::CLOSE {
        return false;
    }
    if settings::all_closes() {
        return true;
    }
    let ordinary = old == tcp_state::LAST_ACK
        || old == tcp_state::FIN_WAIT2
        || old == tcp_state::CLOSING
        || old == tcp_state::TIME_WAIT;
    !ordinary || sock.sk.load::<u32>(Field::sk_err) != 0
}

#[inline(never)]
fn calibrate(ctx: &BtfTracePointContext, sock: Sock, old: u8, new: u8) {
    emit_always(ctx, Kind::Calibrate, sock, sock.sk, |record| {
        set!(record.old = old);
        set!(record.new = new);
    });
}

/// `tcp_receive_reset(sk)`
#[btf_tracepoint(function = "tcp_receive_reset")]
pub fn tcp_receive_reset(ctx: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::of(Typed::new(ctx.arg(0))) else { return 0 };
    emit(&ctx, Kind::ReceiveReset, sock, sock.sk, |_| {});
    0
}

/// `tcp_send_reset(sk, skb[, reason])`: without a socket, or with a mini socket, it answers a stray segment and
/// belongs to no connection that could be reported.
#[btf_tracepoint(function = "tcp_send_reset")]
pub fn tcp_send_reset(ctx: BtfTracePointContext) -> i32 {
    let sk = Typed::new(ctx.arg(0));
    if sk.is_null() || socket::is_mini(sk.load::<u8>(Field::skc_state)) {
        return 0;
    }
    let skb: u64 = ctx.arg(1);
    let reason: u32 = if settings::send_reset_has_reason() { ctx.arg(2) } else { u32::MAX };
    let Some(sock) = Sock::of(sk) else { return 0 };
    if sk.load::<u8>(Field::skc_state) == tcp_state::LISTEN {
        return 0;
    }
    emit(&ctx, Kind::SendReset, sock, sock.sk, |record| {
        set!(record.rst_reason = reason);
        set!(record.has_skb = u8::from(skb != 0));
        fill_current(record);
    });
    0
}

/// `tcp_cong_state_set(sk, new)`: fires before the state is stored. Loss episodes begin and end here; the
/// transition to CWR ends a tail loss probe's episode (`tcp_process_tlp_ack`).
#[btf_tracepoint(function = "tcp_cong_state_set")]
pub fn tcp_cong_state_set(ctx: BtfTracePointContext) -> i32 {
    const CWR: u8 = 2;
    const RECOVERY: u8 = 3;
    let Some(sock) = Sock::of(Typed::new(ctx.arg(0))) else { return 0 };
    let new = ctx.arg::<u32>(1) as u8;
    let old = sock.ca_state();
    let episode_edge = (old >= RECOVERY) != (new >= RECOVERY);
    let tlp_end = new == CWR && old < CWR && sock.has_retransmitted();
    if !episode_edge && !tlp_end {
        return 0;
    }
    emit(&ctx, Kind::CongState, sock, sock.sk, |record| {
        set!(record.old = old);
        set!(record.new = new);
    });
    0
}

/// `tcp_destroy_sock(sk)`: the last sight of a troubled socket.
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub fn tcp_destroy_sock(ctx: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::of(Typed::new(ctx.arg(0))) else { return 0 };
    if !sock.has_retransmitted() {
        return 0;
    }
    emit(&ctx, Kind::Destroy, sock, sock.sk, |_| {});
    0
}

/// `inet_sk_error_report(sk)`: an error was raised, which with IP_RECVERR does not close the socket.
#[btf_tracepoint(function = "inet_sk_error_report")]
pub fn inet_sk_error_report(ctx: BtfTracePointContext) -> i32 {
    let Some(sock) = Sock::of(Typed::new(ctx.arg(0))) else { return 0 };
    if sock.sk.load::<u32>(Field::sk_err) == 0 {
        return 0;
    }
    emit(&ctx, Kind::ErrorReport, sock, sock.sk, |_| {});
    0
}
