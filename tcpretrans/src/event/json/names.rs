//! The definition of an enumeration: its values and their names, once.

/// Defines an enumeration whose values have names, in JSON as in the table: `/// ... \n Rto = "rto",`. Each value is in
/// `ALL`, and read, because it is there.
macro_rules! names {
    (
        $(#[$meta:meta])*
        pub enum $enum:ident {
            $($(#[$doc:meta])* $value:ident = $name:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $enum {
            $($(#[$doc])* $value,)*
        }

        impl $enum {
            /// All of them, in the order in which they are shown.
            pub const ALL: [$enum; [$($name),*].len()] = [$($enum::$value),*];

            /// As it is called in JSON, in options and for people.
            pub const fn name(self) -> &'static str {
                match self {
                    $($enum::$value => $name,)*
                }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<$enum> {
                match name {
                    $($name => Some($enum::$value),)*
                    _ => None,
                }
            }
        }

        impl $crate::event::json::Value for $enum {
            const SHAPE: $crate::event::json::Shape = $crate::event::json::Shape::Names(&[$($name),*]);

            fn write(&self, out: &mut $crate::event::json::Writing<'_>) {
                out.name(self.name());
            }

            fn read<'de, D: serde::Deserializer<'de>>(
                value: D,
                line: &$crate::event::json::Reading,
            ) -> Result<Self, D::Error> {
                line.text(value, $enum::from_name)
            }

            #[cfg(test)]
            fn any() -> proptest::strategy::BoxedStrategy<Self> {
                use proptest::strategy::Strategy;
                proptest::sample::select(&$enum::ALL[..]).boxed()
            }
        }

        impl $crate::event::json::Key for $enum {
            fn text(&self) -> std::borrow::Cow<'_, str> {
                self.name().into()
            }

            fn known(text: &str) -> Option<Self> {
                $enum::from_name(text)
            }

            #[cfg(test)]
            fn any() -> proptest::strategy::BoxedStrategy<Self> {
                <$enum as $crate::event::json::Value>::any()
            }
        }
    };
}

pub(crate) use names;
