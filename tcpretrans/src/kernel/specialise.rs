//! Puts the running kernel's offsets into the programs' load instructions (see [`tcpretrans_ebpf::placeholder`]), before the
//! kernel sees them.

use object::{Object as _, ObjectSection as _, SectionFlags, elf::SHF_EXECINSTR};
use tcpretrans_ebpf::{Field, Form, placeholder};

use super::features::Features;

/// Bytes of an instruction (`struct bpf_insn`: opcode, registers, offset, immediate value).
const INSTRUCTION: usize = 8;
/// `BPF_LD | BPF_IMM | BPF_DW`, which takes the place of two.
const LOAD_WIDE_CONSTANT: u8 = 0x18;
/// `BPF_LDX | BPF_MEM`, but for the width.
const LOAD: u8 = 0x61;
const WIDTH_MASK: u8 = 0x18;
const WIDTH_1: u8 = 0x10;
const WIDTH_4: u8 = 0x00;
/// `BPF_ALU64 | BPF_MOV | BPF_K`
const SET_CONSTANT: u8 = 0xb7;
/// `BPF_ALU64 | BPF_ADD | BPF_K`
const ADD_CONSTANT: u8 = 0x07;

/// Why the object is not the one that these sources make.
#[derive(Debug, thiserror::Error)]
pub enum SpecialiseError {
    /// No ELF file.
    #[error("it cannot be read: {0}")]
    Elf(#[from] object::Error),
    /// The compiler took a placeholder for a number to compute with.
    #[error("instruction {at} has a field's placeholder as a number")]
    Computed {
        /// Which instruction of its section.
        at: usize,
    },
    /// A placeholder of nothing.
    #[error("an instruction loads the field with number {number}, and there is none")]
    Field {
        /// Its number.
        number: usize,
    },
}

/// The object with this kernel's offsets.
///
/// # Errors
/// [`SpecialiseError`] if the object was not built from these sources.
pub(super) fn specialise(object: &[u8], features: &Features) -> Result<Vec<u8>, SpecialiseError> {
    let mut specialised = object.to_vec();
    let file = object::File::parse(object)?;
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        let Some((start, len)) = section.file_range() else { continue };
        if sh_flags & u64::from(SHF_EXECINSTR) == 0 {
            continue;
        }
        if let Some(code) = specialised.get_mut(start as usize..(start + len) as usize) {
            rewrite(code, features)?;
        }
    }
    Ok(specialised)
}

fn rewrite(code: &mut [u8], features: &Features) -> Result<(), SpecialiseError> {
    let mut wide = false;
    for (at, instruction) in code.chunks_exact_mut(INSTRUCTION).enumerate() {
        // The second half of a wide constant is no instruction.
        if wide {
            wide = false;
            continue;
        }
        wide = instruction[0] == LOAD_WIDE_CONSTANT;
        if instruction[0] & !WIDTH_MASK != LOAD {
            if computes_with_placeholder(instruction) {
                return Err(SpecialiseError::Computed { at });
            }
            continue;
        }
        let offset = i16::from_ne_bytes([instruction[2], instruction[3]]);
        let Some((number, beyond)) = placeholder::resolve(offset) else { continue };
        let field = *Field::ALL.get(number).ok_or(SpecialiseError::Field { number })?;
        let location = features.location(field);
        if !location.exists() {
            instruction[0] = SET_CONSTANT;
            instruction[1] &= 0x0f;
            instruction[2..4].fill(0);
            instruction[4..].fill(0xff);
            continue;
        }
        if field.form() == Form::Narrow {
            let width = if location.width() == 1 { WIDTH_1 } else { WIDTH_4 };
            instruction[0] = LOAD | width;
        }
        let offset = location.offset() as u16 + beyond;
        instruction[2..4].copy_from_slice(&offset.to_ne_bytes());
    }
    Ok(())
}

