//! Direct loads. The verifier keeps the pointer's BTF type, checks each access against the kernel's own description,
//! and turns a fault into zero. The offsets are stand-ins that the loader replaces ([`tcpretrans_ebpf::spot`]); a load
//! of a field that this kernel does not have becomes a constant, all ones.

use tcpretrans_ebpf::{Place, Spot};

/// Loads a `T` at `spot`. It must be that wide there, or be absent.
///
/// # Safety
/// `base` must be a pointer whose BTF type the verifier knows.
#[inline(always)]
pub unsafe fn fixed<T: Copy>(base: *const u8, spot: Spot) -> T {
    // Volatile, and not one instruction more: the loader rewrites each on its own.
    unsafe { base.wrapping_add(spot.stand_in()).cast::<T>().read_volatile() }
}

/// One byte or four, by the kernel's own width: the loader makes it a load of that width.
///
/// # Safety
/// As [`fixed`].
#[inline(always)]
pub unsafe fn narrow(base: *const u8, spot: Spot) -> u32 {
    unsafe { fixed::<u32>(base, spot) }
}

/// A bitfield within one byte; `place` is where in it.
///
/// # Safety
/// As [`fixed`].
#[inline(always)]
pub unsafe fn bits(base: *const u8, spot: Spot, place: Place) -> u8 {
    let byte = u32::from(unsafe { fixed::<u8>(base, spot) });
    ((byte >> place.shift()) & place.mask()) as u8
}

/// Follows a pointer field, which must not be absent.
///
/// # Safety
/// As [`fixed`].
#[inline(always)]
pub unsafe fn pointer(base: *const u8, spot: Spot) -> *const u8 {
    unsafe { fixed(base, spot) }
}
