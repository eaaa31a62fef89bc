//! The one table of what is read from the kernel's structures.
//!
//! Rust emits no CO-RE relocations, so the loader looks each field up in the running kernel's BTF and puts its offset
//! into the programs' load instructions ([`crate::placeholder`]); the verifier checks every load against the same BTF.
//! What the programs ask about a field itself (is it there, how wide?) they find in its [`Location`](crate::Location), frozen read-only
//! data. This file is the only place where a field's name, its home by kernel version and its wire type meet.
//!
//! To read one more field, add one line here: under `snapshot`, it is in every record; under `others`, the programs
//! load it where they need it.
//!
//! A line is `name: type = base form [(struct, path), ...]`:
//! * `fixed`: loaded at its type's width; a kernel without it is not supported;
//! * `optional`: the same, all ones where this kernel has no such field;
//! * `narrow`: one or four bytes wide depending on the kernel, widened to `u32`; all ones if absent;
//! * `bits`: a bitfield inside one byte, or a `bool`; all ones if absent.
//!
//! `base`, which only a snapshot's field has, is what the offset counts from: `tp` (`struct tcp_sock`), `sk` (the
//! `struct sock` that it begins with, which the tracepoint vouches for: the kernel checks no address of its loads while
//! they run), or `net` (the socket's own `struct net`). Several `(struct, path)` are tried in turn. A member of
//! `tcp_skb_cb` counts from the `sk_buff` whose `cb` it lives in.

/// How a field is loaded, and whether tracing can do without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As wide as its type (bytes), and indispensable.
    Fixed(u8),
    /// As wide as its type (bytes); may be missing.
    Optional(u8),
    /// One byte or four, depending on the kernel; may be missing.
    Narrow,
    /// A bitfield within one byte; may be missing.
    Bits,
}

macro_rules! form_of {
    (fixed $ty:ty) => {
        Form::Fixed(size_of::<$ty>() as u8)
    };
    (optional $ty:ty) => {
        Form::Optional(size_of::<$ty>() as u8)
    };
    (narrow $ty:ty) => {
        Form::Narrow
    };
    (bits $ty:ty) => {
        Form::Bits
    };
}

