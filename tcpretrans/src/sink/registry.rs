//! The sinks that there are, their options included. Whoever adds one writes its file, and a line into the list here:
//! live tracing and replay then have its options, and open it where they are given.

use super::{Sink, SinkError, log_file::LogArgs, stdout::StdoutArgs};
use crate::options::{Origin, UsageError};

/// The options of one sink, as they were typed.
pub trait SinkArgs: clap::Args {
    /// What they mean.
    type Config: SinkConfig;

    /// Understands them; `None`: this sink was not asked for. Nothing is opened yet.
    ///
    /// # Errors
    /// [`UsageError`] for the first thing that is wrong.
    fn config(&self) -> Result<Option<Self::Config>, UsageError>;
}

/// A sink that was asked for.
pub trait SinkConfig {
    /// What it is good for when a recording is played again. Each sink has to say it.
    const IN_REPLAY: InReplay;

    /// Opens it.
    ///
    /// # Errors
    /// What keeps it from being opened.
    fn open(&self) -> Result<Box<dyn Sink>, SinkError>;
}

/// Does a sink make sense for events of the past?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InReplay {
    /// It takes them as those of a live trace.
    Welcome,
    /// It speaks of the present only (a metrics endpoint, a collector). Asking for it is an error.
    Refused {
        /// The option that asks for it.
        option: &'static str,
        /// Why not, as the end of a sentence.
        why: &'static str,
    },
}

impl InReplay {
    fn check(self, origin: Origin) -> Result<(), UsageError> {
        match (self, origin) {
            (InReplay::Refused { option, why }, Origin::Recording) => Err(UsageError::value(option, why)),
            (InReplay::Refused { .. }, Origin::Live) | (InReplay::Welcome, _) => Ok(()),
        }
    }
}

/// The options of all sinks, and what they mean, from one list.
macro_rules! sinks {
    ($($(#[$doc:meta])* $name:ident: $args:ty,)+) => {
        /// The options of all sinks.
        #[derive(Debug, Default, clap::Args)]
        pub struct AllSinkArgs {
            $($(#[$doc])* #[command(flatten)] pub $name: $args,)+
        }

        /// The sinks that were asked for.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct AllSinks {
            $($(#[$doc])* pub $name: Option<<$args as SinkArgs>::Config>,)+
        }

        impl AllSinkArgs {
            /// Understands the options of all sinks, for events of that origin.
            ///
            /// # Errors
            /// [`UsageError`] for the first thing that is wrong, or for a sink that makes no sense there.
            pub fn config(&self, origin: Origin) -> Result<AllSinks, UsageError> {
                let sinks = AllSinks { $($name: self.$name.config()?,)+ };
                $(if sinks.$name.is_some() {
                    <$args as SinkArgs>::Config::IN_REPLAY.check(origin)?;
                })+
                Ok(sinks)
            }
        }

        impl AllSinks {
            /// Was none asked for?
            pub fn is_empty(&self) -> bool {
                $(self.$name.is_none())&&+
            }

            /// Opens them, in the order of the list.
            ///
            /// # Errors
            /// From the first that cannot be opened.
            pub fn open(&self) -> Result<Vec<Box<dyn Sink>>, SinkError> {
                let mut sinks = Vec::new();
                $(if let Some(config) = &self.$name {
                    sinks.push(config.open()?);
                })+
                Ok(sinks)
            }
        }
    };
}

sinks! {
    /// Standard output.
    stdout: StdoutArgs,
    /// `-o`
    log: LogArgs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_of_the_present_is_refused_in_a_replay() {
        let metrics = InReplay::Refused { option: "--metrics", why: "a replay has no present to measure" };
        assert_eq!(metrics.check(Origin::Live), Ok(()));
        let refused = metrics.check(Origin::Recording).expect_err("refused").to_string();
        assert_eq!(refused, "--metrics: a replay has no present to measure");
        assert_eq!(InReplay::Welcome.check(Origin::Recording), Ok(()));
    }
}
