//! The rooms of the crate stand one above the other: each uses only what is below it. This holds for tests as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The order, uppermost first; rooms on one line use nothing of each other. `docs/architecture.md` shows the same.
const FLOORS: &[&[&str]] = &[
    &["cli"],
    &["demo"],
    &["live", "replay", "report", "advise", "doctor"],
    &["pipe"],
    &["failure"],
    &["owner", "recording"],
    &["flow", "sink"],
    &["options"],
    &["kernel"],
    &["form"],
    &["deadline", "filter"],
    &["page", "event"],
    &["words"],
    &["socket"],
];

/// What still runs up. Nothing may be added; what is mended has to leave this list.
const TO_BE_MENDED: &[(&str, &str)] = &[("words/errno.rs", "event"), ("words/tracepoint.rs", "kernel")];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Files below a directory, with the path of modules that leads to each.
fn modules(directory: &Path, path: &[String], found: &mut Vec<(PathBuf, Vec<String>)>) {
    for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()) {
        let stem = entry.file_stem().expect("a name").to_str().expect("ASCII").to_owned();
        if entry.is_dir() {
            modules(&entry, &[path, &[stem]].concat(), found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let own: &[String] = if matches!(stem.as_str(), "mod" | "lib" | "main") { &[] } else { &[stem] };
            found.push((entry, [path, own].concat()));
        }
    }
}

/// The text without comments and without what is in quotation marks: neither imports anything.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['/', '"', '\'']) {
        code.push_str(&rest[..at]);
        rest = &rest[at..];
        let skipped = match rest.as_bytes() {
            [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
            [b'"', ..] if code.ends_with(['r', '#']) && code.trim_end_matches('#').ends_with('r') => {
                let hashes = code.len() - code.trim_end_matches('#').len();
                let end = format!("\"{}", "#".repeat(hashes));
                rest[1..].find(&end).map_or(rest.len(), |at| at + 1 + end.len())
            }
            [b'"', ..] => quoted(rest, b'"'),
            [b'\'', b'\\', ..] => quoted(rest, b'\''),
            // A character, or else a lifetime.
            [b'\'', ..] => match rest[1..].char_indices().nth(1) {
                Some((at, '\'')) => at + 2,
                _ => 1,
            },
            _ => {
                code.push('/');
                1
            }
        };
        rest = &rest[skipped..];
    }
    code + rest
}

/// Length of what begins with that mark and ends with the next one that is not escaped.
fn quoted(text: &str, mark: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() && bytes[at] != mark {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// The names that follow `prefix` as the next part of a path: one, or all that its braces hold.
fn next_parts(code: &str, prefix: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let name = |text: &str| text.trim_start().chars().take_while(|&c| is_name(c)).collect::<String>();
    let mut parts = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| is_name(c) || c == ':') {
            continue;
        }
        let rest = code[at + prefix.len()..].trim_start();
        let Some(group) = rest.strip_prefix('{') else {
            parts.push(name(rest));
            continue;
        };
        let (mut depth, mut begin) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    parts.push(name(&group[begin..at]));
                    begin = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The rooms that a file of `room` names, with `crate::` or with as many `super::` as lead out of it. Within a file
/// there may be modules, so one `super::` more may be needed.
fn used_rooms(code: &str, path: &[String]) -> BTreeSet<String> {
    let mut names = next_parts(code, "crate::");
    for more in 0..2 {
        names.extend(next_parts(code, &"super::".repeat(path.len() + more)));
    }
    names.into_iter().filter(|name| floor(name).is_some() && *name != path[0]).collect()
}

#[test]
fn every_room_uses_only_what_is_below_it() {
    let mut files = Vec::new();
    modules(&sources(), &[], &mut files);
    let mut wrong = Vec::new();
    let mut left = TO_BE_MENDED.to_vec();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, path) in files {
        let Some(room) = path.first() else { continue };
        let code = code(&fs::read_to_string(&file).expect("readable"));
        let own = floor(room).unwrap_or_else(|| panic!("{room} has no place in the order of rooms"));
        for used in used_rooms(&code, &path) {
            let name = file.strip_prefix(sources()).expect("below the sources").to_str().expect("ASCII");
            if floor(&used).is_some_and(|other| other <= own) {
                if let Some(at) = left.iter().position(|known| *known == (name, used.as_str())) {
                    left.swap_remove(at);
                    continue;
                }
                wrong.push(format!("{name}: {room} uses {used}"));
            }
            edges.entry(room.clone()).or_default().insert(used);
        }
    }
    assert!(edges.len() > 10, "the sources were not understood: {edges:?}");
    assert!(wrong.is_empty(), "these run up:\n{}", wrong.join("\n"));
    assert!(left.is_empty(), "mended, so take it off the list: {left:?}");
}

#[test]
fn the_page_on_architecture_shows_the_same_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let page = fs::read_to_string(path).expect("readable");
    let order: Vec<String> = FLOORS.iter().map(|rooms| rooms.join(" ")).collect();
    assert!(page.contains(&format!("```text\n{}\n```", order.join("\n"))), "{}", order.join("\n"));
    for room in FLOORS.concat() {
        assert!(
            page.contains(&format!("| `{room}`")) || page.contains(&format!("` `{room}`")),
            "{room} has no row"
        );
    }
}

#[test]
fn imports_are_found_however_they_are_written() {
    let rooms = |text: &str, path: &str| {
        let path: Vec<String> = path.split('/').map(str::to_owned).collect();
        used_rooms(&code(text), &path).into_iter().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(rooms("use crate::sink::Sink;", "event"), "sink");
    assert_eq!(rooms("use crate::{\n    flow::{A, kernel::B},\n    sink,\n};", "event/x"), "flow sink");
    assert_eq!(rooms("let x: crate::sink::Sink = crate::form::y();", "event"), "form sink");
    assert_eq!(rooms("use super::super::sink::x; use super::y;", "event/run"), "sink");
    assert_eq!(rooms("mod tests { use super::super::super::{sink, form::x}; }", "event/run"), "form sink");
    assert_eq!(
        rooms("// crate::sink\nlet a = \"crate::form\"; let b = '\"'; use crate::flow;", "event"),
        "flow"
    );
    assert_eq!(rooms("let a = r#\"crate::form\" and\"#; fn f<'a>() { crate::flow::g() }", "event"), "flow");
    assert_eq!(rooms("other_crate::sink::x(); my::super::sink", "event"), "");
}
