//! Questions to the running kernel's BTF: where is a member, is there a function, how many arguments does a
//! tracepoint have, what does an enum's number mean.
//!
//! aya relocates against BTF but does not answer such questions. This reads the file once into an index
//! (a few milliseconds for vmlinux; the general BTF crates take 50 to 110).

use std::{collections::HashMap, path::Path};

use aya_obj::btf::BtfKind;

/// Where the kernel shows its own types.
pub(crate) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why BTF could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The contents are not BTF that this tool understands.
    #[error("{path} is not usable BTF: {what}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A member's place within its struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Byte offset of a whole member; of the byte that holds a bitfield's lowest bit.
    pub offset: u32,
    /// Bytes (a whole member), or 0 where BTF gives no size.
    pub size: u32,
    /// `(shift within the byte, bits)` of a bitfield.
    pub bitfield: Option<(u8, u8)>,
}

/// A type that something is attached to: what stands for it in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeId {
    /// Its name.
    pub name: String,
    /// Function or typedef.
    pub kind: BtfKind,
    /// Its number.
    pub id: u32,
}

/// An index over one BTF blob.
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// Byte position of each type; type 0 is void.
    types: Vec<u32>,
    structs: HashMap<u32, Vec<u32>>,
    names: HashMap<Box<str>, u32>,
}

impl std::fmt::Debug for Btf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Btf({} types)", self.types.len())
    }
}

struct Type {
    position: usize,
    name: u32,
    kind: BtfKind,
    vlen: usize,
    kind_flag: bool,
    size_or_type: u32,
}

impl Btf {
    /// Reads the running kernel's BTF.
    ///
    /// # Errors
    /// [`BtfError`] if the file is missing or not BTF.
    pub fn of_running_kernel() -> Result<Btf, BtfError> {
        Self::from_file(Path::new(VMLINUX))
    }

    /// Reads a BTF file.
    ///
    /// # Errors
    /// [`BtfError`] if the file is missing or not BTF.
    pub fn from_file(path: &Path) -> Result<Btf, BtfError> {
        let shown = path.display().to_string();
        let data = std::fs::read(path).map_err(|source| BtfError::Read { path: shown.clone(), source })?;
        Self::parse(data).map_err(|what| BtfError::Malformed { path: shown, what })
    }

    /// Indexes a BTF blob.
    ///
    /// # Errors
    /// A phrase saying what is wrong with it.
    pub fn parse(data: Vec<u8>) -> Result<Btf, &'static str> {
        const MAGIC: u16 = 0xeb9f;
        let word = |at: usize| read_u32(&data, at).ok_or("it is cut short");
        if data.len() < 24 {
            return Err("it is cut short");
        }
        if u16::from_ne_bytes([data[0], data[1]]) != MAGIC {
            return Err("it does not begin with the BTF magic number of this machine's byte order");
        }
        let header_len = word(4)? as usize;
        let (type_off, type_len) = (word(8)? as usize, word(12)? as usize);
        let (str_off, str_len) = (word(16)? as usize, word(20)? as usize);
        let section = |off: usize, len: usize| {
            let start = header_len.checked_add(off)?;
            let end = start.checked_add(len)?;
            (end <= data.len()).then_some((start, end))
        };
        let (mut at, types_end) = section(type_off, type_len).ok_or("its type section ends outside of it")?;
        let (strings, _) = section(str_off, str_len).ok_or("its strings end outside of it")?;

