//! The one table of what is read from the kernel's socket structures.
//!
//! Rust emits no CO-RE relocations, so the loader looks each field up in the running kernel's BTF and puts its offset
//! into the programs' load instructions ([`crate::spot`]); the verifier checks every load against the same BTF. What
//! the programs ask about a field itself (is it there, how wide?) they find in a [`SnapshotOffsets`] or [`WalkOffsets`]
//! that is frozen read-only data. This file is the only place where a field's name, its home by kernel version and
//! its wire type meet. To read one more field, add one line here.
//!
//! Forms of a row in `snapshot_fields!`, `name: wire type = base form [(struct, path), ...]`:
//! * `fixed`: loaded at its wire type's width; a kernel without it is not supported;
//! * `optional`: the same, all ones on the wire where this kernel has no such field;
//! * `narrow`: one or four bytes wide depending on the kernel, widened to `u32`; all ones if absent;
//! * `bits`: a bitfield inside one byte, or a `bool`; all ones if absent.
//!
//! `base` is what the offset counts from: `tp` (`struct tcp_sock`), `sk` (the `struct sock` that it begins with, which
//! the tracepoint vouches for: the kernel checks no address of its loads while they run), or `net` (the socket's own
//! `struct net`). Several `(struct, path)` are tried in turn.
//!
//! In `walk_fields!`, a member of `tcp_skb_cb` counts from the `sk_buff` whose `cb` it lives in.

/// How a field is loaded, and whether tracing can do without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As wide as its wire type (bytes), and indispensable.
    Fixed(u8),
    /// As wide as its wire type (bytes); may be missing.
    Optional(u8),
    /// One byte or four, depending on the kernel; may be missing.
    Narrow,
    /// A bitfield within one byte; may be missing.
    Bits,
}

/// One row of the table: where the loader finds a field in BTF.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The wire name, which is also the name in [`SnapshotOffsets`].
    pub name: &'static str,
    /// How it is loaded.
    pub form: Form,
    /// `(struct, member path)` by kernel version; the first that exists counts.
    pub homes: &'static [(&'static str, &'static str)],
}

/// An offset as the programs see it: a load-time constant.
///
/// Bits 0..16 byte offset, 16..20 width in bytes (0: absent), 20..24 shift, 24..32 mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Place(pub u32);

impl Place {
    /// The field does not exist on this kernel.
    pub const ABSENT: Place = Place(0);

    /// A bitfield that does not exist on this kernel: of all ones, everything is kept.
    pub const ABSENT_BITS: Place = Place(0xff << 24);

    /// A whole field of `width` bytes.
    pub const fn whole(offset: u16, width: u8) -> Place {
        Place(offset as u32 | ((width as u32 & 0xf) << 16))
    }

    /// A bitfield of `bits` bits, `shift` bits into the byte at `offset`.
    pub const fn bits(offset: u16, shift: u8, bits: u8) -> Place {
        let mask = (1u32 << (bits as u32 & 0xf)) - 1;
        Place(offset as u32 | (1 << 16) | ((shift as u32 & 7) << 20) | ((mask & 0xff) << 24))
    }

    /// Byte offset from the field's base.
    #[inline(always)]
    pub const fn offset(self) -> usize {
        (self.0 & 0xffff) as usize
    }

    /// Width in bytes; 0 if absent.
    #[inline(always)]
    pub const fn width(self) -> u32 {
        (self.0 >> 16) & 0xf
    }

    /// Position of a bitfield's lowest bit within its byte.
    #[inline(always)]
    pub const fn shift(self) -> u32 {
        (self.0 >> 20) & 0xf
    }

    /// A bitfield's mask, once shifted down.
    #[inline(always)]
    pub const fn mask(self) -> u32 {
        self.0 >> 24
    }
}

macro_rules! form_of {
    (fixed $ty:ty) => {
        Form::Fixed(core::mem::size_of::<$ty>() as u8)
    };
    (optional $ty:ty) => {
        Form::Optional(core::mem::size_of::<$ty>() as u8)
    };
    (narrow $ty:ty) => {
        Form::Narrow
    };
    (bits $ty:ty) => {
        Form::Bits
    };
}

