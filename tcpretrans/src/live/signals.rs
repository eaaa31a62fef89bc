//! The signals that end a trace in good order.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// SIGINT, SIGTERM, and SIGHUP unless it was ignored when the process started.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// The terminal went away. `nohup` has it ignored, and so it stays.
    hangup: Option<Signal>,
}

impl Signals {
    /// From now on they do not end the process. Within a tokio runtime.
    ///
    /// # Errors
    /// From the system.
    pub(super) fn listen() -> Result<Signals, Failure> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt()).map_err(cannot_listen("SIGINT"))?,
            terminate: signal(SignalKind::terminate()).map_err(cannot_listen("SIGTERM"))?,
            hangup: match is_ignored(libc::SIGHUP) {
                true => None,
                false => Some(signal(SignalKind::hangup()).map_err(cannot_listen("SIGHUP"))?),
            },
        })
    }

    /// Waits for one of them.
    pub(super) async fn received(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

fn cannot_listen(name: &str) -> impl FnOnce(io::Error) -> Failure {
    Failure::io(format!("cannot listen for {name}"))
}

fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: a null new action only asks for the old one, which is plain data.
    unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut before) == 0
            && before.sa_sigaction == libc::SIG_IGN
    }
}
