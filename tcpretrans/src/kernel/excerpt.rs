//! As much of the kernel's BTF as aya asks for when it loads programs.
//!
//! A program is loaded with the number of the type that stands for its tracepoint. aya looks it up by name, and
//! for that reads all of the kernel's types into memory: some 150,000, 30 ms and 30 MB. The numbers are known already
//! ([`super::btf`] has found them), so aya is given types that are nameless but for those few.

use aya_obj::btf::BtfKind;

use super::btf::TypeId;

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
const HEADER_LEN: u32 = 24;

/// BTF in which these types have their names and numbers.
pub(super) fn excerpt(types: &[TypeId]) -> Vec<u8> {
    let count = types.iter().map(|ty| ty.id).max().unwrap_or(0);
    // A forward declaration is the smallest type there is.
    let mut section: Vec<u32> = [0, (BtfKind::Fwd as u32) << 24, 0].repeat(count as usize);
    let mut strings = vec![0];
    for ty in types {
        // Numbers begin at 1: 0 is void.
        let at = (ty.id as usize - 1) * 3;
        section[at] = strings.len() as u32;
        section[at + 1] = (ty.kind as u32) << 24;
        strings.extend_from_slice(ty.name.as_bytes());
        strings.push(0);
    }
    let (types_len, strings_len) = (section.len() as u32 * 4, strings.len() as u32);
    let mut blob = Vec::with_capacity((HEADER_LEN + types_len + strings_len) as usize);
    blob.extend_from_slice(&MAGIC.to_ne_bytes());
    blob.extend_from_slice(&[VERSION, 0]);
    for word in [HEADER_LEN, 0, types_len, types_len, strings_len] {
        blob.extend_from_slice(&word.to_ne_bytes());
    }
    blob.extend(section.iter().flat_map(|word| word.to_ne_bytes()));
    blob.extend_from_slice(&strings);
    blob
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_numbers() {
        let types = [
            TypeId { name: "btf_trace_x".into(), kind: BtfKind::Typedef, id: 70_000 },
            TypeId { name: "bpf_iter_tcp".into(), kind: BtfKind::Func, id: 3 },
        ];
        let blob = excerpt(&types);
        let btf = super::super::btf::Btf::parse(blob.clone()).expect("BTF");
        for ty in &types {
            assert_eq!(btf.type_id(ty.kind, &ty.name).as_ref(), Some(ty));
        }
        aya::Btf::parse(&blob, aya::Endianness::default()).expect("aya reads it, too");
    }
}
