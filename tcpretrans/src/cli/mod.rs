//! The command line: from arguments to a command, and from results to exit codes.

mod args;
mod manual;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use args::{Command, CommandLine};
use clap::{CommandFactory, FromArgMatches};

use crate::{
    advise,
    advise::args::AdviseConfig,
    demo,
    demo::args::DemoConfig,
    doctor, failure,
    failure::Failure,
    live,
    live::config::Config,
    options::{Exit, UsageError},
    page::Page,
    replay,
    replay::args::ReplayConfig,
    report,
};

/// The command line's definition, for whoever wants to know what it would make of some arguments.
pub fn command() -> clap::Command {
    CommandLine::command()
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = dispatch(&arguments).unwrap_or_else(|error| {
        let exit = error.exit();
        if exit != Exit::Done {
            // Nobody may be reading standard error either.
            let _ = writeln!(io::stderr(), "tcpretrans: {}", failure::sentence(&error));
        }
        exit
    });
    exit.into()
}

fn dispatch(arguments: &[OsString]) -> Result<Exit, Failure> {
    let parsed = args::command(Page::stdout())
        .try_get_matches_from(arguments)
        .and_then(|matches| CommandLine::from_arg_matches(&matches));
    let line = match parsed {
        Ok(line) => line,
        // `--help` and `--version` are no errors.
        Err(help) if !help.use_stderr() => {
            help.print().map_err(Failure::stdout)?;
            return Ok(Exit::Done);
        }
        Err(error) => return Err(UsageError::syntax(&error).into()),
    };
    match line.command {
        None => {
            let command = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
            live::run(&Config::from_args(&line.live, command)?)
        }
        Some(Command::Report(options)) => report::run(&options),
        Some(Command::Advise(options)) => advise::run(&AdviseConfig::from_args(&options)?),
        Some(Command::Doctor(options)) => doctor::run(options.format),
        Some(Command::Replay(options)) => replay::run(&ReplayConfig::from_args(&options)?),
        Some(Command::Demo(options)) => demo::run(&DemoConfig::from_args(&options)?),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), "tcpretrans", &mut script);
            print(&script)
        }
        Some(Command::Man) => print(&manual::page().map_err(Failure::stdout)?),
    }
}

fn print(text: &[u8]) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).map_err(Failure::stdout)?;
    Ok(Exit::Done)
}
