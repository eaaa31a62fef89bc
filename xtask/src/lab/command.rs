//! `cargo xtask lab`

use std::{
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use super::{
    Lab, ready,
    scenario::{self, PORT, Stage},
};

/// Make two network namespaces and cause real losses between them, for the tracer to see
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The scenario; `list` shows all
    pub scenario: String,
    /// How many seconds it lasts
    #[arg(short, long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: u64,
    /// tcp_retries2 in the lab; 5 gives up after some 13 s, 15 is Linux's default and takes 15 minutes
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub retries2: u8,
}

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

/// Runs the command.
///
/// # Errors
/// Where the lab cannot be built or a scenario fails. Bad usage, and no root, give exit code 2 instead.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.scenario == "list" {
        for scenario in scenario::ALL {
            println!("{:14} {}", scenario.name, scenario.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(scenario) = scenario::find(&args.scenario) else {
        eprintln!("there is no scenario `{}`; `cargo xtask lab list` shows all", args.scenario);
        return Ok(ExitCode::from(2));
    };
    if let Err(error) = ready() {
        eprintln!("{error:#}");
        return Ok(ExitCode::from(2));
    }
    // The default action would leave the namespaces behind.
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler only stores to an atomic.
        unsafe { sigaction(signal, &action) }.with_context(|| format!("could not handle {signal}"))?;
    }
    let lab = Lab::new()?;
    println!("{}: {}", scenario.name, scenario.about);
    println!("to watch, in another terminal:  cargo xtask run -- --port {PORT}");
    println!("to look inside:                 sudo ip netns exec {} ss -tio", lab.left.name());
    println!("it ends after {} s, or with Ctrl-C\n", args.seconds);
    let stage = Stage::new(&lab, Duration::from_secs(args.seconds), args.retries2, &STOP);
    (scenario.play)(&stage)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        let command = super::Args::augment_args(Command::new("lab"));
        command.clone().debug_assert();
        assert!(command.clone().try_get_matches_from(["lab", "loss", "--seconds", "5"]).is_ok());
        assert!(command.try_get_matches_from(["lab", "loss", "--seconds", "0"]).is_err());
    }

    #[test]
    fn an_unknown_scenario_is_bad_usage() {
        let args = super::Args { scenario: "peace".to_owned(), seconds: 1, retries2: 5 };
        assert_eq!(run(&args).unwrap(), ExitCode::from(2));
    }
}