/// Calls `$callback!` with the table. The snapshot's fields stand widest first, so that the wire struct has no padding.
#[macro_export]
macro_rules! kernel_fields {
    ($callback:ident) => {
        $callback! {
            snapshot {
                timer_expires: u64 = tp fixed [("sock", "tcp_retransmit_timer.expires"), ("inet_connection_sock", "icsk_retransmit_timer.expires")];
                sk_flags: u64 = sk fixed [("sock_common", "skc_flags")];
                sk_lingertime: u64 = sk fixed [("sock", "sk_lingertime")];
                bytes_retrans: u64 = tp fixed [("tcp_sock", "bytes_retrans")];
                bytes_acked: u64 = tp fixed [("tcp_sock", "bytes_acked")];

                netns: u32 = net fixed [("net", "ns.inum")];
                sk_uid: u32 = sk fixed [("sock", "sk_uid.val")];
                sk_mark: u32 = sk fixed [("sock", "sk_mark")];
                sk_err: u32 = sk fixed [("sock", "sk_err")];
                sk_err_soft: u32 = sk fixed [("sock", "sk_err_soft")];
                sk_ack_backlog: u32 = sk fixed [("sock", "sk_ack_backlog")];
                sk_max_ack_backlog: u32 = sk fixed [("sock", "sk_max_ack_backlog")];

                icsk_rto: u32 = tp fixed [("inet_connection_sock", "icsk_rto")];
                icsk_rto_min: u32 = tp optional [("inet_connection_sock", "icsk_rto_min")];
                icsk_rto_max: u32 = tp optional [("inet_connection_sock", "icsk_rto_max")];
                icsk_user_timeout: u32 = tp fixed [("inet_connection_sock", "icsk_user_timeout")];
                icsk_probes_tstamp: u32 = tp optional [("inet_connection_sock", "icsk_probes_tstamp")];
                reqsk_qlen: u32 = tp fixed [("inet_connection_sock", "icsk_accept_queue.qlen.counter")];
                reqsk_young: u32 = tp fixed [("inet_connection_sock", "icsk_accept_queue.young.counter")];
                lrcvtime: u32 = tp fixed [("inet_connection_sock", "icsk_ack.lrcvtime")];

                snd_una: u32 = tp fixed [("tcp_sock", "snd_una")];
                snd_nxt: u32 = tp fixed [("tcp_sock", "snd_nxt")];
                write_seq: u32 = tp fixed [("tcp_sock", "write_seq")];
                snd_wnd: u32 = tp fixed [("tcp_sock", "snd_wnd")];
                snd_cwnd: u32 = tp fixed [("tcp_sock", "snd_cwnd")];
                snd_ssthresh: u32 = tp fixed [("tcp_sock", "snd_ssthresh")];
                mss_cache: u32 = tp fixed [("tcp_sock", "mss_cache")];
                packets_out: u32 = tp fixed [("tcp_sock", "packets_out")];
                retrans_out: u32 = tp fixed [("tcp_sock", "retrans_out")];
                lost_out: u32 = tp fixed [("tcp_sock", "lost_out")];
                sacked_out: u32 = tp fixed [("tcp_sock", "sacked_out")];
                total_retrans: u32 = tp fixed [("tcp_sock", "total_retrans")];
                retrans_stamp: u32 = tp fixed [("tcp_sock", "retrans_stamp")];
                undo_marker: u32 = tp fixed [("tcp_sock", "undo_marker")];
                undo_retrans: u32 = tp fixed [("tcp_sock", "undo_retrans")];
                high_seq: u32 = tp fixed [("tcp_sock", "high_seq")];
                tlp_high_seq: u32 = tp fixed [("tcp_sock", "tlp_high_seq")];
                srtt_us: u32 = tp fixed [("tcp_sock", "srtt_us")];
                mdev_us: u32 = tp fixed [("tcp_sock", "mdev_us")];
                mdev_max_us: u32 = tp fixed [("tcp_sock", "mdev_max_us")];
                rttvar_us: u32 = tp fixed [("tcp_sock", "rttvar_us")];
                dsack_dups: u32 = tp fixed [("tcp_sock", "dsack_dups")];
                reord_seen: u32 = tp fixed [("tcp_sock", "reord_seen")];
                rcv_tstamp: u32 = tp fixed [("tcp_sock", "rcv_tstamp")];
                lsndtime: u32 = tp fixed [("tcp_sock", "lsndtime")];
                keepalive_time: u32 = tp fixed [("tcp_sock", "keepalive_time")];
                keepalive_intvl: u32 = tp fixed [("tcp_sock", "keepalive_intvl")];
                linger2: u32 = tp fixed [("tcp_sock", "linger2")];
                rcv_nxt: u32 = tp fixed [("tcp_sock", "rcv_nxt")];
                copied_seq: u32 = tp fixed [("tcp_sock", "copied_seq")];

                tcp_retries1: u32 = net narrow [("net", "ipv4.sysctl_tcp_retries1")];
                tcp_retries2: u32 = net narrow [("net", "ipv4.sysctl_tcp_retries2")];
                tcp_syn_retries: u32 = net narrow [("net", "ipv4.sysctl_tcp_syn_retries")];
                tcp_syn_linear_timeouts: u32 = net narrow [("net", "ipv4.sysctl_tcp_syn_linear_timeouts")];
                tcp_synack_retries: u32 = net narrow [("net", "ipv4.sysctl_tcp_synack_retries")];
                tcp_orphan_retries: u32 = net narrow [("net", "ipv4.sysctl_tcp_orphan_retries")];
                tcp_thin_linear_timeouts: u32 = net narrow [("net", "ipv4.sysctl_tcp_thin_linear_timeouts")];
                tcp_keepalive_time: u32 = net narrow [("net", "ipv4.sysctl_tcp_keepalive_time")];
                tcp_keepalive_intvl: u32 = net narrow [("net", "ipv4.sysctl_tcp_keepalive_intvl")];
                tcp_keepalive_probes: u32 = net narrow [("net", "ipv4.sysctl_tcp_keepalive_probes")];

                total_rto: u16 = tp optional [("tcp_sock", "total_rto")];
                skc_family: u16 = sk fixed [("sock_common", "skc_family")];

                ca_state: u8 = tp bits [("inet_connection_sock", "icsk_ca_state")];
                icsk_retransmits: u8 = tp fixed [("inet_connection_sock", "icsk_retransmits")];
                icsk_pending: u8 = tp fixed [("inet_connection_sock", "icsk_pending")];
                icsk_backoff: u8 = tp fixed [("inet_connection_sock", "icsk_backoff")];
                icsk_syn_retries: u8 = tp fixed [("inet_connection_sock", "icsk_syn_retries")];
                icsk_probes_out: u8 = tp fixed [("inet_connection_sock", "icsk_probes_out")];
                rskq_defer_accept: u8 = tp fixed [("inet_connection_sock", "icsk_accept_queue.rskq_defer_accept")];
                keepalive_probes: u8 = tp fixed [("tcp_sock", "keepalive_probes")];
                sk_shutdown: u8 = sk fixed [("sock", "sk_shutdown")];
                skc_state: u8 = sk fixed [("sock_common", "skc_state")];
                tcp_usec_ts: u8 = tp bits [("tcp_sock", "tcp_usec_ts")];
                thin_lto: u8 = tp bits [("tcp_sock", "thin_lto")];
                frto: u8 = tp bits [("tcp_sock", "frto")];
                tlp_retrans: u8 = tp bits [("tcp_sock", "tlp_retrans")];
                repair: u8 = tp bits [("tcp_sock", "repair")];
                is_mptcp: u8 = tp bits [("tcp_sock", "is_mptcp")];
            }
            others {
                skc_net: u64 = fixed [("sock_common", "skc_net.net")];
                skc_daddr: u32 = fixed [("sock_common", "skc_daddr")];
                skc_rcv_saddr: u32 = fixed [("sock_common", "skc_rcv_saddr")];
                skc_v6_daddr: u64 = optional [("sock_common", "skc_v6_daddr")];
                skc_v6_rcv_saddr: u64 = optional [("sock_common", "skc_v6_rcv_saddr")];
                skc_dport: u16 = fixed [("sock_common", "skc_dport")];
                skc_num: u16 = fixed [("sock_common", "skc_num")];
                skc_cookie: u64 = fixed [("sock_common", "skc_cookie.counter")];
                inet_sport: u16 = fixed [("inet_sock", "inet_sport")];
                sk_ino: u64 = optional [("sock", "sk_ino")];
                sk_socket: u64 = fixed [("sock", "sk_socket")];
                socket_file: u64 = fixed [("socket", "file")];
                file_inode: u64 = fixed [("file", "f_inode")];
                inode_ino: u64 = fixed [("inode", "i_ino")];
                sk_cgroup: u64 = optional [("sock", "sk_cgrp_data.cgroup")];
                sk_cgroup_val: u64 = optional [("sock", "sk_cgrp_data.val")];
                cgroup_kn: u64 = optional [("cgroup", "kn")];
                cgroup_level: u32 = optional [("cgroup", "level")];
                cgroup_ancestors: u64 = optional [("cgroup", "ancestors")];
                cgroup_ancestor_ids: u64 = optional [("cgroup", "ancestor_ids")];
                kernfs_id: u64 = optional [("kernfs_node", "id")];
                skb_len: u32 = fixed [("sk_buff", "len")];
                cb_seq: u32 = fixed [("tcp_skb_cb", "seq")];
                cb_end_seq: u32 = fixed [("tcp_skb_cb", "end_seq")];
                cb_gso_segs: u16 = fixed [("tcp_skb_cb", "tcp_gso_segs")];
                cb_sacked: u8 = fixed [("tcp_skb_cb", "sacked")];
                req_num_retrans: u8 = fixed [("request_sock", "num_retrans")];
                req_num_timeout: u8 = bits [("request_sock", "num_timeout")];
                req_timeout: u32 = optional [("request_sock", "timeout")];
                task_flags: u32 = fixed [("task_struct", "flags")];
                task_exit_code: u32 = fixed [("task_struct", "exit_code")];
                req_timer_expires: u64 = fixed [("request_sock", "rsk_timer.expires")];
                task_group_leader: u64 = fixed [("task_struct", "group_leader")];
                task_comm: u64 = fixed [("task_struct", "comm")];
            }
        }
    };
}

