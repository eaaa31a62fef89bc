//! The source of a live trace: the ring of the attached programs.

use std::{
    thread,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use tcpretrans_ebpf::{Kind, Record};
use tokio::{io::unix::AsyncFd, runtime::Runtime};

use super::{
    clock, config::Config, loss_counters::LossCounters, reader::Reader, seed, signals::Signals, start,
};
use crate::{
    event::{Account, Clock, End, Event, What},
    failure::Failure,
    flow,
    kernel::{
        self,
        cgroup::Cgroups,
        features::Features,
        hz::Calibration,
        programs::{KindCounts, Programs},
    },
    owner::Owners,
    pipe::{Every, Input, Pipe, Source, Supply, Woken},
};

/// How often the kernel's counters of lost records are read.
const LOSS_PERIOD_NS: u64 = 1_000_000_000;
/// How long a program that was running when it was detached may still take.
const LAST_RECORDS: Duration = Duration::from_millis(5);

/// The programs, attached, and the thread that empties their ring.
#[derive(Debug)]
pub(super) struct Ring {
    programs: Programs,
    /// `None` once it has ended.
    reader: Option<Reader>,
    owners: Owners,
    losses: LossCounters,
    loss_check: Every,
    /// Records by kind.
    received: KindCounts,
    signals: Signals,
    /// On which this thread waits, and the programs' own messages are passed on.
    runtime: Runtime,
    started: Instant,
}

impl Ring {
    /// A source that reads nothing yet. `runtime` is what `signals` are listened for in.
    pub(super) fn new(programs: Programs, runtime: Runtime, signals: Signals, started: Instant) -> Ring {
        Ring {
            programs,
            reader: None,
            owners: Owners::new(Cgroups::new()),
            losses: LossCounters::default(),
            loss_check: Every::period(LOSS_PERIOD_NS),
            received: KindCounts::default(),
            signals,
            runtime,
            started,
        }
    }

    /// Passes the programs' own messages on to the log, as they come.
    ///
    /// # Errors
    /// If there is no ring of messages.
    pub(super) fn forward_log(&mut self) -> Result<(), Failure> {
        let _in_runtime = self.runtime.enter();
        let logger = aya_log::EbpfLogger::init(self.programs.ebpf_mut())
            .map_err(|error| Failure::io("cannot read the programs' log")(std::io::Error::other(error)))?;
        // SAFETY: the logger owns its ring's descriptor, which stays open and the same until it is dropped.
        let mut logger =
            unsafe { AsyncFd::register(logger) }.map_err(Failure::io("cannot wait for the programs' log"))?;
        self.runtime.spawn(async move {
            while let Ok(mut guard) = logger.readable_mut().await {
                guard.get_inner_mut().flush();
                guard.clear_ready();
            }
        });
        Ok(())
    }

    /// Begins the trace: `start`, the records that came during the calibration, and from then on whatever comes out of
    /// `ring`. The ready file is made when the reader runs, and before the sockets of all namespaces are looked through.
    ///
    /// # Errors
    /// If there can be no reader or no ready file.
    pub(super) fn begin(
        &mut self,
        config: &Config,
        features: &Features,
        calibration: &Calibration,
        ring: RingBuf<MapData>,
        pipe: &mut Pipe,
    ) -> Result<(), Failure> {
        let clock = wall_clock();
        let start = start::start(config, features, calibration.hz, clock);
        let now_ns = clock::mono_ns();
        pipe.set_clock(clock);
        pipe.begin(
            Event { mono_ns: now_ns, flow: None, what: What::Start(Box::new(start)) },
            flow::Config {
                request_rto_max: Some(features.request_rto_max),
                warn_at: f64::from(config.warn_at_percent) / 100.0,
                all_closes: config.output.all_closes,
                reset_reasons: features.reset_reasons.clone(),
                ..flow::Config::new(calibration.hz)
            },
        );
        if let Some(trace) = pipe.trace() {
            trace.watch_for_unseen(now_ns, !features.retransmit_err);
        }
        self.hand_over(&calibration.records, pipe);
        self.reader = Some(Reader::start(ring)?);
        if let Some(path) = &config.ready_file {
            std::fs::write(path, b"ready\n")
                .map_err(Failure::io(format!("cannot create the ready file {}", path.display())))?;
        }
        if config.seed && features.seed {
            seed::look_through(&mut self.programs, &config.filter);
        }
        Ok(())
    }

    fn hand_over(&mut self, batch: &[(Kind, Record)], pipe: &mut Pipe) {
        let Some(trace) = pipe.trace() else { return };
        for (kind, record) in batch {
            self.received[*kind as usize] += 1;
            let owner = self.owners.of(record);
            trace.observe(*kind, record, &owner);
        }
        pipe.write();
    }

    fn check_losses(&mut self, now_ns: u64, pipe: &mut Pipe) -> Result<(), Failure> {
        let new = self.losses.check(&self.programs).map_err(kernel::Error::from)?;
        if let Some(trace) = pipe.trace() {
            trace.losses_were_counted(now_ns, &new.lost, new.retransmissions);
        }
        pipe.write();
        Ok(())
    }

    /// What became of the records, the tracer's own calibration apart, once nothing more will come. `malformed`: what
    /// came out of the ring and was no record.
    fn accounts(&self, malformed: u64) -> Result<End, kernel::Error> {
        let (sent, lost) = (self.programs.sent()?, self.programs.lost()?);
        let account = |kind: Kind| {
            let at = kind as usize;
            (kind, Account { sent: sent[at], received: self.received[at], ring: lost[at] })
        };
        let records: Vec<(Kind, Account)> =
            Kind::ALL.into_iter().filter(|&kind| kind != Kind::Calibrate).map(account).collect();
        let received: u64 = records.iter().map(|(_, account)| account.received).sum();
        Ok(End {
            records_sent: records.iter().map(|(_, account)| account.sent).sum(),
            records_received: received + malformed,
            records,
            duration_ms: self.started.elapsed().as_millis() as u64,
            ..End::default()
        })
    }
}

impl Source for Ring {
    fn now_ns(&self) -> u64 {
        clock::mono_ns()
    }

    fn wait(&mut self, until_ns: u64) -> Woken {
        let Ring { runtime, signals, reader, .. } = self;
        let news = async {
            match reader {
                Some(reader) => reader.news().await,
                None => std::future::pending().await,
            }
        };
        let left = Duration::from_nanos(until_ns.saturating_sub(clock::mono_ns()));
        runtime.block_on(async {
            tokio::select! {
                () = signals.received() => Woken::By(Input::Stop),
                () = tokio::time::sleep(left) => Woken::ByTime,
                () = news => Woken::ByTime,
            }
        })
    }

    fn take(&mut self, pipe: &mut Pipe) -> Result<Supply, Failure> {
        // Asked anew each time: the wall clock may have been set.
        pipe.set_clock(wall_clock());
        let Some(reader) = &mut self.reader else { return Ok(Supply::Exhausted) };
        let arrived = reader.take()?;
        for batch in &arrived.batches {
            self.hand_over(batch, pipe);
        }
        if let Some(trace) = pipe.trace() {
            // Records may be on their way: only what is surely older than all of them is over.
            trace.advance(arrived.complete_ns.saturating_sub(clock::DRAIN_PERIOD_NS));
        }
        pipe.write();
        Ok(Supply::Open)
    }

    fn tick(&mut self, pipe: &mut Pipe) -> Result<(), Failure> {
        let now_ns = self.now_ns();
        if self.loss_check.is_due(now_ns) { self.check_losses(now_ns, pipe) } else { Ok(()) }
    }

    fn finish(&mut self, pipe: &mut Pipe) -> Result<(), Failure> {
        // Detached first, so that the accounts are final; then whatever is still on its way.
        self.programs.detach().map_err(kernel::Error::from)?;
        thread::sleep(LAST_RECORDS);
        let rest = self.reader.take().map(Reader::finish).transpose()?.unwrap_or_default();
        for batch in &rest.batches {
            self.hand_over(batch, pipe);
        }
        // One time for all that is reported last: a replay has it from `end`.
        let end_ns = clock::mono_ns();
        if let Some(trace) = pipe.trace() {
            trace.finish(end_ns);
        }
        self.check_losses(end_ns, pipe)?;
        pipe.end(end_ns, &self.accounts(rest.malformed)?);
        Ok(())
    }
}

fn wall_clock() -> Clock {
    Clock { wall_minus_mono_ns: clock::wall_minus_mono_ns() }
}
