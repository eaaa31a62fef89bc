//! The sinks that there are, their options included. Whoever adds one writes its file, and a line into the list here:
//! live tracing and replay then have its options, and open it where they are given.

use super::{Sink, SinkError, log_file::LogArgs, stdout::StdoutArgs};
use crate::options::{Origin, UsageError};

/// The options of one sink, as they were typed.
pub(crate) trait SinkArgs: clap::Args {
    /// What they mean.
    type Config: SinkConfig;

    /// Understands them; `None`: this sink was not asked for. Nothing is opened yet.
    ///
    /// # Errors
    /// [`UsageError`] for the first thing that is wrong.
    fn config(&self) -> Result<Option<Self::Config>, UsageError>;
}

/// A sink that was asked for.
pub(crate) trait SinkConfig {
    /// Whether it makes sense for a recording that is played again, for which each sink has to answer. `None`: it takes
    /// events of the past as it takes those of the present. Else the sentence that says why it does not: something that
    /// speaks of the present (a metrics endpoint, a collector) is refused there.
    const REFUSED_IN_REPLAY: Option<&'static str>;

    /// Opens it.
    ///
    /// # Errors
    /// What keeps it from being opened.
    fn open(&self) -> Result<Box<dyn Sink>, SinkError>;
}

fn check_origin<S: SinkConfig>(config: Option<&S>, origin: Origin) -> Result<(), UsageError> {
    match (origin, S::REFUSED_IN_REPLAY) {
        (Origin::Recording, Some(sentence)) if config.is_some() => Err(UsageError::conflict(sentence)),
        (Origin::Recording | Origin::Live, _) => Ok(()),
    }
}

/// The options of all sinks, and what they mean, from one list.
macro_rules! sinks {
    ($($(#[$doc:meta])* $name:ident: $args:ty,)+) => {
        /// The options of all sinks.
        #[derive(Debug, Default, clap::Args)]
        pub(crate) struct AllSinkArgs {
            $($(#[$doc])* #[command(flatten)] pub $name: $args,)+
        }

        /// The sinks that were asked for.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub(crate) struct AllSinks {
            $($(#[$doc])* pub $name: Option<<$args as SinkArgs>::Config>,)+
        }

        impl AllSinkArgs {
            /// Understands the options of all sinks, for events of that origin.
            ///
            /// # Errors
            /// [`UsageError`] for the first thing that is wrong, or for a sink that makes no sense there.
            pub(crate) fn config(&self, origin: Origin) -> Result<AllSinks, UsageError> {
                let sinks = AllSinks { $($name: self.$name.config()?,)+ };
                $(check_origin(sinks.$name.as_ref(), origin)?;)+
                Ok(sinks)
            }
        }

        impl AllSinks {
            /// Was none asked for?
            pub(crate) fn is_empty(&self) -> bool {
                $(self.$name.is_none())&&+
            }

            /// Opens them, in the order of the list.
            ///
            /// # Errors
            /// From the first that cannot be opened.
            pub(crate) fn open(&self) -> Result<Vec<Box<dyn Sink>>, SinkError> {
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
    use clap::{Args, Parser};

    use super::*;
    use crate::event::{Clock, Event};

    /// What another sink would bring: its options, what they mean, and itself.
    #[derive(Debug, Default, Args)]
    pub(super) struct MetricsArgs {
        #[arg(long)]
        metrics: Option<String>,
    }

    #[derive(Debug, Clone, PartialEq)]
    pub(super) struct Metrics(String);

    impl SinkArgs for MetricsArgs {
        type Config = Metrics;

        fn config(&self) -> Result<Option<Metrics>, UsageError> {
            Ok(self.metrics.clone().map(Metrics))
        }
    }

    impl SinkConfig for Metrics {
        const REFUSED_IN_REPLAY: Option<&'static str> =
            Some("--metrics shows the present, of which a recording has none");

        fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
            Ok(Box::new(self.clone()))
        }
    }

    impl Sink for Metrics {
        fn write(&mut self, _: &Event, _: &Clock) -> Result<(), SinkError> {
            Ok(())
        }

        fn flush(&mut self) -> Result<(), SinkError> {
            Ok(())
        }

        fn take_lost(&mut self) -> u64 {
            0
        }
    }

    // And a line here.
    sinks! {
        stdout: StdoutArgs,
        log: LogArgs,
        metrics: MetricsArgs,
    }

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sinks: AllSinkArgs,
    }

    fn sinks(options: &[&str], origin: Origin) -> Result<AllSinks, UsageError> {
        Line::try_parse_from([&["tcpretrans"], options].concat())
            .expect("clap accepts it")
            .sinks
            .config(origin)
    }

    #[test]
    fn a_line_in_the_list_is_enough_for_a_sink_to_be_opened() {
        let config = sinks(&["-q", "--metrics", "127.0.0.1:9090"], Origin::Live).expect("valid");
        assert_eq!(config.metrics, Some(Metrics("127.0.0.1:9090".to_owned())));
        assert!(!config.is_empty());
        assert_eq!(config.open().expect("opens").len(), 1);
        assert!(sinks(&["-q"], Origin::Live).expect("valid").is_empty());
    }

    #[test]
    fn what_speaks_of_the_present_is_refused_in_a_replay() {
        let error = sinks(&["--metrics", "127.0.0.1:9090"], Origin::Recording).expect_err("refused");
        assert_eq!(error.to_string(), "--metrics shows the present, of which a recording has none");
        assert!(sinks(&["-o", "x.jsonl", "--format", "json"], Origin::Recording).is_ok());
    }
}
