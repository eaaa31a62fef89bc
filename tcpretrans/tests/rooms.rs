//! The rooms of the crate stand one above the other: each uses only what is below it. This holds for tests as well.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use proc_macro2::{TokenStream, TokenTree};

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

/// The names that follow a path's beginning: one, or all that its braces hold.
fn next_parts(rest: &[TokenTree], names: &mut BTreeSet<String>) {
    match rest.first() {
        Some(TokenTree::Ident(name)) => {
            names.insert(name.to_string());
        }
        Some(TokenTree::Group(group)) => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            for item in tokens.split(|token| is_mark(token, ',')) {
                next_parts(item, names);
            }
        }
        _ => {}
    }
}

fn is_mark(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

/// What follows `beginning` and `::`, if the tokens start so.
fn after<'a>(tokens: &'a [TokenTree], beginning: &str) -> Option<&'a [TokenTree]> {
    match tokens {
        [TokenTree::Ident(name), one, two, rest @ ..]
            if name == beginning && is_mark(one, ':') && is_mark(two, ':') =>
        {
            Some(rest)
        }
        _ => None,
    }
}

/// Adds what comes after `crate::` and after enough `super::` to lead out of a room, at any depth of the code.
fn names_in(code: TokenStream, depth: usize, names: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = code.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            names_in(group.stream(), depth, names);
        }
        // In the middle of a path there is no beginning of another.
        if at > 1 && is_mark(&tokens[at - 1], ':') && is_mark(&tokens[at - 2], ':') {
            continue;
        }
        if let Some(rest) = after(&tokens[at..], "crate") {
            next_parts(rest, names);
        }
        let (mut rest, mut ups) = (&tokens[at..], 0);
        while let Some(more) = after(rest, "super") {
            (rest, ups) = (more, ups + 1);
        }
        // Within a file there may be modules, so one more `super::` may be needed.
        if ups >= depth && ups > 0 {
            next_parts(rest, names);
        }
    }
}

/// The rooms that a file of the module `path` names. Macros and tests are code like any other.
fn used_rooms(text: &str, path: &[String]) -> BTreeSet<String> {
    let code = TokenStream::from_str(text).expect("Rust");
    let mut names = BTreeSet::new();
    names_in(code, path.len(), &mut names);
    names.into_iter().filter(|name| floor(name).is_some() && *name != path[0]).collect()
}

#[test]
fn every_room_uses_only_what_is_below_it() {
    let mut files = Vec::new();
    modules(&sources(), &[], &mut files);
    let mut wrong = Vec::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, path) in files {
        let Some(room) = path.first() else { continue };
        let own = floor(room).unwrap_or_else(|| panic!("{room} has no place in the order of rooms"));
        for used in used_rooms(&fs::read_to_string(&file).expect("readable"), &path) {
            if floor(&used).is_some_and(|other| other <= own) {
                let name = file.strip_prefix(sources()).expect("below the sources").display();
                wrong.push(format!("{name}: {room} uses {used}"));
            }
            edges.entry(room.clone()).or_default().insert(used);
        }
    }
    assert!(edges.len() > 10, "the sources were not understood: {edges:?}");
    assert!(wrong.is_empty(), "these run up:\n{}", wrong.join("\n"));
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
        used_rooms(text, &path).into_iter().collect::<Vec<_>>().join(" ")
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
