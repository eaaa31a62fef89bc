//! For tests: one socket, and what the kernel says of it.

use tcpretrans_ebpf::{Kind, Record, Snapshot, tcp_state::*};

use super::*;
use crate::event::{Recovered, Retransmit};

pub(crate) const HZ: u32 = 250;

pub(crate) fn config() -> Config {
    Config {
        hz: HZ,
        request_rto_max: None,
        warn_at: 0.5,
        all_closes: false,
        reset_reasons: HashMap::from([
            (11, "TCP_ABORT_ON_CLOSE".to_owned()),
            (15, "TCP_KEEPALIVE_TIMEOUT".to_owned()),
        ]),
        max_flows: 64,
    }
}

/// One socket whose fields a story changes as it goes on.
pub(crate) struct Story {
    pub correlator: Correlator,
    pub record: Record,
    pub events: Vec<Event>,
}

impl Story {
    pub(crate) fn new(state: u8) -> Story {
        let sock = Snapshot {
            skc_state: state,
            snd_una: 1000,
            snd_nxt: 2448,
            write_seq: 2448,
            snd_wnd: 65535,
            snd_ssthresh: 0x7fff_ffff,
            icsk_rto: 51,
            icsk_rto_max: 30_000,
            tcp_retries1: 3,
            tcp_retries2: 15,
            tcp_syn_retries: 6,
            tcp_syn_linear_timeouts: 4,
            tcp_synack_retries: 5,
            packets_out: 1,
            icsk_pending: 1,
            ..Snapshot::default()
        };
        let record = Record {
            mono_ns: 1_000_000_000,
            jiffies: 4_295_000_000,
            sk: 7,
            cookie: 77,
            lport: 40000,
            rport: 9000,
            inode: 5,
            sock,
            ..Record::default()
        };
        Story { correlator: Correlator::new(config()), record, events: Vec::new() }
    }

    pub(crate) fn wait_ms(&mut self, ms: u64) {
        self.record.mono_ns += ms * 1_000_000;
        self.record.jiffies += ms * u64::from(HZ) / 1000;
    }

    pub(crate) fn say(&mut self, kind: Kind) {
        let owner = Owner { pid: Some(123), comm: Some("java".into()), cgroup: None };
        self.correlator.observe(kind, &self.record, &owner, &mut self.events);
    }

    pub(crate) fn retransmit(&mut self) {
        self.record.seq = self.record.sock.snd_una;
        self.record.end_seq = self.record.sock.snd_una + 1448;
        self.record.segs = 1;
        self.record.skb_len = 1448;
        self.record.sock.total_retrans += 1;
        self.say(Kind::Retransmit);
    }

    pub(crate) fn rto(&mut self) {
        self.record.sock.icsk_pending = 0;
        self.record.sock.ca_state = CaState::Loss as u8;
        self.record.sock.undo_marker = 1000;
        self.record.sock.icsk_retransmits += 1;
        self.retransmit();
        self.record.sock.icsk_pending = 1;
        self.record.sock.icsk_backoff += 1;
        self.record.sock.icsk_rto *= 2;
    }

    pub(crate) fn cong(&mut self, new: u8) {
        self.record.old = self.record.sock.ca_state;
        self.record.new = new;
        self.say(Kind::CongState);
        self.record.sock.ca_state = new;
    }

    pub(crate) fn state(&mut self, new: u8) {
        self.record.old = self.record.sock.skc_state;
        self.record.new = new;
        self.say(Kind::State);
        self.record.sock.skc_state = new;
    }

    /// Acknowledges everything.
    pub(crate) fn acknowledge(&mut self) {
        self.record.sock.snd_una = self.record.sock.snd_nxt;
        self.record.sock.packets_out = 0;
        self.record.sock.icsk_retransmits = 0;
        self.record.sock.icsk_backoff = 0;
    }

    pub(crate) fn end(&mut self) {
        self.correlator.finish(self.record.mono_ns, &mut self.events);
        assert_eq!(self.correlator.flows() - usize::from(self.alive()), 0, "no flow stays behind");
    }

    pub(crate) fn alive(&self) -> bool {
        self.record.sock.skc_state != CLOSE
    }

    pub(crate) fn retransmits(&self) -> Vec<&Retransmit> {
        let each = |event: &'_ Event| matches!(event.what, What::Retransmit(_));
        self.events
            .iter()
            .filter(|event| each(event))
            .filter_map(|event| match &event.what {
                What::Retransmit(retransmit) => Some(&**retransmit),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn recovered(&self) -> Vec<&Recovered> {
        self.events
            .iter()
            .filter_map(|event| match &event.what {
                What::Recovered(recovered) => Some(recovered),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn closed(&self) -> Vec<&crate::event::Closed> {
        self.events
            .iter()
            .filter_map(|event| match &event.what {
                What::Closed(closed) => Some(&**closed),
                _ => None,
            })
            .collect()
    }
}
