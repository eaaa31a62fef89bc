//! Placeholders of offsets: the programs are compiled with loads at offsets that no kernel structure has, and the
//! loader puts the running kernel's own in their place, one instruction each.
//!
//! An offset that a program reads from a global at each event costs four instructions and a cache line; one that
//! stands in the instruction costs nothing. (This is what CO-RE relocations are to C; Rust emits none.)

use crate::Field;

/// Beyond everything that the programs address: records, map values, the stack, prototypes' arguments.
const FIRST: usize = 0x4000;
/// An instruction's offset is an `i16`.
const END: usize = 0x8000;
/// A wide field is read piecewise: so many bytes from its beginning.
const STRIDE: usize = 16;

const _: () = assert!(Field::COUNT * STRIDE <= END - FIRST);

impl Field {
    /// The offset that stands for this field's.
    #[inline(always)]
    pub const fn placeholder(self) -> usize {
        FIRST + self as usize * STRIDE
    }
}

/// What an instruction's offset is a placeholder of: the field's number in [`Field::ALL`], and the bytes beyond the
/// field's beginning. `None`: it is an offset of its own.
pub const fn resolve(offset: i16) -> Option<(usize, u16)> {
    if (offset as i32) < FIRST as i32 {
        return None;
    }
    let distance = offset as usize - FIRST;
    Some((distance / STRIDE, (distance % STRIDE) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_placeholder_leads_back() {
        for (number, &field) in Field::ALL.iter().enumerate() {
            assert_eq!(number, field as usize);
            for beyond in [0, 4, 8, 12] {
                let offset = i16::try_from(field.placeholder() + beyond).expect("fits an instruction");
                assert_eq!(resolve(offset), Some((number, beyond as u16)));
            }
        }
        for ordinary in [-512, -8, 0, 464, 0x2000, 0x3fff] {
            assert_eq!(resolve(ordinary), None, "{ordinary}");
        }
    }
}
