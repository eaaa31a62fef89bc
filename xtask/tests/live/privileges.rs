//! Without the privileges to trace: exit code 3, and the message says what is missing. With just those: it works.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;
use xtask::lab::Lab;

use crate::{
    limits::FEATURES,
    storm::Storm,
    tracer::{PROGRAM, Tracer, is_type, netns},
};

const NOBODY: u32 = 65534;

/// A copy that anybody may run, wherever the source tree is.
fn public_copy() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("tcpretrans");
    fs::copy(&*PROGRAM, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    (dir, copy)
}

#[test]
fn nobody_is_told_what_is_missing() {
    require_lab!();
    let (_dir, program) = public_copy();
    for args in [&["--duration", "1s"][..], &["doctor"]] {
        let output = Command::new(&program).args(args).uid(NOBODY).gid(NOBODY).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(output.status.code(), Some(3), "{args:?}: {said}");
        for word in ["root", "CAP_BPF", "CAP_PERFMON"] {
            assert!(said.contains(word), "{args:?} does not name {word}: {said}");
        }
    }
}

#[test]
fn the_capabilities_that_the_message_names_suffice() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let mut storm = Storm::gather(&lab, 1);
    let (_dir, program) = public_copy();
    let as_nobody_with = |capabilities: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &NOBODY.to_string(), "--regid", &NOBODY.to_string(), "--clear-groups"]);
        command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]);
        command.arg(&program).args(["--netns", &netns(&lab.left)]);
        command
    };
    let mut command = as_nobody_with("-all,+bpf,+perfmon");
    if FEATURES.maps_are_locked_memory {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("CAP_SYS_RESOURCE") && said.contains("ulimit -l"), "{said}");
        command = as_nobody_with("-all,+bpf,+perfmon,+sys_resource");
    }
    let tracer = Tracer::launch(command);
    storm.break_out(&lab);
    tracer.wait_for("rto", |event| is_type(event, "rto"));
    tracer.finish().assert_clean();
}
