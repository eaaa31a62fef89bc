//! What this kernel lets us see. Decided by BTF and tracepoint arity alone, never by a version number:
//! distributions and stable trees backport freely.

use std::collections::{BTreeMap, HashMap};

use tcpretrans_ebpf::{Field, Form, Kind, Location};

use super::btf::{Btf, Member, TypeId};

/// A program of the BPF object and the tracepoint that it belongs on.
#[derive(Clone, Copy, Debug)]
pub struct Tracepoint {
    /// Name of the tracepoint, and of the program.
    pub name: &'static str,
    /// What its records are.
    pub kind: Kind,
    /// Can tracing do without it?
    pub required: bool,
    /// What is missing without it.
    pub without: &'static str,
}

impl Tracepoint {
    /// The one that records of a kind come from; `None`: they have none of their own.
    pub fn of(kind: Kind) -> Option<Tracepoint> {
        let (required, without) = match kind {
            Kind::Retransmit => (true, "no retransmission can be seen"),
            Kind::State => (true, "no connection's end can be seen"),
            Kind::SynAck => (false, "SYN-ACK retransmissions are not seen"),
            Kind::ReceiveReset => {
                (false, "a reset by the peer is distinguished from a local one by the error alone")
            }
            Kind::SendReset => (false, "why this side sent a reset is not known"),
            Kind::CongState => (
                false,
                "a recovery is noticed only at the flow's next event, and whether it was spurious is unknown",
            ),
            Kind::Destroy => (false, "a flow whose close was lost is forgotten only by age"),
            Kind::ErrorReport => (false, "errors that do not close the socket are not seen"),
            Kind::Calibrate | Kind::Seed => return None,
        };
        Some(Tracepoint { name: kind.name(), kind, required, without })
    }

    /// All of them, the indispensable first.
    pub fn all() -> impl Iterator<Item = Tracepoint> {
        let which = |required| {
            let all = Kind::ALL.into_iter().filter_map(Tracepoint::of);
            all.filter(move |tracepoint| tracepoint.required == required)
        };
        which(true).chain(which(false))
    }
}

/// The kernel's function that ends recoveries, and the program that watches it.
pub const RECOVERY_EXIT: &str = "tcp_fastretrans_alert";

/// What stands for the walk over the sockets of a network namespace.
const SOCKET_ITERATOR: &str = "bpf_iter_tcp";

/// Something indispensable that this kernel lacks.
#[derive(Debug, thiserror::Error)]
pub enum UnsupportedKernel {
    /// A tracepoint.
    #[error("this kernel has no tracepoint {0}; tcpretrans needs Linux 5.10 or newer")]
    Tracepoint(&'static str),
    /// A field of a kernel structure.
    #[error(
        "this kernel's BTF has no {0}; the kernel is older than 5.10 or newer than this tcpretrans knows"
    )]
    Field(String),
    /// A field of another width than this tool can carry.
    #[error("{field} is {found} bytes wide in this kernel, not {expected}")]
    Width {
        /// The field.
        field: String,
        /// Bytes that the wire has for it.
        expected: u8,
        /// Bytes that it has here.
        found: u32,
    },
}

/// What was found, and the offsets to load the programs with.
#[derive(Debug, Clone)]
pub struct Features {
    /// Arguments of each tracepoint that exists here.
    pub tracepoints: BTreeMap<&'static str, usize>,
    /// Where each field is, by its number.
    pub locations: Vec<Location>,
    /// `tcp_retransmit_skb` says whether the attempt was sent (6.17).
    pub retransmit_err: bool,
    /// `tcp_send_reset` says why (6.10).
    pub reset_reason: bool,
    /// Tracing programs may ask for the socket's cookie (5.12).
    pub socket_cookie: bool,
    /// `tcp_cong_state_set` is missing (5.19), but the function in which recoveries end can be watched.
    pub recovery_exit: bool,
    /// Maps count as locked memory (5.10), so that making them needs a high RLIMIT_MEMLOCK.
    pub maps_are_locked_memory: bool,
    /// The kernel can walk its sockets for us (`bpf_iter_tcp`, 5.9).
    pub seed: bool,
    /// An unanswered SYN-ACK waits no longer than the listener's `icsk_rto_max` (7.0), not 120 s. The change came with
    /// `sock.tcp_retransmit_timer`, by which it is detected.
    pub request_rto_max: bool,
    /// `enum sk_rst_reason`: numbers shift between versions.
    pub reset_reasons: HashMap<u32, String>,
    /// What stands in the kernel for what the programs are attached to.
    pub attach_types: Vec<TypeId>,
}

