//! Live tracing: load, attach, and loop until told to stop.

pub mod args;
pub mod clock;
pub mod config;
pub mod losses;
pub mod priority;
pub mod reader;
pub mod seed;
pub mod session;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use aya::maps::{MapData, RingBuf};
use reader::Reader;
use session::Session;
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
};

use crate::{
    event::{Clock, End, Event, Start, What},
    filter::gate::{Before, Gate},
    flow,
    flow::{Correlator, correlator::DEFAULT_MAX_FLOWS},
    kernel::{
        btf::Btf,
        cgroup::Cgroups,
        features::{Features, TRACEPOINTS},
        hz, privileges,
        programs::{Programs, Settings},
    },
    live::config::Config,
    options::exit::Exit,
    owner::Owners,
    pipe::{
        outputs,
        outputs::{Go, Outputs},
    },
    sink,
};

/// How long the tracer's own record may take to come back.
const CALIBRATION_PATIENCE: Duration = Duration::from_secs(2);
/// How often the kernel's loss counters are read.
const LOSS_PERIOD: Duration = Duration::from_secs(1);

/// Traces until told to stop.
///
/// # Errors
/// Whatever keeps this machine from tracing, or the output from being opened.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    init_log(config.verbosity);
    privileges::check()?;
    priority::raise();
    let mut features = Features::detect(&Btf::of_running_kernel()?)?;
    let settings = Settings {
        filter: config.filter.kernel_part(),
        all_closes: config.all_closes,
        ring_bytes: config.ring_bytes,
        verbose: config.verbosity > 0,
    };
    let (programs, ring) = Programs::attach(&features, &settings)?;
    features.recovery_exit = programs.watches_recovery_exit();
    give_memory_back();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    runtime.block_on(trace(config, features, programs, ring))
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

async fn trace(
    config: Config,
    features: Features,
    mut programs: Programs,
    mut ring: RingBuf<MapData>,
) -> anyhow::Result<ExitCode> {
    // First of all: from here on a signal ends the trace in good order.
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut hangup = Hangup::listen()?;

    let started = Instant::now();
    let calibration = hz::measure(&mut ring, CALIBRATION_PATIENCE)?;
    log::info!("HZ is {}", calibration.hz);
    if config.verbosity > 0 {
        forward_log(&mut programs)?;
    }
    let mut clock = wall_clock();
    let start = start_event(&config, &features, calibration.hz, clock);
    let sinks = outputs::open(&config.output)?;

    let mut correlator = Correlator::new(flow::Config {
        hz: calibration.hz,
        request_rto_max: Some(features.request_rto_max),
        warn_at: f64::from(config.output.warn_at_percent) / 100.0,
        all_closes: config.all_closes,
        reset_reasons: features.reset_reasons.clone(),
        max_flows: DEFAULT_MAX_FLOWS,
    });
    correlator.watch_for_unseen(clock::mono_ns(), !features.retransmit_err);
    let mut session = Session::new(programs, correlator, Owners::new(Cgroups::new()));
    let mut output =
        Outputs::new(Gate::new(config.filter.clone(), Before::Kernel), sinks, config.limits.count);
    let mut events =
        vec![Event { mono_ns: clock::mono_ns(), flow: None, what: What::Start(Box::new(start)) }];
    session.take_batch(&calibration.records, &mut events);
    let mut go = output.write(&mut events, &clock);

    let mut reader = Reader::start(ring)?;
    let mut next_loss_check = Instant::now();
    if let Some(path) = &config.ready_file {
        std::fs::write(path, b"ready\n")
            .with_context(|| format!("cannot create the ready file {}", path.display()))?;
    }
    if config.seed && features.seed {
        seed::look_through(session.programs_mut(), &config.filter);
    }
    let stop_at = config.limits.duration.and_then(|duration| started.checked_add(duration));
    while go == Go::On {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = hangup.received() => break,
            () = until(stop_at) => break,
            () = reader.news() => {}
        }
        clock = wall_clock();
        let arrived = reader.take()?;
        for batch in arrived.batches {
            session.take_batch(&batch, &mut events);
            if go == Go::On {
                go = output.write(&mut events, &clock);
            }
        }
        session.advance(arrived.complete_ns, &mut events);
        if Instant::now() >= next_loss_check {
            session.check_losses(clock::mono_ns(), &mut events)?;
            next_loss_check = Instant::now() + LOSS_PERIOD;
        }
        if output.write(&mut events, &clock) == Go::Enough
            || output.flush(clock::mono_ns(), &clock) == Go::Enough
        {
            go = Go::Enough;
        }
    }

    // Detached first, so that the accounts are final; then whatever is still on its way.
    session.programs_mut().detach()?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let rest = reader.finish()?;
    for batch in rest.batches {
        session.take_batch(&batch, &mut events);
        output.write(&mut events, &clock);
    }
    // One time for all that is told last: a replay has it from `end`.
    let end_ns = clock::mono_ns();
    session.finish(end_ns, &mut events);
    session.check_losses(end_ns, &mut events)?;
    output.write(&mut events, &clock);
    let mut accounts = End::default();
    session.close_accounts(rest.malformed, &mut accounts)?;
    let duration_ms = started.elapsed().as_millis() as u64;
    let end = |totals: sink::Totals| {
        let mut end = totals.into_end(duration_ms);
        end.records = accounts.records;
        end.records_sent = accounts.records_sent;
        end.records_received = accounts.records_received;
        end.flows_left = accounts.flows_left;
        Event { mono_ns: end_ns, flow: None, what: What::End(Box::new(end)) }
    };
    output.end(end, &clock);
    let totals = output.finish();
    if config.output.summary {
        eprint!("{}", totals.summary(duration_ms));
    }
    Ok(Exit::Done.into())
}

