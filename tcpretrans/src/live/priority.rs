//! The reader's turn on the CPU.

/// The most that there is, as atop takes for the same reason.
const NICE: libc::c_int = -20;

/// Lets this thread, and those that it will start, go before ordinary processes. It uses the CPU for microseconds an event, but it must come to its turn
/// before the ring is full: in a storm, of all times, when dozens of busy threads queue for each CPU and a fair share
/// would be a fiftieth. Without the right to do so (CAP_SYS_NICE) the ring alone has to bridge the wait.
pub(super) fn raise() {
    // SAFETY: changes a number of this thread's own (setpriority(2), "C library/kernel differences"); has no preconditions.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS as _, 0, NICE) } != 0 {
        let error = std::io::Error::last_os_error();
        log::info!(
            "cannot raise the priority of tcpretrans: {error}; many events at once may fill the ring buffer"
        );
    }
}