/// An addition or a constant of arithmetic on addresses (`BPF_ALU64`) that a placeholder might have become.
fn computes_with_placeholder(instruction: &[u8]) -> bool {
    let value = i32::from_ne_bytes([instruction[4], instruction[5], instruction[6], instruction[7]]);
    matches!(instruction[0], ADD_CONSTANT | SET_CONSTANT)
        && i16::try_from(value).is_ok_and(|value| placeholder::resolve(value).is_some())
}

#[cfg(test)]
mod tests {
    use tcpretrans_ebpf::Location;

    use super::*;

    fn features(narrow_width: u8) -> Features {
        let locations = Field::ALL.iter().map(|&field| match field.form() {
            Form::Fixed(width) => Location::whole(offset_of(field), width),
            Form::Narrow => Location::whole(offset_of(field), narrow_width),
            Form::Bits => Location::bits(offset_of(field), 2, 3),
            Form::Optional(_) => Location::ABSENT,
        });
        Features { locations: locations.collect(), ..Features::none() }
    }

    fn offset_of(field: Field) -> u16 {
        1000 + field as u16
    }

    /// `r3 = *(u32 *)(r7 + ...)`
    fn load_u32(field: Field) -> [u8; 8] {
        load_at(field.placeholder())
    }

    fn load_at(offset: usize) -> [u8; 8] {
        let [low, high] = (offset as u16).to_ne_bytes();
        [LOAD, 0x73, low, high, 0, 0, 0, 0]
    }

    fn rewritten(mut code: Vec<u8>, features: &Features) -> Vec<u8> {
        rewrite(&mut code, features).expect("rows");
        code
    }

    #[test]
    fn a_load_gets_its_kernels_offset() {
        let code = rewritten(load_u32(Field::snd_una).to_vec(), &features(1));
        let offset = offset_of(Field::snd_una);
        assert_eq!(code, [LOAD, 0x73, offset as u8, (offset >> 8) as u8, 0, 0, 0, 0]);
    }

    #[test]
    fn a_narrow_load_gets_its_kernels_width() {
        assert_eq!(rewritten(load_u32(Field::tcp_retries2).to_vec(), &features(1))[0], LOAD | WIDTH_1);
        assert_eq!(rewritten(load_u32(Field::tcp_retries2).to_vec(), &features(4))[0], LOAD | WIDTH_4);
    }

    #[test]
    fn an_absent_field_is_all_ones() {
        let code = rewritten(load_u32(Field::icsk_rto_max).to_vec(), &features(1));
        assert_eq!(code, [SET_CONSTANT, 0x03, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn nothing_else_changes() {
        let load = load_u32(Field::snd_una);
        let wide_constant = [[LOAD_WIDE_CONSTANT, 1, 0, 0, 1, 2, 3, 4], load].concat();
        let store = [0x63, load[1], load[2], load[3], 0, 0, 0, 0];
        let ordinary = [LOAD, 0x73, 0x10, 0x01, 0, 0, 0, 0];
        let code = [wide_constant, store.to_vec(), ordinary.to_vec()].concat();
        assert_eq!(rewritten(code.clone(), &features(1)), code);
    }

    #[test]
    fn a_placeholder_that_is_computed_with_is_an_error() {
        let placeholder = Field::skc_rcv_saddr.placeholder() as i32;
        for opcode in [SET_CONSTANT, ADD_CONSTANT] {
            let code = [[opcode, 1, 0, 0], placeholder.to_ne_bytes()].concat();
            assert!(rewrite(&mut code.clone(), &features(1)).is_err(), "{opcode:#x}");
        }
        assert_eq!(rewritten([[0x07, 1, 0, 0], [8, 0, 0, 0]].concat(), &features(1))[4], 8);
    }

    #[test]
    fn a_field_that_is_none_is_an_error() {
        let beyond_the_last = Field::ALL[Field::COUNT - 1].placeholder() + 16;
        let error = rewrite(&mut load_at(beyond_the_last), &features(1)).expect_err("no field");
        assert!(error.to_string().contains(&format!("number {}", Field::COUNT)), "{error}");
    }
}