/// The terminal went away. Under `nohup` that is to be ignored, as it was when we were started.
struct Hangup(Option<Signal>);

impl Hangup {
    fn listen() -> anyhow::Result<Hangup> {
        // SAFETY: a null new action only asks for the old one, which is plain data.
        let ignored = unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut before) == 0
                && before.sa_sigaction == libc::SIG_IGN
        };
        if ignored {
            return Ok(Hangup(None));
        }
        Ok(Hangup(Some(signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?)))
    }

    async fn received(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

/// Sleeps until then; for ever without a time.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn wall_clock() -> Clock {
    Clock { wall_minus_mono_ns: clock::wall_minus_mono_ns() }
}

/// Passes the programs' own messages on, as they come.
fn forward_log(programs: &mut Programs) -> anyhow::Result<()> {
    let logger = aya_log::EbpfLogger::init(programs.ebpf_mut()).context("cannot read the programs' log")?;
    // SAFETY: the logger owns its ring's descriptor, which stays open and the same until it is dropped.
    let mut logger = unsafe { AsyncFd::register(logger) }.context("cannot wait for the programs' log")?;
    tokio::spawn(async move {
        while let Ok(mut guard) = logger.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    });
    Ok(())
}

fn start_event(config: &Config, features: &Features, hz: u32, clock: Clock) -> Start {
    let kernel = nix::sys::utsname::uname()
        .map(|name| name.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel,
        hz,
        command: config.command.clone(),
        filters: config.filter.describe(),
        clock_ns: clock.wall_minus_mono_ns,
        features: feature_map(features),
        reset_reasons: features.reset_reasons.iter().map(|(&number, name)| (number, name.clone())).collect(),
        warn_at_percent: Some(config.output.warn_at_percent),
        all_closes: Some(config.all_closes),
        part: Some(1),
    }
}

/// What this kernel lets us see, for the `start` event.
fn feature_map(features: &Features) -> crate::event::FeatureMap {
    let mut map: BTreeMap<_, _> = TRACEPOINTS
        .iter()
        .map(|tracepoint| (tracepoint.name.into(), features.has(tracepoint.name)))
        .collect();
    map.insert("retransmit_err".into(), features.retransmit_err);
    map.insert("reset_reason".into(), features.reset_reason);
    map.insert("socket_cookie".into(), features.socket_cookie);
    map.insert("seed".into(), features.seed);
    map.insert("request_rto_max".into(), features.request_rto_max);
    map.insert("recovery_exit".into(), features.recovery_exit);
    map
}
