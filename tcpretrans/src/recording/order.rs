//! Files in order of time, however they were named: a shell's `log*` gives the newest first.

use super::input::InputFile;

/// Puts the files of one session side by side, oldest first, and the sessions in order of time.
pub(super) fn by_time(mut inputs: Vec<InputFile>) -> Vec<InputFile> {
    inputs.sort_by_key(|input| input.head.first_ns);
    let mut ordered: Vec<InputFile> = Vec::with_capacity(inputs.len());
    while !inputs.is_empty() {
        let first = inputs.remove(0);
        let session = first.head.session.clone();
        ordered.push(first);
        if session.is_some() {
            let (same, other) = inputs.into_iter().partition(|input| input.head.session == session);
            let same: Vec<InputFile> = same;
            ordered.extend(same);
            inputs = other;
        }
    }
    ordered
}
