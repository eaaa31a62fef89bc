//! How events stand in JSON. Each event's fields are defined once, by [`object!`]; from there come the struct, both
//! directions of its JSON form, the order and the names that `docs/events.md` is checked against, a sample, and any
//! values of it for the tests. [`names!`] does the same for enumerations.
//!
//! Written by hand and not by serde's derive, because a time needs the clock of the trace to be written, and because
//! it is faster: the names of fields need no escaping, which serde_json looks for in each of their letters. Reading
//! goes through serde: any JSON of that meaning is read, however it is laid out.

pub(super) mod definition;
mod error;
mod forms;
mod names;
mod timestamp;
mod values;

use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    marker::PhantomData,
};

pub(super) use definition::{in_lines_as, object};
pub use error::DecodeError;
pub(crate) use forms::{
    Errno, Hertz, OrEmpty, SchemaNumber, Signal, State, Tracepoint, WallClock, ZeroIsNull,
};
pub(super) use names::names;
#[cfg(test)]
use proptest::strategy::BoxedStrategy;
use serde::{
    Deserializer, Serialize,
    de::{DeserializeSeed, Error, MapAccess, Visitor},
};
use tcpretrans_ebpf::Record;
pub use timestamp::Timestamp;
pub(crate) use values::Key;

use super::Clock;

/// The version of this schema: `schema` of `start`.
pub(crate) const SCHEMA: u32 = 1;

/// A line that is being written.
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    /// What there is of it.
    pub line: &'a mut Vec<u8>,
    /// The trace's, for times.
    pub clock: Clock,
}

impl Writing<'_> {
    /// Writes what serde knows how to write.
    pub(crate) fn plain(&mut self, value: &(impl Serialize + ?Sized)) {
        // Cannot fail: memory takes everything, and the values are numbers, texts and lists of them.
        let _ = serde_json::to_writer(&mut *self.line, value);
    }

    /// Writes what needs no escaping: names of fields with what is around them, digits.
    pub(crate) fn raw(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
    }

    /// Writes a text that needs no escaping.
    pub(crate) fn name(&mut self, name: &str) {
        self.raw("\"");
        self.raw(name);
        self.raw("\"");
    }
}

/// A line that is being read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The clock by which it was written.
    pub clock: Clock,
    field: Cell<&'static str>,
    wrong: RefCell<Option<DecodeError>>,
}

impl Reading {
    /// Of a line that was written by this clock.
    pub(crate) fn new(clock: Clock) -> Reading {
        Reading { clock, field: Cell::new(""), wrong: RefCell::new(None) }
    }

    /// What the field holds cannot be: `why` takes its name.
    pub(crate) fn wrong<E: Error>(&self, why: impl FnOnce(&'static str) -> DecodeError) -> E {
        let why = why(self.field.get());
        let error = E::custom(&why);
        self.wrong.replace(Some(why));
        error
    }

    /// What was wrong with the line: what [`Reading::wrong`] was told, or else what the JSON reader says.
    pub(crate) fn error(self, error: serde_json::Error) -> DecodeError {
        self.wrong.into_inner().unwrap_or(DecodeError::Json(error))
    }

    /// Reads a text that stands for something; `None`: it stands for nothing known.
    ///
    /// # Errors
    /// No text, or nothing known.
    pub(crate) fn text<'de, D: Deserializer<'de>, T>(
        &self,
        value: D,
        known: impl Fn(&str) -> Option<T>,
    ) -> Result<T, D::Error> {
        struct Text<'a, F>(&'a Reading, F);
        impl<T, F: Fn(&str) -> Option<T>> Visitor<'_> for Text<'_, F> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
                let unknown = |field| DecodeError::UnknownName { field, name: text.to_owned() };
                (self.1)(text).ok_or_else(|| self.0.wrong(unknown))
            }
        }
        value.deserialize_str(Text(self, known))
    }
}

/// A type that has one form in JSON.
pub(crate) trait Value: Sized + Debug + 'static {
    /// What it is made of, for the documentation's test.
    const SHAPE: Shape = Shape::Plain;

    /// Appends it.
    fn write(&self, out: &mut Writing<'_>);

    /// Reads it.
    ///
    /// # Errors
    /// It is something else.
    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<Self, D::Error>;

    /// What it is if the line does not have it; `None`: the line has to.
    fn missing() -> Option<Self> {
        None
    }

    /// Any value that an event may have.
    #[cfg(test)]
    fn any() -> BoxedStrategy<Self>;
}

/// One of the forms that a `T` may have in JSON: `state: u8 as State` is a number in the event and a name in the line.
/// The functions are those of [`Value`].
pub(crate) trait Form<T> {
    /// [`Value::SHAPE`]
    const SHAPE: Shape = Shape::Plain;