struct Definition {
    name: &'static str,
    form: Form,
    homes: &'static [(&'static str, &'static str)],
}

macro_rules! define_fields {
    (
        snapshot { $($name:ident: $ty:ident = $base:ident $form:ident $homes:tt;)* }
        others { $($other:ident: $other_ty:ident = $other_form:ident $other_homes:tt;)* }
    ) => {
        /// A field of the kernel's, by the name that it has on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        #[allow(missing_docs, non_camel_case_types, reason = "the names are the kernel's")]
        pub enum Field { $($name,)* $($other,)* }

        impl Field {
            /// Those of the [`Snapshot`](crate::Snapshot), in the order of the wire.
            pub const SNAPSHOT: &[Field] = &[$(Field::$name,)*];

            /// All of them, in the order of their numbers; the snapshot's come first.
            pub const ALL: &[Field] = &[$(Field::$name,)* $(Field::$other,)*];

            const DEFINITIONS: &[Definition] = &[
                $(Definition { name: stringify!($name), form: form_of!($form $ty), homes: &$homes },)*
                $(Definition { name: stringify!($other), form: form_of!($other_form $other_ty), homes: &$other_homes },)*
            ];
        }
    };
}
kernel_fields!(define_fields);

impl Field {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// The name that it has on the wire, and in recordings.
    pub const fn name(self) -> &'static str {
        Self::DEFINITIONS[self as usize].name
    }

    /// How it is loaded.
    pub const fn form(self) -> Form {
        Self::DEFINITIONS[self as usize].form
    }

    /// `(struct, member path)` by kernel version; the first that exists counts.
    pub const fn homes(self) -> &'static [(&'static str, &'static str)] {
        Self::DEFINITIONS[self as usize].homes
    }
}