        let mut btf =
            Btf { data: Vec::new(), strings, types: vec![0], structs: HashMap::new(), names: HashMap::new() };
        let mut named = Vec::new();
        while at < types_end {
            let (name, info) = (word(at)?, word(at + 4)?);
            let kind = kind_of(info);
            let vlen = (info & 0xffff) as usize;
            // What follows the common part: `include/uapi/linux/btf.h`.
            let extra = match kind {
                BtfKind::Unknown => return Err("it has a kind of type that this tcpretrans does not know"),
                BtfKind::Ptr
                | BtfKind::Fwd
                | BtfKind::Typedef
                | BtfKind::Volatile
                | BtfKind::Const
                | BtfKind::Restrict
                | BtfKind::Func
                | BtfKind::Float
                | BtfKind::TypeTag => 0,
                BtfKind::Int | BtfKind::Var | BtfKind::DeclTag => 4,
                BtfKind::Array => 12,
                BtfKind::Struct | BtfKind::Union | BtfKind::DataSec | BtfKind::Enum64 => vlen * 12,
                BtfKind::Enum | BtfKind::FuncProto => vlen * 8,
            };
            let id = btf.types.len() as u32;
            if name != 0 && is_named(kind) {
                named.push((name, kind, id));
            }
            btf.types.push(at as u32);
            at += 12 + extra;
        }
        if at != types_end {
            return Err("its last type is cut short");
        }
        btf.data = data;
        for (name, kind, id) in named {
            if kind == BtfKind::Struct {
                btf.structs.entry(name).or_default().push(id);
            }
            let shown = btf.string(name);
            // Few functions and type names are ever asked for; to index all would take most of the time.
            let asked_for = match kind {
                BtfKind::Func => shown.starts_with("bpf_") || shown.starts_with("tcp_"),
                BtfKind::Typedef => shown.starts_with("btf_trace_"),
                _ => true,
            };
            if asked_for {
                // Types and functions may share a name.
                let key = format!("{}{shown}", kind_prefix(kind));
                btf.names.entry(key.into()).or_insert(id);
            }
        }
        Ok(btf)
    }

    fn string(&self, offset: u32) -> &str {
        let start = self.strings + offset as usize;
        let Some(rest) = self.data.get(start..) else { return "" };
        let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
        std::str::from_utf8(&rest[..end]).unwrap_or("")
    }

    fn word(&self, at: usize) -> u32 {
        read_u32(&self.data, at).unwrap_or(0)
    }

    fn type_of(&self, id: u32) -> Option<Type> {
        let position = *self.types.get(id as usize)? as usize;
        if id == 0 {
            return None;
        }
        let info = self.word(position + 4);
        Some(Type {
            position: position + 12,
            name: self.word(position),
            kind: kind_of(info),
            vlen: (info & 0xffff) as usize,
            kind_flag: info >> 31 != 0,
            size_or_type: self.word(position + 8),
        })
    }

    /// Strips typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Option<(u32, Type)> {
        for _ in 0..32 {
            let ty = self.type_of(id)?;
            match ty.kind {
                BtfKind::Typedef
                | BtfKind::Volatile
                | BtfKind::Const
                | BtfKind::Restrict
                | BtfKind::TypeTag => id = ty.size_or_type,
                _ => return Some((id, ty)),
            }
        }
        None
    }

    fn size_of(&self, id: u32) -> u32 {
        match self.resolve(id) {
            Some((_, ty)) => match ty.kind {
                BtfKind::Int
                | BtfKind::Struct
                | BtfKind::Union
                | BtfKind::Enum
                | BtfKind::Enum64
                | BtfKind::Float => ty.size_or_type,
                BtfKind::Ptr => 8,
                BtfKind::Array => {
                    let element = self.word(ty.position);
                    self.size_of(element).saturating_mul(self.word(ty.position + 8))
                }
                _ => 0,
            },
            None => 0,
        }
    }

    fn named(&self, kind: BtfKind, name: &str) -> Option<u32> {
        self.names.get(format!("{}{name}", kind_prefix(kind)).as_str()).copied()
    }

    /// Finds `path` (dotted) in `struct name`, descending into anonymous members. Where several structs share a
    /// name, the first that has the member counts.
    pub fn member(&self, name: &str, path: &str) -> Option<Member> {
        let first = self.named(BtfKind::Struct, name)?;
        let name_offset = self.type_of(first)?.name;
        self.structs.get(&name_offset)?.iter().find_map(|&id| self.member_of(id, path))
    }

    fn member_of(&self, id: u32, path: &str) -> Option<Member> {
        let (head, tail) = match path.split_once('.') {
            Some((head, tail)) => (head, Some(tail)),
            None => (path, None),
        };
        let (found, type_id) = self.direct_member(id, head, 0)?;
        match tail {
            None => Some(found),
            Some(tail) => {
                let inner = self.member_of(type_id, tail)?;
                Some(Member { offset: found.offset + inner.offset, ..inner })
            }
        }
    }

    fn direct_member(&self, id: u32, name: &str, depth: u32) -> Option<(Member, u32)> {
        let (_, ty) = self.resolve(id)?;
        if !matches!(ty.kind, BtfKind::Struct | BtfKind::Union) || depth > 16 {
            return None;
        }
        for index in 0..ty.vlen {
            let at = ty.position + index * 12;
            let (member_name, type_id, raw) = (self.word(at), self.word(at + 4), self.word(at + 8));
            let (bit_offset, bits) = if ty.kind_flag { (raw & 0xff_ffff, raw >> 24) } else { (raw, 0) };
            if member_name == 0 {
                if let Some((inner, type_id)) = self.direct_member(type_id, name, depth + 1) {
                    let offset = inner.offset + bit_offset / 8;
                    return Some((Member { offset, ..inner }, type_id));
                }
            } else if self.string(member_name) == name {
                let bitfield = (bits != 0).then_some(((bit_offset % 8) as u8, bits as u8));
                let member = Member { offset: bit_offset / 8, size: self.size_of(type_id), bitfield };
                return Some((member, type_id));
            }
        }
        None
    }

    /// Does the kernel have this function (`bpf_...` or `tcp_...`), not inlined everywhere?
    pub fn has_function(&self, name: &str) -> bool {
        self.named(BtfKind::Func, name).is_some()
    }

    /// What stands for a tracepoint; `None` if the kernel has no such.
    pub fn tracepoint_type(&self, name: &str) -> Option<TypeId> {
        self.type_id(BtfKind::Typedef, &format!("btf_trace_{name}"))
    }

    /// What stands for a function of the BPF subsystem or of TCP; `None` if the kernel has no such.
    pub fn function_type(&self, name: &str) -> Option<TypeId> {
        self.type_id(BtfKind::Func, name)
    }

    pub(super) fn type_id(&self, kind: BtfKind, name: &str) -> Option<TypeId> {
        self.named(kind, name).map(|id| TypeId { name: name.to_owned(), kind, id })
    }

    /// How many arguments a tracepoint passes; `None` if the kernel has no such tracepoint.
    ///
    /// `btf_trace_<name>` is a typedef of a pointer to the probe's prototype, whose first parameter is the
    /// probe's private data.
    pub fn tracepoint_args(&self, name: &str) -> Option<usize> {
        let id = self.named(BtfKind::Typedef, &format!("btf_trace_{name}"))?;
        let (_, pointer) = self.resolve(id)?;
        let (_, proto) = self.resolve(pointer.size_or_type)?;
        (pointer.kind == BtfKind::Ptr && proto.kind == BtfKind::FuncProto)
            .then(|| proto.vlen.saturating_sub(1))
    }

    /// The numbers of an enum by name, without a common prefix: `SK_RST_REASON_TCP_STATE` -> `TCP_STATE`.
    pub fn enum_names(&self, name: &str, prefix: &str) -> HashMap<u32, String> {
        let Some(ty) = self.named(BtfKind::Enum, name).and_then(|id| self.type_of(id)) else {
            return HashMap::new();
        };
        (0..ty.vlen)
            .map(|index| {
                let at = ty.position + index * 8;
                let label = self.string(self.word(at));
                (self.word(at + 4), label.strip_prefix(prefix).unwrap_or(label).to_owned())
            })
            .collect()
    }
}

fn kind_of(info: u32) -> BtfKind {
    BtfKind::try_from((info >> 24) & 0x1f).unwrap_or(BtfKind::Unknown)
}

/// Kinds that are ever asked for by name.
fn is_named(kind: BtfKind) -> bool {
    matches!(kind, BtfKind::Struct | BtfKind::Typedef | BtfKind::Enum | BtfKind::Enum64 | BtfKind::Func)
}

fn kind_prefix(kind: BtfKind) -> char {
    match kind {
        BtfKind::Struct => 's',
        BtfKind::Typedef => 't',
        BtfKind::Func => 'f',
        _ => 'e',
    }
}

fn read_u32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*data.get(at..)?.first_chunk()?))
}
