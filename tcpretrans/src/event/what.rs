//! The kinds of events: the one list of them.

use serde::Deserializer;
use tcpretrans_ebpf::Record;

#[cfg(test)]
use super::json::Field;
use super::{
    Closed, End, InBackoff, Lost, Observation, Recovered, Retransmit, Start, Threshold,
    json::{Object, Reading, Value, Writing},
};

/// What events of a kind are to those who do not ask for the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// It is about a connection, or may be: its line has `flow`.
    pub has_flow: bool,
    /// It is for people, and not only for recordings.
    pub printed: bool,
    /// It is what a person asked for: `--count` counts it.
    pub counted: bool,
    /// A replay waits for its time before it is printed.
    pub paced: bool,
    /// `report` counts it among what happened to connections.
    pub reported: bool,
}

/// Defines the kinds, and what depends on all of them.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident($type:ty) = $name:literal { $($role:ident: $is:literal,)* })*) => {
        /// The kinds of events.
        #[derive(Debug, Clone, PartialEq)]
        pub enum What {
            $($(#[$doc])* $kind($type),)*
        }

        impl What {
            /// As the kind is called in JSON: `event`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(What::$kind(_) => $name,)*
                }
            }

            /// What events of this kind are to those who do not ask for the kind.
            pub fn role(&self) -> Role {
                match self {
                    $(What::$kind(_) => Role { $($role: $is,)* },)*
                }
            }

            /// The record that it was made of, which stands in the line as `kernel`.
            pub fn record(&self) -> Option<&Record> {
                match self {
                    $(What::$kind(event) => event.record(),)*
                }
            }

            /// The place of that record.
            pub(crate) fn record_mut(&mut self) -> Option<&mut Record> {
                match self {
                    $(What::$kind(event) => event.record_mut(),)*
                }
            }

            /// Appends the fields that only this kind has, each with a comma in front.
            pub(crate) fn write_fields(&self, out: &mut Writing<'_>) {
                match self {
                    $(What::$kind(event) => event.write_fields(out),)*
                }
            }

            /// Reads an event of that name; `None`: there is no such kind.
            pub(crate) fn read<'de, D: Deserializer<'de>>(
                name: &str,
                fields: D,
                line: &Reading,
            ) -> Option<Result<What, D::Error>> {
                match name {
                    $($name => Some($kind::read(fields, line).map(|event| What::$kind(event.into()))),)*
                    _ => None,
                }
            }

            /// Each kind's name, role and fields, in their order.
            #[cfg(test)]
            pub(crate) fn definitions() -> Vec<(&'static str, Role, &'static [Field])> {
                vec![$(($name, Role { $($role: $is,)* }, $kind::FIELDS),)*]
            }

            /// One of each.
            #[cfg(test)]
            pub(crate) fn samples() -> Vec<What> {
                vec![$(What::$kind($kind::sample().into()),)*]
            }

            /// Any one.
            #[cfg(test)]
            pub(crate) fn any() -> proptest::strategy::BoxedStrategy<What> {
                use proptest::strategy::{Strategy, Union};
                Union::new([$(<$kind as Object>::any().prop_map(|event| What::$kind(event.into())).boxed(),)*]).boxed()
            }
        }
    };
}

kinds! {
    /// First of every file.
    Start(Box<Start>) = "start" {
        has_flow: false, printed: false, counted: false, paced: false, reported: false,
    }
    /// A retransmission attempt.
    Retransmit(Box<Retransmit>) = "retransmit" {
        has_flow: true, printed: true, counted: true, paced: true, reported: true,
    }
    /// A connection that was already in RTO backoff when the trace began.
    InBackoff(Box<InBackoff>) = "in_backoff" {
        has_flow: true, printed: true, counted: false, paced: true, reported: true,
    }
    /// A threshold was passed; once an episode each.
    Threshold(Threshold) = "threshold" {
        has_flow: true, printed: true, counted: true, paced: true, reported: true,
    }
    /// A loss episode is over, the data acknowledged.
    Recovered(Recovered) = "recovered" {
        has_flow: true, printed: true, counted: true, paced: true, reported: true,
    }
    /// A traced flow ended.
    Closed(Box<Closed>) = "closed" {
        has_flow: true, printed: true, counted: true, paced: true, reported: true,
    }
    /// What the kernel reported without making an event: replay needs it.
    Observation(Box<Observation>) = "observation" {
        has_flow: true, printed: false, counted: false, paced: false, reported: false,
    }
    /// Events did not reach us.
    Lost(Lost) = "lost" {
        has_flow: true, printed: true, counted: false, paced: false, reported: false,
    }
    /// Last of all.
    End(Box<End>) = "end" {
        has_flow: false, printed: true, counted: false, paced: true, reported: false,
    }
}
