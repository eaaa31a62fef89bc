//! Direct loads at offsets that the verifier knows: it keeps the pointer's BTF type, checks each access
//! against the kernel's own description, and turns a fault into zero.

use tcpretrans_ebpf::Place;

/// Loads a `T` at `place`, which must exist and be that wide.
///
/// # Safety
/// `base` must be a pointer whose BTF type the verifier knows.
#[inline(always)]
pub unsafe fn fixed<T: Copy>(base: *const u8, place: Place) -> T {
    unsafe { base.wrapping_add(place.offset()).cast::<T>().read_volatile() }
}

/// As [`fixed`], or `absent` where this kernel has no such field.
///
/// # Safety
/// As [`fixed`].
#[inline(always)]
pub unsafe fn optional<T: Copy>(base: *const u8, place: Place, absent: T) -> T {
    if place.width() == 0 { absent } else { unsafe { fixed(base, place) } }
}

/// One byte or four, by the kernel's own width; all ones if absent.
///
/// # Safety
/// As [`fixed`].
#[inline(always)]
pub unsafe fn narrow(base: *const u8, place: Place) -> u32 {
    match place.width() {
        1 => u32::from(unsafe { fixed::<u8>(base, place) }),
        4 => unsafe { fixed::<u32>(base, place) },
        _ => u32::MAX,
    }
}

/// A bitfield within one byte; all ones if absent.
///
/// # Safety
/// As [`fixed`].
#[inline(always)]
pub unsafe fn bits(base: *const u8, place: Place) -> u8 {
    if place.width() == 0 {
        return u8::MAX;
    }
    let byte = u32::from(unsafe { fixed::<u8>(base, place) });
    ((byte >> place.shift()) & place.mask()) as u8
}

/// Follows a pointer field; null if absent.
///
/// # Safety
/// As [`fixed`].
#[inline(always)]
pub unsafe fn pointer(base: *const u8, place: Place) -> *const u8 {
    if place.width() == 0 { core::ptr::null() } else { unsafe { fixed(base, place) } }
}
