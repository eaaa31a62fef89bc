//! The command line: from arguments to a command, and from results to exit codes.

pub mod args;
pub mod exit;
pub mod manual;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use args::{Command, CommandLine};
use clap::{CommandFactory, Parser};

use crate::{
    advise,
    advise::args::AdviseConfig,
    demo,
    demo::args::DemoConfig,
    doctor, live,
    live::config::Config,
    options::{Exit, usage::UsageError},
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
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(error) => {
            let exit = exit::exit_of(&error);
            if exit != Exit::Done {
                // Nobody may be reading standard error either.
                let _ = writeln!(io::stderr(), "tcpretrans: {}", exit::sentence(&error));
            }
            exit.into()
        }
    }
}

fn dispatch(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        // `--help` and `--version` are no errors.
        Err(help) if !help.use_stderr() => {
            help.print().context("cannot write to standard output")?;
            return Ok(Exit::Done.into());
        }
        Err(error) => return Err(UsageError::syntax(&error).into()),
    };
    match line.command {
        None => {
            let command = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
            live::run(Config::from_args(&line.live, command)?)
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
        Some(Command::Man) => print(&manual::page()?),
    }
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("cannot write to standard output")?;
    Ok(Exit::Done.into())
}
