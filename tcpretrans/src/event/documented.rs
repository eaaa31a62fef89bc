//! `docs/` and the definitions say the same.

use std::collections::BTreeSet;

use super::{
    Cause, Flow, Knob, RetransmitType, ThresholdName, What,
    json::{Field, Object, Shape},
};

const EVENTS: &str = include_str!("../../../docs/events.md");
const ENDINGS: &str = include_str!("../../../docs/endings.md");
const README: &str = include_str!("../../../README.md");
const TYPES: &str = include_str!("../../../docs/retransmission-types.md");

/// What all lines have, in front of their event's own fields.
const COMMON: [&str; 3] = ["ts", "mono_ns", "event"];

/// Where a page is about something: from its heading to the next one that is no lower.
fn section<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let mut start = None;
    let mut at = 0;
    for line in page.split_inclusive('\n') {
        let level = line.bytes().take_while(|&byte| byte == b'#').count();
        match start {
            Some((from, depth)) if level > 0 && level <= depth => return Some(&page[from..at]),
            None if level > 0 && line[level..].trim_start().starts_with(&format!("`{name}`")) => {
                start = Some((at, level));
            }
            _ => {}
        }
        at += line.len();
    }
    start.map(|(from, _)| &page[from..])
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of a section's tables whose first column is called so, up to the next heading: first cell, and the rest.
fn rows<'a>(section: &'a str, column: &str) -> Vec<(&'a str, &'a str)> {
    let mut rows = Vec::new();
    let mut within = false;
    for line in section.lines().skip(1).take_while(|line| !line.starts_with('#')) {
        let cells = line.strip_prefix('|').and_then(|line| line.split_once('|'));
        match cells {
            None => within = false,
            Some((first, _)) if first.trim() == column => within = true,
            Some((first, _)) if first.starts_with("---") => {}
            Some(row) if within => rows.push(row),
            Some(_) => {}
        }
    }
    rows
}

/// Holds a section's field table against a definition.
fn compare(section: &str, what: &str, fields: &[&Field], further: &[&str]) {
    let rows = rows(section, "field");
    let documented: Vec<&str> = rows.iter().flat_map(|(first, _)| quoted(first)).collect();
    let defined: Vec<&str> = fields.iter().map(|field| field.name).chain(further.iter().copied()).collect();
    assert_eq!(
        documented.iter().collect::<BTreeSet<_>>(),
        defined.iter().collect::<BTreeSet<_>>(),
        "docs/events.md has left, and src/event has right, of {what}"
    );
    assert_eq!(documented.len(), defined.len(), "{what} is documented twice: {documented:?}");
    for field in fields {
        let Some((_, row)) = rows.iter().find(|(first, _)| quoted(first).contains(&field.name)) else {
            continue;
        };
        match field.shape {
            Shape::Plain => {}
            Shape::Names(names) => {
                // "as in `deadline`"
                let elsewhere =
                    quoted(row).iter().filter_map(|name| self::section(EVENTS, name)).collect::<String>();
                for name in names {
                    let is_named = quoted(row).contains(name) || quoted(&elsewhere).contains(name);
                    assert!(is_named, "docs/events.md lacks \"{name}\" of {what}.{}", field.name);
                }
            }
            Shape::Object(fields) => match self::section(EVENTS, field.name) {
                Some(section) => compare(section, field.name, &fields.iter().collect::<Vec<_>>(), &[]),
                None => {
                    for part in fields {
                        let is_named =
                            quoted(row).contains(&part.name) || row.contains(&format!("\"{}\"", part.name));
                        assert!(is_named, "docs/events.md lacks {what}.{}.{}", field.name, part.name);
                    }
                }
            },
        }
    }
}

#[test]
fn every_event_and_field_is_documented_and_nothing_else() {
    let kinds =
        rows(section(EVENTS, "event").unwrap_or(EVENTS.split_once("## In every line").unwrap().1), "field");
    let kinds = kinds.iter().find(|(first, _)| quoted(first) == ["event"]).expect("a row for `event`").1;
    let defined: Vec<&str> = What::definitions().iter().map(|(name, ..)| *name).collect();
    assert_eq!(quoted(kinds), defined, "the row `event` of docs/events.md");
    for (name, _, fields) in What::definitions() {
        let section =
            section(EVENTS, name).unwrap_or_else(|| panic!("docs/events.md has no section `{name}`"));
        let record = What::samples()
            .into_iter()
            .find(|what| what.name() == name)
            .is_some_and(|what| what.record().is_some());
        compare(section, name, &fields.iter().collect::<Vec<_>>(), if record { &["kernel"] } else { &[] });
    }
    compare(
        section(EVENTS, "flow").expect("a section"),
        "flow",
        &Flow::FIELDS.iter().collect::<Vec<_>>(),
        &[],
    );
    let every_line = EVENTS.split_once("## In every line").expect("a section").1;
    let rows = rows(every_line, "field");
    assert_eq!(rows.iter().flat_map(|(first, _)| quoted(first)).collect::<Vec<_>>(), COMMON);
}

/// The first cells of a page's tables that are about `column`.
fn entries<'a>(page: &'a str, column: &str) -> BTreeSet<&'a str> {
    let mut within = false;
    let mut entries = BTreeSet::new();
    for line in page.lines() {
        let Some((first, _)) = line.strip_prefix('|').and_then(|line| line.split_once('|')) else {
            within = false;
            continue;
        };
        if first.trim().starts_with(column) {
            within = true;
        } else if within {
            entries.extend(quoted(first));
        }
    }
    entries
}

#[test]
fn every_cause_is_explained() {
    let mut explained = entries(ENDINGS, "cause");
    for knob in Knob::ALL {
        explained.remove(knob.name());
    }
    // "with `who` `kernel`"
    explained.retain(|word| !["who", "kernel"].contains(word));
    assert!(ENDINGS.contains("## What gives `unknown`"));
    explained.insert(Cause::Unknown.name());
    assert_eq!(explained, Cause::ALL.map(Cause::name).into(), "docs/endings.md left, event/cause.rs right");
}

#[test]
fn every_type_is_explained() {
    let explained = entries(TYPES, "type");
    assert_eq!(
        explained,
        RetransmitType::ALL.map(RetransmitType::name).into(),
        "docs/retransmission-types.md left, event/retransmit.rs right"
    );
}

#[test]
fn the_readme_names_whatever_the_table_shows() {
    let quoted: BTreeSet<&str> = quoted(README).into_iter().collect();
    for ty in RetransmitType::ALL.into_iter().filter(|&ty| ty != RetransmitType::Unknown) {
        assert!(quoted.contains(ty.name()), "README.md does not name the type {}", ty.name());
    }
    // A threshold's line has the threshold's own name.
    let own = ["retransmit", "threshold"];
    let kinds = What::definitions().into_iter().filter(|(name, role, _)| role.printed && !own.contains(name));
    for name in kinds.map(|(name, ..)| name).chain(ThresholdName::ALL.map(ThresholdName::name)) {
        assert!(quoted.contains(name), "README.md does not name {name}");
    }
}
