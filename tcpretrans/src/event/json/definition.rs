//! The definition of an object: its fields, once.

/// Defines a struct and its form in JSON. A field is
///
/// ```text
/// /// What it is, for whoever reads the event.
/// pub state("state"): u8 as State = tcp_state::ESTABLISHED,
/// ```
///
/// * `("state")`: its name in JSON, where that is not the struct's name for it;
/// * `as State`: its form in JSON ([`super::Form`]), where the type has more than one;
/// * `= ...`: an example, of which the tests' samples are made.
///
/// Further: `[written Self::f]` after the name: what stands in the line is what `f(&self, clock)` gives. `also name:
/// type = Self::f;` before the fields: it is in the line alone, `f(&self)` gives it, and reading checks and drops it.
/// `raw record = ...;` after them: the kernel's record, which has the line's `kernel` (see [`crate::form`]). `then f`
/// after the struct's name: `f(self, &Reading)` has the last word when one has been read.
///
/// An option may be missing in the line, which is how recordings of older versions lack what is new; what is no option
/// may be missing as [`super::OrEmpty`].
macro_rules! object {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(then $then:path)? {
            $(also $also:ident: $also_type:ty $(as $also_form:ty)? = $also_written:path;)*
            $(
                $(#[$doc:meta])*
                pub $field:ident $(($json:literal))? $([written $written:path])?: $type:ty $(as $form:ty)? = $sample:expr,
            )*
            $(raw $record:ident = $raw_sample:expr;)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$doc])* pub $field: $type,)*
            $(
                /// What the kernel said, whole.
                pub $record: tcpretrans_ebpf::Record,
            )?
        }

        $crate::event::json::definition::object_value!($name);

        impl $crate::event::json::Object for $name {
            const FIELDS: &'static [$crate::event::json::Field] = {
                use $crate::event::json::{Field, Form, definition::{form, name}};
                &[
                    $(Field { name: name!($also), shape: <form!($($also_form)?) as Form<$also_type>>::SHAPE },)*
                    $(Field { name: name!($field $($json)?), shape: <form!($($form)?) as Form<$type>>::SHAPE },)*
                ]
            };

            fn write_fields(&self, out: &mut $crate::event::json::Writing<'_>) {
                use $crate::event::json::{Form, definition::{form, name, value}};
                $(
                    out.raw(concat!(",\"", name!($also), "\":"));
                    <form!($($also_form)?) as Form<$also_type>>::write(&$also_written(self), out);
                )*
                $(
                    out.raw(concat!(",\"", name!($field $($json)?), "\":"));
                    <form!($($form)?) as Form<$type>>::write(&value!(self.$field, self, out $(, $written)?), out);
                )*
            }

            fn read_fields<'de, A: serde::de::MapAccess<'de>>(
                mut map: A,
                line: &$crate::event::json::Reading,
            ) -> Result<Self, A::Error> {
                use $crate::event::json::{FieldName, definition::{form, name}, read_field, taken};
                #[allow(non_camel_case_types, reason = "they are called as the fields")]
                enum Field { $($also,)* $($field,)* }
                const FIELDS: &[Field] = &[$(Field::$also,)* $(Field::$field,)*];
                $(let mut $also: Option<$also_type> = None;)*
                $(let mut $field: Option<$type> = None;)*
                let mut expected = 0;
                while let Some(at) = map.next_key_seed(FieldName { fields: Self::FIELDS, expected })? {
                    let Some(at) = at else {
                        map.next_value::<serde::de::IgnoredAny>()?;
                        continue;
                    };
                    expected = at + 1;
                    match FIELDS[at] {
                        $(Field::$also => {
                            read_field::<form!($($also_form)?), _, _>(&mut map, name!($also), &mut $also, line)?;
                        })*
                        $(Field::$field => {
                            read_field::<form!($($form)?), _, _>(&mut map, name!($field $($json)?), &mut $field, line)?;
                        })*
                    }
                }
                $(taken::<form!($($also_form)?), _, A::Error>(name!($also), $also)?;)*
                let read = Self {
                    $($field: taken::<form!($($form)?), _, _>(name!($field $($json)?), $field)?,)*
                    $($record: tcpretrans_ebpf::Record::default(),)?
                };
                $(let read = $then(read, line);)?
                Ok(read)
            }

            $(
                fn record(&self) -> Option<&tcpretrans_ebpf::Record> {
                    Some(&self.$record)
                }

                fn record_mut(&mut self) -> Option<&mut tcpretrans_ebpf::Record> {
                    Some(&mut self.$record)
                }
            )?

            #[cfg(test)]
            fn sample() -> Self {
                Self { $($field: $sample,)* $($record: $raw_sample,)? }
            }

            #[cfg(test)]
            fn any() -> proptest::strategy::BoxedStrategy<Self> {
                use proptest::strategy::Strategy;
                use $crate::event::json::{Form, definition::{form, nested, pattern}};
                nested!(
                    $(<form!($($form)?) as Form<$type>>::any(),)*
                    $($crate::event::json::definition::record!($record),)?
                )
                .prop_map(|pattern!($($field,)* $($record,)?)| Self { $($field,)* $($record,)? })
                .boxed()
            }
        }
    };
}

