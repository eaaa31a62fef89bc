//! Bad values and contradictions: exit code 2 and one clear sentence, before anything else. Needs no root.

use crate::tracer::command;

fn refused(args: &[&str]) -> String {
    let output = command(args).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{args:?}: one sentence, not {stderr}");
    assert!(output.stdout.is_empty(), "{args:?} printed {}", String::from_utf8_lossy(&output.stdout));
    stderr
}

#[test]
fn a_bad_value_is_named() {
    for (args, named) in [
        (&["--port", "70000"][..], "70000"),
        (&["--port", "10-5"], "10-5"),
        (&["--lport", "http!"], "http!"),
        (&["--rport", "80,81x"], "81x"),
        (&["--addr", "10.0.0.0/33"], "10.0.0.0/33"),
        (&["--laddr", "10.0.0"], "10.0.0"),
        (&["--raddr", "fd77::/129"], "fd77::/129"),
        (&["--type", "sometimes"], "sometimes"),
        (&["--pid", "init"], "init"),
        (&["--netns", "/no/such/namespace"], "/no/such/namespace"),
        (&["--cgroup", "/no/such/cgroup"], "/no/such/cgroup"),
        (&["--format", "xml"], "xml"),
        (&["--duration", "soon"], "soon"),
        (&["--count", "0"], "at least 1"),
        (&["--count", "many"], "many"),
        (&["--warn-at", "150"], "150"),
        (&["--rotate-size", "large", "-o", "/dev/null"], "large"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let stderr = refused(args);
        assert!(stderr.contains(named), "{args:?}: `{stderr}` does not name {named}");
    }
}

#[test]
fn what_can_show_nothing_is_refused() {
    for args in
        [&["--port", ""][..], &["--addr", ""], &["-4", "--addr", "fd77::1"], &["-6", "--laddr", "10.0.0.1"]]
    {
        assert!(!refused(args).trim().is_empty(), "{args:?} without a word");
    }
}
