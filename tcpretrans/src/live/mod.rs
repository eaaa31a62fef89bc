//! Live tracing: load, attach, and trace until a signal or a limit ends it.

pub(crate) mod args;
mod clock;
pub(crate) mod config;
mod loss_counters;
mod priority;
mod reader;
mod ring;
mod seed;
mod signals;
mod start;

use std::time::{Duration, Instant};

use aya::maps::{MapData, RingBuf};
use ring::Ring;
use signals::Signals;

use crate::{
    failure::Failure,
    filter::gate::{Before, Gate},
    kernel::{
        self,
        btf::Btf,
        features::Features,
        hz, privileges,
        programs::{Programs, Settings},
    },
    live::config::Config,
    options::Exit,
    page::Page,
    pipe,
    pipe::Pipe,
};

/// How long the tracer's own record may take to come back.
const CALIBRATION_PATIENCE: Duration = Duration::from_secs(2);

/// Traces until a signal or a limit ends it.
///
/// # Errors
/// Whatever keeps this machine from tracing, or the output from being opened.
pub(crate) fn run(config: &Config) -> Result<Exit, Failure> {
    init_log(config.verbosity);
    let (features, programs, mut events) = attach(config)?;
    give_memory_back();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::io("cannot start the event loop"))?;
    // From here on a signal ends the trace in good order.
    let signals = {
        let _in_runtime = runtime.enter();
        Signals::listen()?
    };

    let started = Instant::now();
    let started_ns = clock::mono_ns();
    let calibration = hz::measure(&mut events, CALIBRATION_PATIENCE).map_err(kernel::Error::from)?;
    log::info!("HZ is {}", calibration.hz);
    let mut ring = Ring::new(programs, runtime, signals, started);
    if config.verbosity > 0 {
        ring.forward_log()?;
    }
    let sinks = config.output.sinks.open()?;
    let mut pipe = Pipe::new(Gate::new(config.filter.clone(), Before::Kernel), sinks, config.limits.count);
    ring.begin(config, &features, &calibration, events, &mut pipe)?;
    let duration =
        config.limits.duration.map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    pipe::run(&mut ring, &mut pipe, duration.map(|duration| started_ns.saturating_add(duration)))?;
    let (totals, duration_ms) = pipe.finish();
    if config.output.summary {
        eprint!("{}", totals.summary(duration_ms, Page::stderr()));
    }
    Ok(Exit::Done)
}

/// Attaches the programs. What they see from now on waits in the ring.
fn attach(config: &Config) -> Result<(Features, Programs, RingBuf<MapData>), kernel::Error> {
    privileges::check()?;
    priority::raise();
    let mut features = Features::detect(&Btf::of_running_kernel()?)?;
    let settings = Settings {
        filter: config.filter.kernel_part(),
        all_closes: config.output.all_closes,
        ring_bytes: config.ring_bytes,
        verbose: config.verbosity > 0,
    };
    let (programs, ring) = Programs::attach(&features, &settings)?;
    features.recovery_exit = programs.watches_recovery_exit();
    Ok((features, programs, ring))
}

/// What is large and needed for a moment goes back to the system afterwards: the kernel's types that were read (some
/// 15 MiB), and later the records that wait in a storm. glibc would keep them.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: neither has preconditions.
    unsafe {
        libc::malloc_trim(0);
        // Given once, it stays: else it would grow with the first large block that is freed (mallopt(3)).
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
    }
}

/// aya-log hands the programs' rare messages to the `log` crate; so does everything else that is no result.
fn init_log(verbosity: u8) {
    let level = match verbosity {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    // A second initialisation can only be a test's.
    let _ = env_logger::Builder::new().filter_level(level).format_timestamp(None).try_init();
}
