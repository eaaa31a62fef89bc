//! How a record's fields are read from bytes, named and set.

#[cfg(not(target_arch = "bpf"))]
use crate::Record;

/// Reads a record's fields in order. The length was checked before, so each read is in bounds.
pub(crate) struct Cursor<'a> {
    pub(crate) rest: &'a [u8],
}

// Two of the three serve recordings, which the kernel side does not make.
#[cfg_attr(target_arch = "bpf", allow(dead_code))]
pub(crate) trait WireField: Sized {
    fn read(cursor: &mut Cursor<'_>) -> Self;

    /// Tells of every number in `self` that is another one in `base`.
    fn differences(&self, base: &Self, name: &'static str, visit: &mut impl FnMut(&'static str, i128));

    /// Sets the number of that name, if it is here and takes the value; `own` is this field's name.
    fn assign(&mut self, own: &'static str, name: &str, value: i128) -> bool;

    /// Shows the numbers in it, in the order of the wire. It is called `own` and begins at `offset`.
    #[cfg(not(target_arch = "bpf"))]
    fn numbers(own: &'static str, offset: usize, visit: &mut impl FnMut(Number));
}

macro_rules! wire_integers {
    ($($ty:ty),*) => {$(
        impl WireField for $ty {
            fn read(cursor: &mut Cursor<'_>) -> Self {
                match cursor.rest.split_first_chunk() {
                    Some((bytes, rest)) => {
                        cursor.rest = rest;
                        <$ty>::from_ne_bytes(*bytes)
                    }
                    None => 0,
                }
            }

            #[inline(always)]
            fn differences(
                &self,
                base: &Self,
                name: &'static str,
                visit: &mut impl FnMut(&'static str, i128),
            ) {
                if self != base {
                    visit(name, i128::from(*self));
                }
            }

            fn assign(&mut self, own: &'static str, name: &str, value: i128) -> bool {
                match <$ty>::try_from(value) {
                    Ok(value) if own == name => {
                        *self = value;
                        true
                    }
                    _ => false,
                }
            }

            #[cfg(not(target_arch = "bpf"))]
            fn numbers(own: &'static str, offset: usize, visit: &mut impl FnMut(Number)) {
                visit(Number { name: own, offset, width: size_of::<$ty>(), signed: <$ty>::MIN != 0 });
            }
        }
    )*};
}
wire_integers!(u8, u16, u32, i32, u64);

impl<const N: usize> WireField for [u8; N] {
    fn read(cursor: &mut Cursor<'_>) -> Self {
        match cursor.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                cursor.rest = rest;
                *bytes
            }
            None => [0; N],
        }
    }

    fn differences(&self, _: &Self, _: &'static str, _: &mut impl FnMut(&'static str, i128)) {}

    fn assign(&mut self, _: &'static str, _: &str, _: i128) -> bool {
        false
    }

    #[cfg(not(target_arch = "bpf"))]
    fn numbers(_: &'static str, _: usize, _: &mut impl FnMut(Number)) {}
}

macro_rules! wire_struct {
    ($(#[$meta:meta])* $struct:ident { $($(#[$doc:meta])* $name:ident: $ty:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct $struct { $($(#[$doc])* pub $name: $ty,)* }

        impl $crate::wire::WireField for $struct {
            fn read(cursor: &mut $crate::wire::Cursor<'_>) -> Self {
                Self { $($name: <$ty>::read(cursor),)* }
            }

            fn differences(
                &self,
                base: &Self,
                _: &'static str,
                visit: &mut impl FnMut(&'static str, i128),
            ) {
                $(self.$name.differences(&base.$name, stringify!($name), visit);)*
            }

            fn assign(&mut self, _: &'static str, name: &str, value: i128) -> bool {
                $(self.$name.assign(stringify!($name), name, value))||*
            }

            #[cfg(not(target_arch = "bpf"))]
            fn numbers(_: &'static str, offset: usize, visit: &mut impl FnMut($crate::wire::Number)) {
                $(<$ty>::numbers(stringify!($name), offset + core::mem::offset_of!(Self, $name), visit);)*
            }
        }

        // No padding: uninitialised bytes would reach userspace, and the verifier of old kernels refuses them.
        const _: () = assert!(size_of::<$struct>() == 0 $(+ size_of::<$ty>())*);
    };
}
pub(crate) use wire_struct;

/// One of the numbers that a record has, and where.
#[cfg(not(target_arch = "bpf"))]
#[derive(Clone, Copy, Debug)]
pub struct Number {
    /// As [`Record::differences`] tells it.
    pub name: &'static str,
    offset: usize,
    width: usize,
    signed: bool,
}

#[cfg(not(target_arch = "bpf"))]
impl Number {
    /// Sets it. False: the value does not fit; then nothing changes.
    pub fn store(&self, record: &mut Record, value: i128) -> bool {
        let bytes = match (self.width, self.signed) {
            (1, false) => u8::try_from(value).map(u64::from),
            (2, false) => u16::try_from(value).map(u64::from),
            (4, false) => u32::try_from(value).map(u64::from),
            (4, true) => i32::try_from(value).map(|value| u64::from(value as u32)),
            (8, false) => u64::try_from(value),
            _ => return false,
        };
        let Ok(bytes) = bytes else { return false };
        // SAFETY: a record is integers and arrays of them without padding (asserted where it is defined), so any
        // bytes are a record, and all of its bytes are initialised.
        let all = unsafe { &mut *core::ptr::from_mut(record).cast::<[u8; Record::SIZE]>() };
        let Some(place) = all.get_mut(self.offset..self.offset + self.width) else { return false };
        match place {
            [one] => *one = bytes as u8,
            place if place.len() == 2 => place.copy_from_slice(&(bytes as u16).to_ne_bytes()),
            place if place.len() == 4 => place.copy_from_slice(&(bytes as u32).to_ne_bytes()),
            place => place.copy_from_slice(&bytes.to_ne_bytes()),
        }
        true
    }
}
