//! `tracepoint` of an `observation`.

use tcpretrans_ebpf::Kind;

/// The tracepoint's name in the kernel; the tracer's own calibration and its first look at the sockets have none.
pub fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Retransmit => "tcp_retransmit_skb",
        Kind::SynAck => "tcp_retransmit_synack",
        Kind::State => "inet_sock_set_state",
        Kind::ReceiveReset => "tcp_receive_reset",
        Kind::SendReset => "tcp_send_reset",
        Kind::CongState => "tcp_cong_state_set",
        Kind::Destroy => "tcp_destroy_sock",
        Kind::ErrorReport => "inet_sk_error_report",
        Kind::Calibrate => "calibrate",
        Kind::Seed => "tcp_seed",
    }
}

/// The kind that [`name`] has made that text of.
pub fn kind(text: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|&kind| name(kind) == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::features::TRACEPOINTS;

    #[test]
    fn the_names_are_those_of_the_programs() {
        for tracepoint in TRACEPOINTS {
            assert_eq!(name(tracepoint.kind), tracepoint.name);
        }
    }

    #[test]
    fn there_and_back() {
        for of in Kind::ALL {
            assert_eq!(kind(name(of)), Some(of));
        }
        assert_eq!(kind("tcp_probe"), None);
    }
}
