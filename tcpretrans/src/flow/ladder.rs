//! The RTO ladder: which timeout has just expired, and which is waited for now (`tcp_retransmit_timer`).

use tcpretrans_ebpf::{Record, tcp_state};

/// `TCP_RTO_MAX` where the kernel has no `icsk_rto_max` (before 6.15), seconds.
const TCP_RTO_MAX_S: u64 = 120;
/// `TCP_THIN_LINEAR_RETRIES`
const THIN_LINEAR_RETRIES: u8 = 6;
/// `TCP_INFINITE_SSTHRESH`
const INFINITE_SSTHRESH: u32 = 0x7fff_ffff;

/// Converts jiffies to milliseconds, to the nearest; exact where HZ divides 1000.
pub fn jiffies_to_ms(jiffies: u64, hz: u32) -> u64 {
    let hz = u64::from(hz.max(1));
    (jiffies.saturating_mul(1000) + hz / 2) / hz
}

/// The longest RTO of this socket, jiffies.
pub fn rto_max_jiffies(record: &Record, hz: u32) -> u64 {
    match record.sock.icsk_rto_max {
        u32::MAX | 0 => TCP_RTO_MAX_S * u64::from(hz),
        jiffies => u64::from(jiffies),
    }
}

/// Does this socket keep its RTO instead of doubling it? (`tcp_stream_is_thin`)
fn is_thin(record: &Record) -> bool {
    let sock = &record.sock;
    let asked = sock.thin_lto == 1
        || (sock.tcp_thin_linear_timeouts != u32::MAX && sock.tcp_thin_linear_timeouts != 0);
    sock.skc_state == tcp_state::ESTABLISHED
        && asked
        && sock.packets_out < 4
        && sock.snd_ssthresh < INFINITE_SSTHRESH
        && sock.icsk_retransmits <= THIN_LINEAR_RETRIES
}

/// Is a SYN still in its linear phase, that is, without backoff? (6.5: counted by `icsk_backoff`; where there is
/// a `total_rto`, by that.) Both count earlier timeouts here: they are raised after the tracepoint.
fn in_syn_linear_phase(record: &Record) -> bool {
    let sock = &record.sock;
    if sock.skc_state != tcp_state::SYN_SENT || sock.tcp_syn_linear_timeouts == u32::MAX {
        return false;
    }
    // `icsk_retransmits` is the number of this timeout, and what `total_rto` will be compared as.
    u32::from(sock.icsk_retransmits) <= sock.tcp_syn_linear_timeouts
}

/// The RTO that is armed after this timer-driven retransmission, jiffies. Call it only for those.
///
/// At the tracepoint `icsk_rto` is still the one that expired.
pub fn next_rto_jiffies(record: &Record, hz: u32) -> u64 {
    let rto = u64::from(record.sock.icsk_rto);
    let rto_max = rto_max_jiffies(record, hz);
    if record.err > 0 {
        // The queueing discipline dropped it: try again after TCP_RESOURCE_PROBE_INTERVAL, without backoff.
        return u64::from(hz) / 2;
    }
    if is_thin(record) {
        let srtt_us = u64::from(record.sock.srtt_us >> 3) + u64::from(record.sock.rttvar_us);
        let jiffies = (srtt_us * u64::from(hz)).div_ceil(1_000_000);
        let rto_min = match record.sock.icsk_rto_min {
            u32::MAX => u64::from(hz) / 5,
            jiffies => u64::from(jiffies),
        };
        return jiffies.max(rto_min).min(rto_max);
    }
    if in_syn_linear_phase(record) {
        return rto.min(rto_max);
    }
    (rto * 2).min(rto_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rto: u32) -> Record {
        let mut record = Record::default();
        record.sock.skc_state = tcp_state::ESTABLISHED;
        record.sock.icsk_rto = rto;
        record.sock.icsk_rto_max = u32::MAX;
        record.sock.tcp_syn_linear_timeouts = 4;
        record
    }

    #[test]
    fn doubles_up_to_the_maximum() {
        assert_eq!(next_rto_jiffies(&record(51), 250), 102);
        assert_eq!(next_rto_jiffies(&record(20_000), 250), 30_000);
        let mut capped = record(400);
        capped.sock.icsk_rto_max = 500;
        assert_eq!(next_rto_jiffies(&capped, 250), 500);
    }

    #[test]
    fn syn_is_linear_first() {
        let mut syn = record(250);
        syn.sock.skc_state = tcp_state::SYN_SENT;
        let ladder: Vec<u64> = (1..=6)
            .map(|n| {
                syn.sock.icsk_retransmits = n;
                next_rto_jiffies(&syn, 250)
            })
            .collect();
        assert_eq!(ladder, [250, 250, 250, 250, 500, 500]);
        syn.sock.tcp_syn_linear_timeouts = u32::MAX;
        syn.sock.icsk_retransmits = 1;
        assert_eq!(next_rto_jiffies(&syn, 250), 500, "kernels without the sysctl double at once");
    }

    #[test]
    fn thin_streams_do_not_double() {
        let mut thin = record(400);
        thin.sock.thin_lto = 1;
        thin.sock.packets_out = 3;
        thin.sock.snd_ssthresh = 10;
        thin.sock.srtt_us = 8 * 20_000;
        thin.sock.rttvar_us = 200_000;
        thin.sock.icsk_rto_min = 50;
        assert_eq!(next_rto_jiffies(&thin, 250), 55);
        thin.sock.snd_ssthresh = INFINITE_SSTHRESH;
        assert_eq!(next_rto_jiffies(&thin, 250), 800, "not in the initial slow start");
    }

    #[test]
    fn local_congestion_retries_in_half_a_second() {
        let mut dropped = record(51);
        dropped.err = 1;
        assert_eq!(next_rto_jiffies(&dropped, 250), 125);
    }

    #[test]
    fn milliseconds_are_exact_where_hz_allows() {
        assert_eq!(jiffies_to_ms(51, 250), 204);
        assert_eq!(jiffies_to_ms(201, 1000), 201);
        assert_eq!(jiffies_to_ms(21, 100), 210);
        assert_eq!(jiffies_to_ms(61, 300), 203);
    }
}
