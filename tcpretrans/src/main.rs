//! The command `tcpretrans`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcpretrans::cli::run(|_config| {
        tcpretrans::kernel::privileges::check()?;
        anyhow::bail!("live tracing is not linked into this build")
    })
}