    /// [`Value::write`]
    fn write(value: &T, out: &mut Writing<'_>);

    /// [`Value::read`]
    ///
    /// # Errors
    /// It is something else.
    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<T, D::Error>;

    /// [`Value::missing`]
    fn missing() -> Option<T> {
        None
    }

    /// [`Value::any`]
    #[cfg(test)]
    fn any() -> BoxedStrategy<T>;
}

/// The form that the type itself has.
#[derive(Debug)]
pub(crate) struct Own;

impl<T: Value> Form<T> for Own {
    const SHAPE: Shape = T::SHAPE;

    fn write(value: &T, out: &mut Writing<'_>) {
        value.write(out);
    }

    fn read<'de, D: Deserializer<'de>>(value: D, line: &Reading) -> Result<T, D::Error> {
        T::read(value, line)
    }

    fn missing() -> Option<T> {
        T::missing()
    }

    #[cfg(test)]
    fn any() -> BoxedStrategy<T> {
        T::any()
    }
}

/// What a value is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A number, a text, a time, a list.
    Plain,
    /// One of these names.
    Names(&'static [&'static str]),
    /// An object of these fields.
    Object(&'static [Field]),
}

/// A field of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    /// As it stands in the line.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
}

/// A struct whose fields are an object's; [`object!`] implements it, and [`Value`] with it.
pub(crate) trait Object: Sized {
    /// In the order in which they are written.
    const FIELDS: &'static [Field];

    /// Appends the fields, each with a comma in front.
    fn write_fields(&self, out: &mut Writing<'_>);

    /// Reads the fields, and skips those of a newer version.
    ///
    /// # Errors
    /// A field is missing, there twice, or not what it should be.
    fn read_fields<'de, A: MapAccess<'de>>(map: A, line: &Reading) -> Result<Self, A::Error>;

    /// The record that it was made of, if it has it.
    fn record(&self) -> Option<&Record> {
        None
    }

    /// The place of that record.
    fn record_mut(&mut self) -> Option<&mut Record> {
        None
    }

    /// One as it may occur.
    #[cfg(test)]
    fn sample() -> Self;

    /// Any one that an event may have.
    #[cfg(test)]
    fn any() -> BoxedStrategy<Self>;
}

/// Writes an object.
pub(super) fn write_object(object: &impl Object, out: &mut Writing<'_>) {
    let start = out.line.len();
    object.write_fields(out);
    // In the place of the first comma.
    if let Some(first) = out.line.get_mut(start) {
        *first = b'{';
    }
    out.raw("}");
}

/// Reads an object.
pub(super) fn read_object<'de, T: Object, D: Deserializer<'de>>(
    value: D,
    line: &Reading,
) -> Result<T, D::Error> {
    struct Fields<'a, T>(&'a Reading, PhantomData<T>);
    impl<'de, T: Object> Visitor<'de> for Fields<'_, T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::read_fields(map, self.0)
        }
    }
    value.deserialize_map(Fields(line, PhantomData))
}

/// Reads a field's name: its place in the list, or none.
pub(super) struct FieldName {
    pub fields: &'static [Field],
    /// Lines have the fields in our order: it is mostly this one.
    pub expected: usize,
}

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Option<usize>, D::Error> {
        name.deserialize_identifier(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        if self.fields.get(self.expected).is_some_and(|field| field.name == name) {
            return Ok(Some(self.expected));
        }
        Ok(self.fields.iter().position(|field| field.name == name))
    }
}

/// Reads a value in the form `F`.
pub(super) struct InForm<'a, F, T>(&'a Reading, PhantomData<(F, T)>);

impl<'a, F: Form<T>, T> InForm<'a, F, T> {
    pub(super) fn new(line: &'a Reading) -> Self {
        InForm(line, PhantomData)
    }
}

impl<'de, F: Form<T>, T> DeserializeSeed<'de> for InForm<'_, F, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<T, D::Error> {
        F::read(value, self.0)
    }
}

/// Reads the value of a field into its place.
pub(super) fn read_field<'de, F: Form<T>, T, A: MapAccess<'de>>(
    map: &mut A,
    name: &'static str,
    place: &mut Option<T>,
    line: &Reading,
) -> Result<(), A::Error> {
    if place.is_some() {
        return Err(Error::duplicate_field(name));
    }
    line.field.set(name);
    *place = Some(map.next_value_seed(InForm::<F, T>::new(line))?);
    Ok(())
}

/// What a field holds when all have been read.
pub(super) fn taken<F: Form<T>, T, E: Error>(name: &'static str, place: Option<T>) -> Result<T, E> {
    place.or_else(F::missing).ok_or_else(|| Error::missing_field(name))
}
