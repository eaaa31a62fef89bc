//! Where the running kernel has a field.

/// A field's offset, width and, for a bitfield, position: what the loader found, packed into a load-time constant.
///
/// Bits 0..16 byte offset, 16..20 width in bytes (0: absent), 20..24 shift, 24..32 mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Location(pub u32);

impl Location {
    /// The field does not exist on this kernel.
    pub const ABSENT: Location = Location(0);

    /// A bitfield that does not exist on this kernel: of all ones, everything is kept.
    pub const ABSENT_BITS: Location = Location(0xff << 24);

    /// A whole field of `width` bytes.
    pub const fn whole(offset: u16, width: u8) -> Location {
        Location(offset as u32 | ((width as u32 & 0xf) << 16))
    }

    /// A bitfield of `bits` bits, `shift` bits into the byte at `offset`.
    pub const fn bits(offset: u16, shift: u8, bits: u8) -> Location {
        let mask = (1u32 << (bits as u32 & 0xf)) - 1;
        Location(offset as u32 | (1 << 16) | ((shift as u32 & 7) << 20) | ((mask & 0xff) << 24))
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

    /// Does this kernel have the field?
    #[inline(always)]
    pub const fn exists(self) -> bool {
        self.width() != 0
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
