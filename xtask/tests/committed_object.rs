//! The committed BPF object belongs to the sources beside it.

use std::collections::BTreeSet;

use tcpretrans::internals::{RECOVERY_EXIT, Tracepoint};
use tcpretrans_ebpf::Kind;
use xtask::ebpf::{self, manifest, object::Contents};

#[test]
fn the_committed_object_comes_from_these_sources() {
    if let Err(error) = manifest::check_committed() {
        panic!("{error:#}");
    }
}

#[test]
fn the_committed_object_is_stripped_and_whole() {
    let bytes = std::fs::read(ebpf::object_path()).unwrap();
    let contents = Contents::read(&bytes).unwrap();
    let (programs, data) = contents.interface.counts();
    assert!(programs >= 3 && data >= 3, "{:?}", contents.interface);
    assert!(!bytes.windows(6).any(|window| window == b".debug"), "debug sections are left");
}

#[test]
fn there_is_a_program_for_each_kind_of_record_and_no_other() {
    let contents = Contents::read(&std::fs::read(ebpf::object_path()).unwrap()).unwrap();
    let programs: BTreeSet<&str> = contents.interface.programs().collect();
    let others = [Kind::Seed.name(), RECOVERY_EXIT];
    let wanted: BTreeSet<&str> = Tracepoint::all().map(|tracepoint| tracepoint.name).chain(others).collect();
    assert_eq!(programs, wanted);
}

#[test]
fn stripping_twice_changes_nothing() {
    let bytes = std::fs::read(ebpf::object_path()).unwrap();
    assert_eq!(ebpf::object::strip(&bytes).unwrap(), bytes);
}

#[test]
fn a_damaged_object_is_an_error() {
    let bytes = std::fs::read(ebpf::object_path()).unwrap();
    for end in [0, 10, 64, bytes.len() / 2] {
        assert!(Contents::read(&bytes[..end]).is_err(), "the first {end} bytes pass for an object");
    }
}
