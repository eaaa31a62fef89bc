//! The ring buffer, and the counts that make its losses visible.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_smp_processor_id, bpf_ringbuf_reserve, bpf_ringbuf_submit},
    macros::map,
    maps::{PerCpuArray, RingBuf},
};
use aya_log_ebpf::warn;
use tcpretrans_ebpf::{Kind, Record};

use super::{fill, filters, load::Typed, settings, socket::Sock};

/// The loader sets the real size.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Records that were submitted, by kind.
#[map]
static SENT: PerCpuArray<u64> = PerCpuArray::with_max_entries(Kind::COUNT, 0);

/// Records that found the ring full, by kind.
#[map]
static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(Kind::COUNT, 0);

const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

#[inline(always)]
fn count(counters: &PerCpuArray<u64>, kind: Kind) -> u64 {
    match counters.get_ptr_mut(kind as u32) {
        Some(counter) => {
            // SAFETY: the lookup gave this CPU's own counter, and a program is not displaced by another on its CPU that
            // counts the same; if it were, a count would be lost and nothing worse.
            unsafe {
                *counter += 1;
                *counter
            }
        }
        None => 0,
    }
}

/// Room for one record in the ring, which nobody else has until it is submitted. All of its bytes have to be written.
#[derive(Clone, Copy)]
pub struct Reserved(*mut Record);

impl Reserved {
    #[inline(always)]
    pub fn as_ptr(self) -> *mut Record {
        self.0
    }
}

/// The way that every record goes: filter, reserve, fill, details, submit. `ends` is what has the connection's
/// addresses: the socket itself, or a request.
#[inline(always)]
pub fn emit(ctx: &impl EbpfContext, kind: Kind, sock: Sock, ends: Typed, details: impl FnOnce(Reserved)) {
    if !settings::filters_are_on() || filters::pass(sock.tp, ends) {
        emit_always(ctx, kind, sock, ends, details);
    }
}

/// The same, whatever the filters say.
#[inline(always)]
pub fn emit_always(
    ctx: &impl EbpfContext,
    kind: Kind,
    sock: Sock,
    ends: Typed,
    details: impl FnOnce(Reserved),
) {
    let Some(record) = reserve(ctx, kind) else { return };
    fill::fill(record, kind, sock, ends);
    details(record);
    submit(record, kind);
}

/// Reserves a record. Nothing may return between this and [`submit`]: the verifier wants each reference back.
#[inline(always)]
fn reserve(ctx: &impl EbpfContext, kind: Kind) -> Option<Reserved> {
    // SAFETY: `EVENTS` is a ring buffer; what the helper gives is null or as long as was asked for.
    let record =
        unsafe { bpf_ringbuf_reserve((&raw const EVENTS).cast_mut().cast(), Record::SIZE as u64, 0) }
            .cast::<Record>();
    if record.is_null() {
        // Once a CPU and kind, and compiled out by the verifier unless the tracer runs with -v.
        if count(&LOST, kind) == 1 {
            // SAFETY: the helper takes nothing.
            let cpu = unsafe { bpf_get_smp_processor_id() };
            warn!(ctx, "the ring is full: first lost record of kind {} on CPU {}", kind as u32, cpu);
        }
        return None;
    }
    Some(Reserved(record))
}

/// Hands a record to the reader. Waking it costs more than everything else here, so the reader drains on its own
/// clock and is woken early only as the ring passes its mark. Only as it *passes*: waking it with every record
/// beyond would cost most when there is least time. A few records' width, because another CPU's reservation may
/// come between; a wake-up that is missed all the same costs one drain period.
#[inline(always)]
fn submit(record: Reserved, kind: Kind) {
    const MARK_WIDTH: u64 = 8 * Record::SIZE as u64;
    count(&SENT, kind);
    let beyond = EVENTS.query(BPF_RB_AVAIL_DATA).wrapping_sub(settings::wake_bytes());
    let flags = if beyond < MARK_WIDTH { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    // SAFETY: it was reserved and not yet submitted, as the verifier sees to.
    unsafe { bpf_ringbuf_submit(record.0.cast(), flags) }
}