/// Calls `$callback!` with the fields that are copied into every record, widest first so that the wire
/// struct has no padding.
#[macro_export]
macro_rules! snapshot_fields {
    ($callback:ident) => {
        $callback! {
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
    };
}

/// Calls `$callback!` with the further offsets that the programs' code uses by name.
#[macro_export]
macro_rules! walk_fields {
    ($callback:ident) => {
        $callback! {
            skc_net: fixed u64 [("sock_common", "skc_net.net")];
            skc_daddr: fixed u32 [("sock_common", "skc_daddr")];
            skc_rcv_saddr: fixed u32 [("sock_common", "skc_rcv_saddr")];
            skc_v6_daddr: optional u64 [("sock_common", "skc_v6_daddr")];
            skc_v6_rcv_saddr: optional u64 [("sock_common", "skc_v6_rcv_saddr")];
            skc_dport: fixed u16 [("sock_common", "skc_dport")];
            skc_num: fixed u16 [("sock_common", "skc_num")];
            skc_cookie: fixed u64 [("sock_common", "skc_cookie.counter")];
            inet_sport: fixed u16 [("inet_sock", "inet_sport")];
            sk_ino: optional u64 [("sock", "sk_ino")];
            sk_socket: fixed u64 [("sock", "sk_socket")];
            socket_file: fixed u64 [("socket", "file")];
            file_inode: fixed u64 [("file", "f_inode")];
            inode_ino: fixed u64 [("inode", "i_ino")];
            sk_cgroup: optional u64 [("sock", "sk_cgrp_data.cgroup")];
            sk_cgroup_val: optional u64 [("sock", "sk_cgrp_data.val")];
            cgroup_kn: optional u64 [("cgroup", "kn")];
            cgroup_level: optional u32 [("cgroup", "level")];
            cgroup_ancestors: optional u64 [("cgroup", "ancestors")];
            cgroup_ancestor_ids: optional u64 [("cgroup", "ancestor_ids")];
            kernfs_id: optional u64 [("kernfs_node", "id")];
            skb_len: fixed u32 [("sk_buff", "len")];
            cb_seq: fixed u32 [("tcp_skb_cb", "seq")];
            cb_end_seq: fixed u32 [("tcp_skb_cb", "end_seq")];
            cb_gso_segs: fixed u16 [("tcp_skb_cb", "tcp_gso_segs")];
            cb_sacked: fixed u8 [("tcp_skb_cb", "sacked")];
            req_num_retrans: fixed u8 [("request_sock", "num_retrans")];
            req_num_timeout: bits u8 [("request_sock", "num_timeout")];
            req_timeout: optional u32 [("request_sock", "timeout")];
            task_flags: fixed u32 [("task_struct", "flags")];
            task_exit_code: fixed u32 [("task_struct", "exit_code")];
            req_timer_expires: fixed u64 [("request_sock", "rsk_timer.expires")];
            task_group_leader: fixed u64 [("task_struct", "group_leader")];
            task_comm: fixed u64 [("task_struct", "comm")];
        }
    };
}

macro_rules! define_snapshot_offsets {
    ($($name:ident: $ty:ident = $base:ident $form:ident $homes:tt;)*) => {
        /// Where each field of [`Snapshot`](crate::Snapshot) is on the running kernel.
        #[derive(Clone, Copy, Debug, Default)]
        #[repr(C)]
        #[allow(missing_docs, reason = "the names are the kernel's")]
        pub struct SnapshotOffsets {
            $(pub $name: Place,)*
        }

        /// The rows that [`SnapshotOffsets`] is filled from, in its order.
        pub const SNAPSHOT_FIELDS: &[Field] = &[
            $(Field { name: stringify!($name), form: form_of!($form $ty), homes: &$homes },)*
        ];
    };
}

macro_rules! define_walk_offsets {
    ($($name:ident: $form:ident $ty:ident $homes:tt;)*) => {
        /// Where the further fields are that the programs' code reads by name.
        #[derive(Clone, Copy, Debug, Default)]
        #[repr(C)]
        #[allow(missing_docs, reason = "the names are the kernel's")]
        pub struct WalkOffsets {
            $(pub $name: Place,)*
        }

        /// The rows that [`WalkOffsets`] is filled from, in its order.
        pub const WALK_FIELDS: &[Field] = &[
            $(Field { name: stringify!($name), form: form_of!($form $ty), homes: &$homes },)*
        ];
    };
}

snapshot_fields!(define_snapshot_offsets);
walk_fields!(define_walk_offsets);

const _: () = assert!(
    size_of::<SnapshotOffsets>() == size_of_val(SNAPSHOT_FIELDS) / size_of::<Field>() * size_of::<Place>()
);
const _: () =
    assert!(size_of::<WalkOffsets>() == size_of_val(WALK_FIELDS) / size_of::<Field>() * size_of::<Place>());
