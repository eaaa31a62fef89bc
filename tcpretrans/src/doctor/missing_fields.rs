//! What a user loses where the kernel lacks an optional field.

/// What is lost without a field; `Ok(why)` where nothing is, because the kernel has it in another way.
pub(super) fn without(field: &str) -> Result<&'static str, &'static str> {
    let lost = match field {
        // The same answer comes from elsewhere.
        "sk_ino" => return Ok("the socket's inode is found by way of its file"),
        "sk_cgroup_val" => return Ok("the cgroup is read from its newer place"),
        "cgroup_ancestor_ids" => return Ok("a cgroup's ancestors are read from their newer place"),
        "cgroup_ancestors" => return Ok("a cgroup's ancestors are read from their older place"),
        "sk_cgroup" => return Ok("the cgroup is read from its older place"),
        "icsk_rto_max" => return Ok("this kernel has no other limit of the RTO than 120 s"),
        "tcp_syn_linear_timeouts" => return Ok("this kernel backs off from the first SYN retransmission on"),
        "tcp_usec_ts" => return Ok("this kernel has no microsecond timestamps"),
        "icsk_rto_min" => return Ok("this kernel has no RTO minimum by socket"),
        "total_rto" => "the end of linear SYN timeouts is derived from the backoff",
        "icsk_probes_tstamp" => "how long a window has been closed is estimated",
        "thin_lto" | "tcp_thin_linear_timeouts" => {
            "forecasts do not consider the linear timeouts of thin streams"
        }
        "frto" => "whether F-RTO checks a timeout is unknown",
        "tlp_retrans" => "whether a tail loss probe repeated old data is unknown",
        "repair" => "sockets under repair (checkpoint and restore) are not recognised",
        "is_mptcp" => "MPTCP subflows are not marked as such",
        "ca_state" => "fast, slow-start and timer retransmissions cannot be distinguished",
        "tcp_retries1" => "no tcp_retries1 threshold",
        "tcp_retries2" => "no forecast for established connections",
        "tcp_syn_retries" => "no forecast for connect()",
        "tcp_synack_retries" | "req_num_timeout" => "no forecast for SYN-ACKs",
        "tcp_orphan_retries" => "no forecast for closed sockets with unacknowledged data",
        "tcp_keepalive_time" | "tcp_keepalive_intvl" | "tcp_keepalive_probes" => {
            "keepalive limits of the namespace are unknown; those of the socket are used"
        }
        "skc_v6_daddr" | "skc_v6_rcv_saddr" => "no IPv6: the kernel was built without it",
        "cgroup_kn" | "kernfs_id" | "cgroup_level" => "cgroups are unknown, and --cgroup matches nothing",
        "req_timeout" => "the RTO of a SYN-ACK is computed from the number of its timeouts",
        _ => "events lack it",
    };
    Err(lost)
}

#[cfg(test)]
mod tests {
    use tcpretrans_ebpf::{Field, Form};

    use super::*;

    #[test]
    fn every_optional_field_has_its_words() {
        let mut seen = 0;
        for field in Field::ALL {
            if matches!(field.form(), Form::Fixed(_)) {
                continue;
            }
            seen += 1;
            assert_ne!(without(field.name()), Err("events lack it"), "{}", field.name());
        }
        assert!(seen > 20, "{seen}");
    }
}
