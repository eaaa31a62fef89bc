//! Reading the kernel's memory: by loads that the verifier checks, or by a helper where it knows no type.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use tcpretrans_ebpf::Field;

use super::settings;

/// Integers and arrays of them: whatever bytes the kernel has there are a value.
///
/// # Safety
/// Every pattern of bits must be a value.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($ty:ty),*) => {
        // SAFETY: integers, and an array of them.
        $(unsafe impl Plain for $ty {})*
    };
}
plain!(u8, u16, u32, u64, [u64; 2]);

/// An address of the kernel's whose BTF type the verifier knows: a tracepoint's argument, or a pointer that was loaded
/// through another. It keeps the type, checks each load against the kernel's own description, and turns a fault into
/// zero. The offsets are placeholders that the loader replaces ([`tcpretrans_ebpf::placeholder`]); a load of a field
/// that this kernel does not have becomes a constant, all ones.
#[derive(Clone, Copy)]
pub struct Typed(*const u8);

impl Typed {
    /// From an argument, or from what a helper gives.
    #[inline(always)]
    pub fn new(pointer: *const u8) -> Typed {
        Typed(pointer)
    }

    #[inline(always)]
    pub fn is_null(self) -> bool {
        self.0.is_null()
    }

    #[inline(always)]
    pub fn as_ptr(self) -> *const u8 {
        self.0
    }

    /// Loads a field, which must be as wide as `T`, or be absent.
    #[inline(always)]
    pub fn load<T: Plain>(self, field: Field) -> T {
        self.load_beyond(field, 0)
    }

    /// Loads a part of a field: `beyond` bytes from its beginning.
    #[inline(always)]
    pub fn load_beyond<T: Plain>(self, field: Field, beyond: usize) -> T {
        let address = self.0.wrapping_add(field.placeholder() + beyond).cast::<T>();
        // SAFETY: the verifier refuses the program unless it knows what `self` points to and that this is a field of it;
        // should the kernel have freed it meanwhile, the load gives zero. Volatile, and not one instruction more: the
        // loader rewrites each on its own.
        unsafe { address.read_volatile() }
    }

    /// One byte or four, by the kernel's own width: the loader makes it a load of that width.
    #[inline(always)]
    pub fn load_narrow(self, field: Field) -> u32 {
        self.load(field)
    }

    /// A bitfield within one byte.
    #[inline(always)]
    pub fn load_bits(self, field: Field) -> u8 {
        let location = settings::location(field);
        ((u32::from(self.load::<u8>(field)) >> location.shift()) & location.mask()) as u8
    }

    /// Follows a pointer, which must not be absent.
    #[inline(always)]
    pub fn follow(self, field: Field) -> Typed {
        let address = self.0.wrapping_add(field.placeholder()).cast::<*const u8>();
        // SAFETY: as in `load_beyond`; what it gives is used through the verifier's eyes again.
        Typed(unsafe { address.read_volatile() })
    }
}

/// Reads a field of what the verifier has no type for; zero if it cannot be read. A call for each: for rare paths.
#[inline(always)]
pub fn probe<T: Plain>(base: u64, field: Field) -> T {
    probe_beyond(base, field, 0)
}

/// Reads a part of such a field: `beyond` bytes from its beginning.
#[inline(always)]
pub fn probe_beyond<T: Plain>(base: u64, field: Field, beyond: usize) -> T {
    let address = base.wrapping_add((settings::location(field).offset() + beyond) as u64);
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: the helper writes as many bytes as there are, also where it fails, and takes any address.
    unsafe {
        bpf_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address as *const c_void);
        value.assume_init()
    }
}
