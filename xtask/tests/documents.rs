//! Every page is found from the README, and no link leads nowhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use xtask::workspace;

/// `[text](target)`, and not within code.
fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let spoken: String = line.split('`').step_by(2).collect::<Vec<_>>().join("x");
        let targets = spoken.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        links.extend(targets.map(|(target, _)| target.to_owned()));
    }
    links
}

/// What a heading is called in links: as GitHub does it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

fn root() -> PathBuf {
    workspace::root().canonicalize().expect("the workspace")
}

fn pages() -> Vec<PathBuf> {
    let markdown = |directory: &Path| {
        let entries =
            fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect::<Vec<_>>()
    };
    let root = root();
    let mut pages = markdown(&root);
    pages.extend(markdown(&root.join("docs")));
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// The pages that a page leads to.
fn led_to(page: &Path, wrong: &mut Vec<String>) -> Vec<PathBuf> {
    let text = fs::read_to_string(page).expect("readable");
    let name = page.strip_prefix(root()).expect("below the root").display();
    let mut reached = Vec::new();
    for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
        let (path, fragment) = link.split_once('#').unwrap_or((&link, ""));
        let target =
            if path.is_empty() { page.to_owned() } else { page.parent().expect("a folder").join(path) };
        let Ok(target) = target.canonicalize() else {
            wrong.push(format!("{name}: there is no {link}"));
            continue;
        };
        if !fragment.is_empty()
            && !anchors(&fs::read_to_string(&target).expect("readable")).contains(fragment)
        {
            wrong.push(format!("{name}: there is no heading {link}"));
        }
        reached.push(target);
    }
    reached
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_found() {
    let mut wrong = Vec::new();
    let mut found = BTreeSet::from([root().join("README.md"), root().join("CHANGELOG.md")]);
    let mut next: Vec<PathBuf> = found.iter().cloned().collect();
    while let Some(page) = next.pop() {
        for target in led_to(&page, &mut wrong) {
            let is_page = target.extension().is_some_and(|extension| extension == "md");
            if is_page && found.insert(target.clone()) {
                next.push(target);
            }
        }
    }
    let orphans = pages().into_iter().filter(|page| !found.contains(page));
    wrong.extend(orphans.map(|page| format!("{}: nothing links to it", page.display())));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_size_of_a_record_is_the_documented_one() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("readable");
    let size = tcpretrans_ebpf::Record::SIZE;
    assert!(
        page.contains(&format!("| a record | {size} bytes")),
        "docs/architecture.md: a record has {size} bytes"
    );
}

#[test]
fn what_a_heading_is_called_in_links() {
    assert_eq!(anchor("`end`"), "end");
    assert_eq!(anchor("Limits, told honestly"), "limits-told-honestly");
    assert_eq!(anchor("`--format json`"), "--format-json");
}
