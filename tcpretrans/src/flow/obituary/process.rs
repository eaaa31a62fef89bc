//! Whose process closed a socket, and in which way.

use tcpretrans_ebpf::owner::exit;

use crate::flow::state::{Closer, FlowState};

/// A task's name.
pub(in crate::flow) fn comm(bytes: &[u8; 16]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The process that closed the socket, or else its owner. A thread has a name of its own: the owner's goes first.
pub(in crate::flow) fn closing(state: &FlowState) -> (Option<u32>, Option<String>) {
    let owner = (state.flow.pid, state.flow.comm.as_deref().map(str::to_owned));
    match &state.closer {
        Some(closer) if closer.tgid != 0 && owner.0 != Some(closer.tgid) => {
            (Some(closer.tgid), Some(comm(&closer.comm)))
        }
        _ => owner,
    }
}

/// ` (java, pid 123)`, or nothing.
pub(in crate::flow) fn in_brackets(state: &FlowState) -> String {
    match closing(state) {
        (Some(pid), Some(comm)) if !comm.is_empty() => format!(" ({comm}, pid {pid})"),
        (Some(pid), _) => format!(" (pid {pid})"),
        _ => String::new(),
    }
}

/// The signal that killed whoever closed the socket.
pub(in crate::flow) fn killed_by(closer: Option<&Closer>) -> Option<u8> {
    closer.and_then(|closer| exit::signal(closer.exit))
}
