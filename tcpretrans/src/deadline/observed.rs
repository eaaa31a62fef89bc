//! Black holes observed on a Linux 6.18 machine with HZ 250: the first timeout as a probe saw it, and the moment at
//! which `inet_sock_set_state` showed the socket's end.

use tcpretrans_ebpf::{Record, tcp_state};

use super::of_record;
use crate::{
    event::{Knob, RetransmitType},
    socket::Hz,
};

const HZ: u32 = 250;

struct Row {
    what: &'static str,
    ty: RetransmitType,
    mono_ns: u64,
    jiffies: u64,
    rto: u32,
    stamp: u32,
    user_timeout_ms: u32,
    rto_max: u32,
    total_rto: u16,
    orphan: bool,
    syncnt: u8,
    retries2: u32,
    orphan_retries: u32,
    syn_retries: u32,
    linear: u32,
    died_ns: u64,
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { what: "retries2=3", ty: RetransmitType::Rto, mono_ns: 5424672051442, jiffies: 4296248404, rto: 51, stamp: 0, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 3, orphan_retries: 0, syn_retries: 6, linear: 4, died_ns: 5430992120141 },
    Row { what: "retries2=5", ty: RetransmitType::Rto, mono_ns: 5424712046114, jiffies: 4296248414, rto: 51, stamp: 0, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 5, orphan_retries: 0, syn_retries: 6, linear: 4, died_ns: 5437648060038 },
    Row { what: "retries2=8 rto_max=1s", ty: RetransmitType::Rto, mono_ns: 5424756051137, jiffies: 4296248425, rto: 51, stamp: 0, user_timeout_ms: 0, rto_max: 250, total_rto: 1, orphan: false, syncnt: 0, retries2: 8, orphan_retries: 0, syn_retries: 6, linear: 4, died_ns: 5433168065388 },
    Row { what: "user 1500", ty: RetransmitType::Rto, mono_ns: 5424764097838, jiffies: 4296248427, rto: 51, stamp: 0, user_timeout_ms: 1500, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 15, orphan_retries: 0, syn_retries: 6, linear: 4, died_ns: 5426268046510 },
    Row { what: "user 10000", ty: RetransmitType::Rto, mono_ns: 5424836061050, jiffies: 4296248445, rto: 51, stamp: 0, user_timeout_ms: 10000, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 15, orphan_retries: 0, syn_retries: 6, linear: 4, died_ns: 5435088067269 },
    Row { what: "syn r=1 L=1", ty: RetransmitType::Syn, mono_ns: 5425264154697, jiffies: 4296248552, rto: 250, stamp: 5424255, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 15, orphan_retries: 0, syn_retries: 1, linear: 1, died_ns: 5428304053711 },
    Row { what: "syn r=1 L=0", ty: RetransmitType::Syn, mono_ns: 5425264118593, jiffies: 4296248552, rto: 250, stamp: 5424255, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 15, orphan_retries: 0, syn_retries: 1, linear: 0, died_ns: 5427280055870 },
    Row { what: "syn r=2 L=1", ty: RetransmitType::Syn, mono_ns: 5425296069683, jiffies: 4296248560, rto: 250, stamp: 5424295, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 15, orphan_retries: 0, syn_retries: 2, linear: 1, died_ns: 5432528069821 },
    Row { what: "syn r=2 L=0", ty: RetransmitType::Syn, mono_ns: 5425328058664, jiffies: 4296248568, rto: 250, stamp: 5424322, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 15, orphan_retries: 0, syn_retries: 2, linear: 0, died_ns: 5431504051139 },
    Row { what: "syncnt=1 L=1", ty: RetransmitType::Syn, mono_ns: 5425392130872, jiffies: 4296248584, rto: 250, stamp: 5424373, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 1, retries2: 15, orphan_retries: 0, syn_retries: 6, linear: 1, died_ns: 5428432110717 },
    Row { what: "orphan 4", ty: RetransmitType::Rto, mono_ns: 5424972086581, jiffies: 4296248479, rto: 51, stamp: 0, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: true, syncnt: 0, retries2: 15, orphan_retries: 4, syn_retries: 6, linear: 4, died_ns: 5431248049727 },
    Row { what: "syn user 4000", ty: RetransmitType::Syn, mono_ns: 5425584084789, jiffies: 4296248632, rto: 250, stamp: 5424561, user_timeout_ms: 4000, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 15, orphan_retries: 0, syn_retries: 6, linear: 4, died_ns: 5428592056935 },
    Row { what: "retries2=8", ty: RetransmitType::Rto, mono_ns: 5425320059353, jiffies: 4296248566, rto: 51, stamp: 0, user_timeout_ms: 0, rto_max: 30000, total_rto: 1, orphan: false, syncnt: 0, retries2: 8, orphan_retries: 0, syn_retries: 6, linear: 4, died_ns: 5532880107340 },
];

impl Row {
    fn record(&self) -> Record {
        let mut record = Record { mono_ns: self.mono_ns, jiffies: self.jiffies, ..Record::default() };
        let sock = &mut record.sock;
        sock.skc_state = match (self.ty, self.orphan) {
            (RetransmitType::Syn, _) => tcp_state::SYN_SENT,
            (_, true) => tcp_state::FIN_WAIT1,
            _ => tcp_state::ESTABLISHED,
        };
        sock.sk_flags = u64::from(self.orphan);
        sock.icsk_rto = self.rto;
        sock.icsk_rto_max = self.rto_max;
        sock.icsk_retransmits = 1;
        sock.total_rto = self.total_rto;
        sock.retrans_stamp = self.stamp;
        sock.icsk_user_timeout = self.user_timeout_ms;
        sock.icsk_syn_retries = self.syncnt;
        sock.snd_wnd = 65_536;
        sock.packets_out = 1;
        sock.tcp_retries1 = 3;
        sock.tcp_retries2 = self.retries2;
        sock.tcp_orphan_retries = self.orphan_retries;
        sock.tcp_syn_retries = self.syn_retries;
        sock.tcp_syn_linear_timeouts = self.linear;
        sock.tcp_synack_retries = 5;
        record
    }

    fn knob(&self) -> Knob {
        match self.ty {
            _ if self.user_timeout_ms != 0 => Knob::TcpUserTimeout,
            RetransmitType::Syn if self.syncnt != 0 => Knob::TcpSyncnt,
            RetransmitType::Syn => Knob::TcpSynRetries,
            _ if self.orphan => Knob::TcpOrphanRetries,
            _ => Knob::TcpRetries2,
        }
    }
}

#[test]
fn the_end_is_forecast_from_the_first_timeout() {
    for row in ROWS {
        let found = of_record(row.ty, &row.record(), Hz::new(HZ)).expect(row.what);
        let off_ms = (found.expected_ns as i64 - row.died_ns as i64) / 1_000_000;
        assert!(off_ms.abs() <= 8, "{}: off by {off_ms} ms", row.what);
        assert!((found.earliest_ns..=found.latest_ns).contains(&row.died_ns), "{}", row.what);
        assert_eq!(found.knob, row.knob(), "{}", row.what);
    }
}
