//! Forms of values that are one thing in an event and another in its line.

#[cfg(test)]
use proptest::prelude::*;
use serde::{Deserialize, Deserializer};
use tcpretrans_ebpf::Kind;

use super::{DecodeError, Form, Reading, SCHEMA, Timestamp, Value, Writing};
use crate::words::{errno, signal, state_name};

/// A monotonic time, ns, as the time of the wall clock.
#[derive(Debug)]
pub(crate) struct WallClock;

impl Form<u64> for WallClock {
    fn write(mono_ns: &u64, out: &mut Writing<'_>) {
        let time = Timestamp { wall_ns: out.clock.wall_ns(*mono_ns) };
        out.plain(&time);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<u64, D::Error> {
        Timestamp::deserialize(value).map(|time| line.clock.mono_ns(time.wall_ns))
    }

    /// Times that have a date: some 36 years of uptime.
    #[cfg(test)]
    fn any() -> BoxedStrategy<u64> {
        (0..1_u64 << 60).boxed()
    }
}

/// A number of the kernel's by its name; the number itself, as text, where it has none.
macro_rules! named_numbers {
    ($($(#[$doc:meta])* $form:ident: $type:ty = $words:ident, $any:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $form;

        impl Form<$type> for $form {
            fn write(number: &$type, out: &mut Writing<'_>) {
                out.name(&$words::name(*number));
            }

            fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<$type, D::Error> {
                line.text(value, $words::number)
            }

            #[cfg(test)]
            fn any() -> BoxedStrategy<$type> {
                $any.boxed()
            }
        }
    )*};
}
named_numbers! {
    /// A TCP state (`tcpretrans_ebpf::tcp_state`), such as `ESTABLISHED`.
    State: u8 = state_name, any::<u8>();
    /// An errno, such as `ETIMEDOUT`.
    Errno: i32 = errno, 1..600_i32;
    /// A signal, such as `SIGKILL`.
    Signal: u8 = signal, 1..128_u8;
}

/// The kernel's name of the tracepoint that a record comes from.
#[derive(Debug)]
pub(crate) struct Tracepoint;

impl Form<Kind> for Tracepoint {
    fn write(kind: &Kind, out: &mut Writing<'_>) {
        out.name(kind.name());
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Kind, D::Error> {
        line.text(value, |text| Kind::ALL.into_iter().find(|kind| kind.name() == text))
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<Kind> {
        proptest::sample::select(&Kind::ALL[..]).boxed()
    }
}

/// A number that is 0 where it is unknown, and `null` in the line.
#[derive(Debug)]
pub(crate) struct ZeroIsNull;

impl Form<u32> for ZeroIsNull {
    fn write(number: &u32, out: &mut Writing<'_>) {
        (*number != 0).then_some(*number).write(out);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, _: &Reading) -> Result<u32, D::Error> {
        Option::deserialize(value).map(Option::unwrap_or_default)
    }

    fn missing() -> Option<u32> {
        Some(0)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<u32> {
        any::<u32>().boxed()
    }
}

/// What recordings of older versions lack is as if it were empty, or 0.
#[derive(Debug)]
pub(crate) struct OrEmpty;

impl<T: Value + Default> Form<T> for OrEmpty {
    const SHAPE: super::Shape = T::SHAPE;

    fn write(value: &T, out: &mut Writing<'_>) {
        value.write(out);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<T, D::Error> {
        T::read(value, line)
    }

    fn missing() -> Option<T> {
        Some(T::default())
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<T> {
        T::any()
    }
}

/// Timer ticks a second. `CONFIG_HZ` ends at 1000 but on old Alphas (1024); what is far from it would make times
/// nonsense, or divide by zero.
#[derive(Debug)]
pub(crate) struct Hertz;

impl Form<u32> for Hertz {
    fn write(hz: &u32, out: &mut Writing<'_>) {
        hz.write(out);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<u32, D::Error> {
        match u32::deserialize(value)? {
            hz @ 1..=10_000 => Ok(hz),
            hz => Err(line.wrong(|field| DecodeError::Impossible { field, value: hz.into() })),
        }
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<u32> {
        (1..=10_000_u32).boxed()
    }
}

/// The schema of the lines that follow.
#[derive(Debug)]
pub(crate) struct SchemaNumber;

impl Form<u32> for SchemaNumber {
    fn write(schema: &u32, out: &mut Writing<'_>) {
        schema.write(out);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<u32, D::Error> {
        let schema = u32::deserialize(value)?;
        if schema > SCHEMA {
            return Err(line.wrong(|_| DecodeError::NewerSchema(schema)));
        }
        Ok(schema)
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<u32> {
        Just(SCHEMA).boxed()
    }
}
