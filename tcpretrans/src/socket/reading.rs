//! A record's numbers in words: absent values as `Option`, flags by name, times in their units.

use tcpretrans_ebpf::{Record, Snapshot};

use super::{
    jiffies::Hz,
    seq::SeqNum,
    stamp::{StampClock, jiffies_of},
    state::{CaState, Pending, TcpState},
    units::{Jiffies, Micros, Millis, Nanos},
};

/// Wire value of a field of 32 bits that this kernel lacks.
pub(crate) const ABSENT: u32 = u32::MAX;
/// `TCP_INFINITE_SSTHRESH`: the initial slow start.
pub(crate) const INFINITE_SSTHRESH: u32 = 0x7fff_ffff;
/// `NET_XMIT_DROP`: the queueing discipline dropped the packet.
pub(crate) const NET_XMIT_DROP: i32 = 1;
/// `SOCK_DEAD` in `sk_flags`
pub(crate) const SOCK_DEAD: u64 = 1;
/// `SOCK_LINGER` in `sk_flags`
pub(crate) const SOCK_LINGER: u64 = 1 << 4;
/// `SHUTDOWN_MASK` in `sk_shutdown`: both directions.
const SHUTDOWN_MASK: u8 = 3;
/// `TCPCB_LOST` in a segment's flags
const TCPCB_LOST: u8 = 4;

/// A field that may be missing; `None`: this kernel lacks it.
pub(crate) fn present(value: u32) -> Option<u32> {
    (value != ABSENT).then_some(value)
}

/// Zero stands for "not set".
fn set(value: u32) -> Option<u32> {
    (value != 0).then_some(value)
}

/// What the fields of a socket say.
pub(crate) trait SnapshotExt {
    fn sock(&self) -> &Snapshot;

    fn state(&self) -> TcpState {
        self.sock().skc_state.into()
    }

    fn ca_state(&self) -> CaState {
        self.sock().ca_state.into()
    }

    fn pending(&self) -> Pending {
        self.sock().icsk_pending.into()
    }

    /// SOCK_DEAD: no application holds the socket any more.
    fn is_orphan(&self) -> bool {
        self.sock().sk_flags & SOCK_DEAD != 0
    }

    /// SO_LINGER with zero seconds: close() resets.
    fn lingers_zero(&self) -> bool {
        self.sock().sk_flags & SOCK_LINGER != 0 && self.sock().sk_lingertime == 0
    }

    /// Both directions are shut down.
    fn is_shut_down(&self) -> bool {
        self.sock().sk_shutdown == SHUTDOWN_MASK
    }

    /// `sk_err`: the errno that the application gets; `None`: none.
    fn error(&self) -> Option<i32> {
        i32::try_from(self.sock().sk_err).ok().filter(|&errno| errno != 0)
    }

    /// `icsk_rto`
    fn rto(&self) -> Jiffies {
        self.sock().icsk_rto.into()
    }

    /// `icsk_rto_min`; `None` where it is not set, or this kernel has none.
    fn rto_min(&self) -> Option<Jiffies> {
        present(self.sock().icsk_rto_min).and_then(set).map(Jiffies::from)
    }

    /// `icsk_rto_max`; `None` where it is not set, or this kernel has none.
    fn own_rto_max(&self) -> Option<Jiffies> {
        present(self.sock().icsk_rto_max).and_then(set).map(Jiffies::from)
    }

    /// The longest RTO: `icsk_rto_max`, or the constant of every kernel without it.
    fn rto_max(&self, hz: Hz) -> Jiffies {
        self.own_rto_max().unwrap_or(hz.rto_max())
    }

    /// The timer's expiry.
    fn timer_expires(&self) -> Jiffies {
        Jiffies(self.sock().timer_expires)
    }

    /// Smoothed round-trip time; `None`: never measured.
    fn srtt(&self) -> Option<Micros> {
        // Kept in eighths.
        set(self.sock().srtt_us).map(|eighths| Micros::from(eighths >> 3))
    }

    /// TCP_USER_TIMEOUT; `None`: not set.
    fn user_timeout(&self) -> Option<Millis> {
        set(self.sock().icsk_user_timeout).map(Millis::from)
    }

    /// Slow start threshold, segments; `None`: infinite.
    fn ssthresh(&self) -> Option<u32> {
        (self.sock().snd_ssthresh < INFINITE_SSTHRESH).then_some(self.sock().snd_ssthresh)
    }

    /// `total_rto`: timeouts since the episode began; `None` before Linux 6.7.
    fn total_rto(&self) -> Option<u32> {
        (self.sock().total_rto != u16::MAX).then(|| self.sock().total_rto.into())
    }

    /// TCP_SYNCNT; `None`: not set, the sysctl holds.
    fn own_syn_retries(&self) -> Option<u32> {
        set(self.sock().icsk_syn_retries.into())
    }

    /// `tcp_syn_linear_timeouts`; `None` before Linux 6.5.
    fn syn_linear_timeouts(&self) -> Option<u32> {
        present(self.sock().tcp_syn_linear_timeouts)
    }

    /// `retrans_stamp` is set. For a SYN it is from the first one on, else from the first retransmission on.
    fn is_stamped(&self) -> bool {
        self.sock().retrans_stamp != 0
    }

    fn stamp_clock(&self) -> StampClock {
        if self.sock().tcp_usec_ts == 1 { StampClock::Micros } else { StampClock::Millis }
    }

    /// First byte that is not acknowledged.
    fn unacknowledged(&self) -> SeqNum {
        SeqNum(self.sock().snd_una)
    }

