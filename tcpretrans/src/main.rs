//! The command `tcpretrans`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tcpretrans::cli::run()
}
