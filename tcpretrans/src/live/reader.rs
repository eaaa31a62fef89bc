//! The thread that empties the ring. It does nothing else: whatever holds the rest of the tracer up (a search through
//! /proc, a disk that is behind with its writes), the ring goes on having room.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use aya::maps::{MapData, RingBuf};
use tcpretrans_ebpf::{Kind, Record};
use tokio::{
    io::unix::AsyncFd,
    sync::Notify,
    time::{MissedTickBehavior, interval},
};

use super::clock;
use crate::failure::Failure;

/// Records that wait at most: some 34 MiB for a moment. More than that stay in the ring, where the kernel counts what
/// does not fit.
const MOST_WAITING: usize = 65_536;
/// Records in one batch: neither side waits long for the other, and the memory of a batch goes back to the system at once.
const BATCH: usize = 1024;

/// What has come out of the ring.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// The records, oldest first, some thousand in each batch at most.
    pub batches: Vec<Vec<(Kind, Record)>>,
    /// Every record that is older than this has come, mono ns.
    pub complete_ns: u64,
    /// What was no record, in all.
    pub malformed: u64,
}

#[derive(Debug, Default)]
struct Shared {
    arrived: Mutex<Arrived>,
    /// Told after each look into the ring.
    news: Notify,
    stop: AtomicBool,
    /// Take what is in the ring before stopping.
    take_rest: AtomicBool,
    stopped: Notify,
}

/// Reads the ring until it is dropped or finished.
#[derive(Debug)]
pub(super) struct Reader {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

impl Reader {
    /// Begins to read.
    ///
    /// # Errors
    /// If there can be no thread.
    pub(super) fn start(ring: RingBuf<MapData>) -> Result<Reader, Failure> {
        let shared = Arc::new(Shared::default());
        let thread = thread::Builder::new().name("ring".into()).spawn({
            let shared = shared.clone();
            move || {
                let result = read(ring, &shared);
                // Else nobody would hear of a failure.
                shared.news.notify_one();
                result
            }
        });
        let thread = thread.map_err(Failure::io("cannot start the thread that reads the ring"))?;
        Ok(Reader { shared, thread: Some(thread) })
    }

    /// Waits for the next look into the ring, at most some 50 ms.
    pub(super) async fn news(&self) {
        self.shared.news.notified().await;
    }

    /// Takes what has come.
    ///
    /// # Errors
    /// If the ring cannot be read any more.
    pub(super) fn take(&mut self) -> Result<Arrived, Failure> {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join()?;
        }
        Ok(self.shared.take())
    }

    /// Takes the rest, once nothing more comes into the ring.
    ///
    /// # Errors
    /// If the ring could not be read to its end.
    pub(super) fn finish(mut self) -> Result<Arrived, Failure> {
        self.shared.take_rest.store(true, Ordering::Release);
        self.join()?;
        Ok(self.shared.take())
    }

    fn join(&mut self) -> Result<(), Failure> {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.stopped.notify_one();
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Whoever drops it has an error of its own to tell.
            let _ = self.join();
        }
    }
}

impl Arrived {
    fn waiting(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Arrived> {
        // A panic in between leaves whole records.
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Arrived {
        let mut arrived = self.lock();
        Arrived {
            batches: mem::take(&mut arrived.batches),
            complete_ns: arrived.complete_ns,
            malformed: arrived.malformed,
        }
    }
}

/// The thread: looks into the ring when it passes its mark, and every so often.
fn read(ring: RingBuf<MapData>, shared: &Shared) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(Failure::io("cannot start the ring's event loop"))?;
    runtime.block_on(async {
        // SAFETY: the ring owns its descriptor, which stays open and the same until the ring is dropped.
        let mut ring = unsafe { AsyncFd::register(ring) }.map_err(Failure::io("cannot wait for the ring"))?;
        let mut tick = interval(Duration::from_millis(clock::DRAIN_PERIOD_MS));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !shared.stop.load(Ordering::Acquire) {
            tokio::select! {
                () = shared.stopped.notified() => break,
                _ = tick.tick() => {}
                // Readiness is cleared before draining: a later wake-up sets it again.
                guard = ring.readable_mut() => guard.map_err(Failure::io("cannot wait for the ring"))?.clear_ready(),
            }
            // Before the ring is drained: what is older has then been taken for sure.
            let now_ns = clock::mono_ns();
            while !drain(ring.get_mut(), shared, MOST_WAITING) {
                shared.news.notify_one();
                if shared.stop.load(Ordering::Acquire) {
                    break;
                }
                // The other side is behind, or busy with what it has.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            shared.lock().complete_ns = now_ns;
            shared.news.notify_one();
        }
        if shared.take_rest.load(Ordering::Acquire) {
            drain(ring.get_mut(), shared, usize::MAX);
        }
        Ok(())
    })
}

/// Empties the ring while fewer than `most` records wait. Is it empty?
fn drain(ring: &mut RingBuf<MapData>, shared: &Shared, most: usize) -> bool {
    loop {
        if shared.lock().waiting() >= most {
            return false;
        }
        let (mut batch, mut errors) = (Vec::new(), Vec::new());
        while batch.len() < BATCH {
            match ring.next().map(|item| Record::decode(&item)) {
                None => break,
                Some(Ok(record)) => batch.push(record),
                Some(Err(error)) => errors.push(error),
            }
        }
        let empty = batch.len() < BATCH;
        let mut arrived = shared.lock();
        if let Some(error) = errors.first().filter(|_| arrived.malformed == 0) {
            log::error!("the ring buffer holds something that is not a record: {error}");
        }
        arrived.malformed += errors.len() as u64;
        if !batch.is_empty() {
            arrived.batches.push(batch);
        }
        drop(arrived);
        if empty {
            return true;
        }
        shared.news.notify_one();
    }
}
