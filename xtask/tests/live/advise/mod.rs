//! The advice by experiment: what it foretells from one recording is done, and measured.

mod connect_timeout;
mod fixture;
mod give_up;
mod requests;
mod rto_min;

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::tracer::PROGRAM;

/// Asks for advice.
pub fn advice(log: &Path, args: &[&str]) -> Value {
    let output = Command::new(&*PROGRAM)
        .args(["advise", "--format", "json"])
        .args(args)
        .arg(log)
        .output()
        .expect("the program under test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(output.stderr.is_empty(), "nothing to complain about: {stderr}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// A number somewhere in the advice, by JSON pointer.
pub fn number(advice: &Value, pointer: &str) -> f64 {
    let value = advice.pointer(pointer).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("no number at {pointer} in {advice}"))
}