impl Features {
    /// Asks BTF for everything that the programs need.
    ///
    /// # Errors
    /// [`UnsupportedKernel`] names the first indispensable thing that is missing.
    pub fn detect(btf: &Btf) -> Result<Features, UnsupportedKernel> {
        let mut tracepoints = BTreeMap::new();
        for tracepoint in Tracepoint::all() {
            match btf.tracepoint_args(tracepoint.name) {
                Some(args) => {
                    tracepoints.insert(tracepoint.name, args);
                }
                None if tracepoint.required => {
                    return Err(UnsupportedKernel::Tracepoint(tracepoint.name));
                }
                None => {}
            }
        }
        let locations = Field::ALL
            .iter()
            .map(|&field| locate(btf, field))
            .collect::<Result<Vec<_>, UnsupportedKernel>>()?;
        let has_args = |name: &str, count: usize| tracepoints.get(name).is_some_and(|&n| n >= count);
        Ok(Features {
            retransmit_err: has_args("tcp_retransmit_skb", 3),
            reset_reason: has_args("tcp_send_reset", 3),
            socket_cookie: btf.has_function("bpf_get_socket_ptr_cookie"),
            recovery_exit: !tracepoints.contains_key("tcp_cong_state_set") && btf.has_function(RECOVERY_EXIT),
            // `struct bpf_map_memory`; since 5.11 a memory cgroup is charged.
            maps_are_locked_memory: btf.member("bpf_map", "memory").is_some(),
            seed: btf.has_function(SOCKET_ITERATOR),
            request_rto_max: btf.member("sock", "tcp_retransmit_timer").is_some(),
            reset_reasons: btf.enum_names("sk_rst_reason", "SK_RST_REASON_"),
            attach_types: tracepoints
                .keys()
                .filter_map(|name| btf.tracepoint_type(name))
                .chain([RECOVERY_EXIT, SOCKET_ITERATOR].iter().filter_map(|name| btf.function_type(name)))
                .collect(),
            tracepoints,
            locations,
        })
    }

    /// A kernel that has nothing: something to add to, for tests.
    #[cfg(test)]
    pub(crate) fn none() -> Features {
        Features {
            tracepoints: BTreeMap::new(),
            locations: vec![Location::ABSENT; Field::COUNT],
            retransmit_err: false,
            reset_reason: false,
            socket_cookie: false,
            recovery_exit: false,
            maps_are_locked_memory: false,
            seed: false,
            request_rto_max: false,
            reset_reasons: HashMap::new(),
            attach_types: Vec::new(),
        }
    }

    /// Does the kernel have this tracepoint?
    pub fn has(&self, tracepoint: &str) -> bool {
        self.tracepoints.contains_key(tracepoint)
    }

    /// Where the kernel has this field.
    pub fn location(&self, field: Field) -> Location {
        self.locations.get(field as usize).copied().unwrap_or(Location::ABSENT)
    }

    /// Does the kernel have this field?
    pub fn has_field(&self, field: Field) -> bool {
        self.location(field).exists()
    }

    /// Optional fields that this kernel lacks.
    pub fn missing_fields(&self) -> impl Iterator<Item = Field> {
        Field::ALL.iter().copied().filter(|&field| !self.has_field(field))
    }
}

/// A member of a struct; one of `tcp_skb_cb` as a member of the `sk_buff` that has it.
fn member(btf: &Btf, name: &str, path: &str) -> Option<Member> {
    let member = btf.member(name, path)?;
    if name != "tcp_skb_cb" {
        return Some(member);
    }
    let home = btf.member("sk_buff", "cb")?;
    Some(Member { offset: home.offset + member.offset, ..member })
}

fn locate(btf: &Btf, field: Field) -> Result<Location, UnsupportedKernel> {
    let shown = || {
        let (name, path) = field.homes().last().copied().unwrap_or(("?", "?"));
        format!("{name}.{path}")
    };
    let Some(member) = field.homes().iter().find_map(|(name, path)| member(btf, name, path)) else {
        return match field.form() {
            Form::Fixed(_) => Err(UnsupportedKernel::Field(shown())),
            _ => Ok(Location::ABSENT),
        };
    };
    let width_error =
        |expected: u8| UnsupportedKernel::Width { field: shown(), expected, found: member.size };
    let offset = u16::try_from(member.offset).map_err(|_| width_error(0))?;
    match field.form() {
        // Arrays and structs (`skb->cb`, `skc_v6_daddr`, `cgroup->ancestors`) are read piecewise by the programs.
        Form::Fixed(width) | Form::Optional(width) => {
            let piecewise = member.size > 8 || member.size == 0;
            if member.bitfield.is_some() || !piecewise && member.size != u32::from(width) {
                return Err(width_error(width));
            }
            Ok(Location::whole(offset, width))
        }
        Form::Narrow => match member.size {
            1 | 4 => Ok(Location::whole(offset, member.size as u8)),
            _ => Err(width_error(4)),
        },
        Form::Bits => match member.bitfield {
            Some((shift, bits)) if shift + bits <= 8 => Ok(Location::bits(offset, shift, bits)),
            None if member.size == 1 => Ok(Location::bits(offset, 0, 8)),
            _ => Err(width_error(1)),
        },
    }
}
