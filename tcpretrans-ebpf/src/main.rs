//! The BPF programs: thin, dumb, one a tracepoint. They decide only whether a record is worth making
//! (filters, and "has this socket any trouble?"); everything else is decided in userspace.
#![no_std]
#![no_main]

mod programs;

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // A reachable panic must fail at load time, not run: the verifier refuses this loop.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
