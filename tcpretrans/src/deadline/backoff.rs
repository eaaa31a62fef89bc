//! The exponential backoff of the RTO (RFC 6298 section 5.5), as `tcp_retransmit_timer` does it.

use super::view::{Thin, Timer, TimerView};
use crate::socket::{Jiffies, TcpState};

/// `TCP_THIN_LINEAR_RETRIES`
const THIN_LINEAR_RETRIES: u32 = 6;

/// The variables of the backoff that change from one timeout to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    /// `icsk_retransmits`
    pub retransmits: u32,
    /// `total_rto`
    pub timeouts: u32,
    /// `icsk_rto`
    pub rto: Jiffies,
}

impl Backoff {
    pub(super) fn of(view: &TimerView) -> Backoff {
        Backoff { retransmits: view.retransmits, timeouts: view.timeouts, rto: view.rto }
    }

    /// `tcp_update_rto_stats`; a window probe is not counted.
    pub(super) fn count(&mut self, view: &TimerView) {
        if !view.probes_window() {
            self.retransmits += 1;
            self.timeouts += 1;
        }
    }

    /// The three kinds of backoff behind `out_reset_timer`. `thin_rto` is the RTO of a stream that counts as thin.
    pub(super) fn back_off(&mut self, view: &TimerView, thin_rto: Option<Jiffies>) {
        if let Some(thin_rto) = thin_rto
            && view.state == TcpState::Established
            && self.retransmits <= THIN_LINEAR_RETRIES
        {
            self.rto = thin_rto;
            return;
        }
        let linear = view.sysctls.syn_linear_timeouts.unwrap_or(0);
        if view.state != TcpState::SynSent || self.timeouts > linear {
            self.rto = self.rto * 2;
        }
        self.rto = self.rto.min(view.rto_max);
    }
}

impl TimerView {
    /// The RTO that has just expired and the one that begins; `None` unless this is a timeout. As TCP_INFO has them:
    /// TCP_USER_TIMEOUT may cut the wait itself shorter (`tcp_clamp_rto_to_user_timeout`).
    pub fn expired_and_next_rto(&self) -> Option<(Jiffies, Jiffies)> {
        let Timer::Expired { dropped, .. } = self.timer else { return None };
        if dropped {
            return Some((self.rto, self.wait_after_drop()));
        }
        let thin_rto = match self.thin {
            Thin::Yes(rto) => Some(rto),
            Thin::No | Thin::Unsure(_) => None,
        };
        let mut next = Backoff::of(self);
        next.back_off(self, thin_rto);
        Some((self.rto, next.rto))
    }

    /// `TCP_RESOURCE_PROBE_INTERVAL`, at most the longest RTO: the wait after the qdisc dropped the packet.
    pub(super) fn wait_after_drop(&self) -> Jiffies {
        self.hz.resource_probe_interval().min(self.rto_max)
    }
}