    /// Numbers sent and not acknowledged; a SYN or FIN takes one.
    fn in_flight(&self) -> u32 {
        SeqNum(self.sock().snd_nxt).bytes_since(SeqNum(self.sock().snd_una))
    }

    /// Numbers written and never sent.
    fn unsent(&self) -> u32 {
        SeqNum(self.sock().write_seq).bytes_since(SeqNum(self.sock().snd_nxt))
    }
}

impl SnapshotExt for Snapshot {
    fn sock(&self) -> &Snapshot {
        self
    }
}

/// What a record says beside its socket's fields.
pub(crate) trait RecordExt {
    fn record(&self) -> &Record;

    /// When, on the clock.
    fn time(&self) -> Nanos {
        Nanos(self.record().mono_ns)
    }

    /// When, in jiffies.
    fn now(&self) -> Jiffies {
        Jiffies(self.record().jiffies)
    }

    /// State, before the change.
    fn old_state(&self) -> TcpState {
        self.record().old.into()
    }

    /// State, after the change.
    fn new_state(&self) -> TcpState {
        self.record().new.into()
    }

    /// The time of `retrans_stamp`: of the first retransmission that is unanswered, or of the first SYN. `None`: not
    /// set.
    fn stamped_at(&self) -> Option<Nanos> {
        let stamp = set(self.record().sock.retrans_stamp)?;
        Some(self.record().sock.stamp_clock().time_of(stamp, self.time()))
    }

    /// A low half of jiffies on the 64-bit scale.
    fn jiffies_of(&self, low_half: u32) -> Jiffies {
        jiffies_of(low_half, self.now())
    }

    /// Since that low half of jiffies, in the past.
    fn jiffies_since(&self, low_half: u32) -> Jiffies {
        (self.record().jiffies as u32).wrapping_sub(low_half).into()
    }

    /// Since the socket was opened; `None`: that was before the trace.
    fn lifetime(&self) -> Option<Nanos> {
        (self.record().born_ns != 0).then(|| self.time() - Nanos(self.record().born_ns))
    }

    /// When the first FIN went, how long ago data had last been sent; `None`: not known.
    fn idle_at_fin(&self) -> Option<Jiffies> {
        present(self.record().fin_idle_jiffies).filter(|_| self.record().fin_ns != 0).map(Jiffies::from)
    }

    /// The queueing discipline dropped the segment (`NET_XMIT_DROP`).
    fn was_dropped_here(&self) -> bool {
        self.record().err == NET_XMIT_DROP
    }

    /// The segment's scoreboard flags say that it was lost (`TCPCB_LOST`).
    fn was_marked_lost(&self) -> bool {
        self.record().sacked & TCPCB_LOST != 0
    }

    /// Segments in the skb. One that was never segmented counts as one, as `tcp_skb_pcount` does.
    fn segments(&self) -> u32 {
        u32::from(self.record().segs).max(1)
    }

    /// The first segment that is not acknowledged was sent again.
    fn is_of_head(&self) -> bool {
        self.record().seq == self.record().sock.snd_una
    }

    /// `req->timeout`, a request's first wait. Before 5.15 it is the constant `TCP_TIMEOUT_INIT`.
    fn request_timeout(&self, hz: Hz) -> Jiffies {
        present(self.record().req_timeout).and_then(set).map_or(hz.timeout_init(), Jiffies::from)
    }
}

impl RecordExt for Record {
    fn record(&self) -> &Record {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel that has none of the optional fields.
    fn old_kernel() -> Record {
        let mut record =
            Record { req_timeout: ABSENT, fin_idle_jiffies: ABSENT, fin_ns: 1, ..Record::default() };
        for field in tcpretrans_ebpf::Field::SNAPSHOT {
            use tcpretrans_ebpf::Form;
            let ones = match field.form() {
                Form::Fixed(_) => continue,
                Form::Optional(width) => (1_i128 << (8 * width)) - 1,
                Form::Narrow => ABSENT.into(),
                Form::Bits => 0xff,
            };
            assert!(record.set(field.name(), ones), "{}", field.name());
        }
        record
    }

    #[test]
    fn what_a_kernel_lacks_is_none() {
        let (record, hz) = (old_kernel(), Hz::new(250));
        let sock = &record.sock;
        assert_eq!((sock.rto_min(), sock.own_rto_max(), sock.rto_max(hz)), (None, None, Jiffies(30_000)));
        assert_eq!((sock.total_rto(), sock.syn_linear_timeouts()), (None, None));
        assert_eq!((record.idle_at_fin(), record.request_timeout(hz)), (None, Jiffies(250)));
        assert_eq!(sock.stamp_clock(), StampClock::Millis);
        assert_eq!(sock.ca_state(), CaState::Unknown);
    }

    #[test]
    fn what_is_not_set_is_none() {
        let record = Record::default();
        let sock = &record.sock;
        assert_eq!((sock.srtt(), sock.user_timeout(), sock.own_syn_retries()), (None, None, None));
        assert_eq!((record.stamped_at(), record.lifetime(), sock.error()), (None, None, None));
    }

    #[test]
    fn a_stamp_is_on_the_clock_that_the_connection_uses() {
        let mut record = Record { mono_ns: 5_000_123_456, ..Record::default() };
        record.sock.retrans_stamp = 4_800;
        assert_eq!(record.stamped_at(), Some(Nanos(4_800_000_000)));
        record.sock.tcp_usec_ts = 1;
        record.sock.retrans_stamp = 4_999_000;
        assert_eq!(record.stamped_at(), Some(Nanos(4_999_000_000)));
    }
}
