//! The few commands that set the lab up: `ip`, `iptables`, `ip6tables`, `tc`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// Runs a command in the calling thread's namespace and gives its standard output.
///
/// # Errors
/// The whole command line, with what it said.
pub fn run(program: &str, args: &[&str]) -> Result<String> {
    run_with_input(program, args, "")
}

/// [`run`] with something on standard input.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(program: &str, args: &[&str], input: &str) -> Result<String> {
    let line = || format!("`{program} {}`", args.join(" "));
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("could not start {}", line()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input may be gone by now; what it said tells more than EPIPE.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().with_context(|| format!("could not wait for {}", line()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", line(), output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `ip ARGS`
///
/// # Errors
/// As [`run`].
pub fn ip(args: &[&str]) -> Result<()> {
    run("ip", args).map(drop)
}

/// `ip -n NAMESPACE -batch -`: many commands in one process.
///
/// # Errors
/// As [`run`].
pub fn ip_batch(namespace: &str, batch: &str) -> Result<()> {
    run_with_input("ip", &["-n", namespace, "-batch", "-"], batch)
        .map(drop)
        .with_context(|| format!("in the batch:\n{batch}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_what_it_said() {
        let error = run("sh", &["-c", "echo no such thing >&2; exit 3"]).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("no such thing") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run("no-such-program-here", &[]).unwrap_err().to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
    }

    #[test]
    fn input_and_output_pass() {
        assert_eq!(run_with_input("cat", &[], "two\nlines\n").unwrap(), "two\nlines\n");
    }
}