/// An object as a value.
macro_rules! object_value {
    ($name:ident) => {
        impl $crate::event::json::Value for $name {
            const SHAPE: $crate::event::json::Shape =
                $crate::event::json::Shape::Object(<$name as $crate::event::json::Object>::FIELDS);

            fn write(&self, out: &mut $crate::event::json::Writing<'_>) {
                $crate::event::json::write_object(self, out);
            }

            fn read<'de, D: serde::Deserializer<'de>>(
                value: D,
                line: &$crate::event::json::Reading,
            ) -> Result<Self, D::Error> {
                $crate::event::json::read_object(value, line)
            }

            #[cfg(test)]
            fn any() -> proptest::strategy::BoxedStrategy<Self> {
                <$name as $crate::event::json::Object>::any()
            }
        }
    };
}

/// The form of a field.
macro_rules! form {
    () => {
        $crate::event::json::Own
    };
    ($form:ty) => {
        $form
    };
}

/// The name of a field in JSON.
macro_rules! name {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $json:literal) => {
        $json
    };
}

/// What is written of a field.
macro_rules! value {
    ($field:expr, $self:ident, $out:ident) => {
        $field
    };
    ($field:expr, $self:ident, $out:ident, $written:path) => {
        $written($self, $out.clock)
    };
}

/// Strategies in one another: a tuple of them ends at twelve.
#[cfg(test)]
macro_rules! nested {
    () => { proptest::strategy::Just(()) };
    ($first:expr, $($rest:tt)*) => { ($first, $crate::event::json::definition::nested!($($rest)*)) };
}

/// The pattern of what [`nested!`] makes.
#[cfg(test)]
macro_rules! pattern {
    () => { () };
    ($first:ident, $($rest:tt)*) => { ($first, $crate::event::json::definition::pattern!($($rest)*)) };
}

/// Any record; its name only says that there is one.
#[cfg(test)]
macro_rules! record {
    ($record:ident) => {
        $crate::event::samples::any_record()
    };
}

pub(crate) use form;
pub(crate) use name;
#[cfg(test)]
pub(crate) use nested;
pub(crate) use object;
pub(crate) use object_value;
#[cfg(test)]
pub(crate) use pattern;
#[cfg(test)]
pub(crate) use record;
pub(crate) use value;

/// For an event whose line does not have the event's own fields: its form is that of `$line`, and `From` leads there
/// and back.
macro_rules! in_lines_as {
    ($event:ident, $line:ident) => {
        $crate::event::json::definition::object_value!($event);

        impl $crate::event::json::Object for $event {
            const FIELDS: &'static [$crate::event::json::Field] =
                <$line as $crate::event::json::Object>::FIELDS;

            fn write_fields(&self, out: &mut $crate::event::json::Writing<'_>) {
                $crate::event::json::Object::write_fields(&$line::from(self), out);
            }

            fn read_fields<'de, A: serde::de::MapAccess<'de>>(
                map: A,
                line: &$crate::event::json::Reading,
            ) -> Result<Self, A::Error> {
                <$line as $crate::event::json::Object>::read_fields(map, line).map($event::from)
            }

            #[cfg(test)]
            fn sample() -> Self {
                <$line as $crate::event::json::Object>::sample().into()
            }

            #[cfg(test)]
            fn any() -> proptest::strategy::BoxedStrategy<Self> {
                use proptest::strategy::Strategy;
                <$line as $crate::event::json::Object>::any().prop_map($event::from).boxed()
            }
        }
    };
}

pub(crate) use in_lines_as;
