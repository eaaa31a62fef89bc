//! The findings for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::findings::{Findings, NamespaceSettings, Setting, State};

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Degraded => AnsiColor::Yellow.on_default(),
            Self::Missing => AnsiColor::Red.on_default().bold(),
            Self::Unknown => Style::new().dimmed(),
        }
    }
}

/// Writes text with or without colour.
struct Pen {
    text: String,
    colour: bool,
}

impl Pen {
    fn styled(&self, style: Style, text: &str) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn line(&mut self, line: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}", line.trim_end());
    }

    fn heading(&mut self, heading: &str) {
        let heading = self.styled(Style::new().bold(), heading);
        self.line("");
        self.line(&heading);
    }

    /// A mark, a name, and words.
    fn row(&mut self, mark: &str, style: Style, name: &str, width: usize, detail: &str) {
        let mark = self.styled(style, &format!("{mark:<8}"));
        self.line(&format!("  {mark}  {name:<width$}  {detail}"));
    }
}

/// The whole report; the verdict is its last line.
pub fn render(findings: &Findings, colour: bool) -> String {
    let mut pen = Pen { text: String::new(), colour };
    pen.line(&format!("tcpretrans {} on Linux {}", findings.version, findings.kernel));
    for section in &findings.sections {
        pen.heading(section.name);
        let width = section.items.iter().map(|item| item.name.len()).max().unwrap_or(0);
        for item in &section.items {
            pen.row(item.state.word(), item.state.style(), &item.name, width, &item.detail);
        }
    }
    if let Some((own, others)) = findings.namespaces.split_first() {
        render_namespace(&mut pen, own, true);
        let (changed, untouched): (Vec<&NamespaceSettings>, Vec<_>) =
            others.iter().partition(|namespace| namespace.error.is_some() || has_changes(namespace));
        for namespace in changed {
            render_namespace(&mut pen, namespace, false);
        }
        if !untouched.is_empty() {
            let labels: Vec<&str> = untouched.iter().map(|namespace| namespace.label.as_str()).collect();
            pen.line("");
            pen.line(&format!("All TCP settings are as the kernel sets them in: {}", labels.join(", ")));
        }
    }
    if findings.namespaces_left_out > 0 {
        pen.line("");
        pen.line(&format!("... and {} more network namespaces", findings.namespaces_left_out));
    }
    pen.line("");
    let style = if findings.can_trace { State::Ok.style() } else { State::Missing.style() };
    let verdict = pen.styled(style, &findings.verdict);
    pen.line(&verdict);
    pen.text
}

fn has_changes(namespace: &NamespaceSettings) -> bool {
    namespace.sysctls.iter().any(|setting| setting.value != setting.default)
}

/// The process's own namespace in full, of the others what is not as the kernel sets it.
fn render_namespace(pen: &mut Pen, namespace: &NamespaceSettings, in_full: bool) {
    pen.heading(&format!("TCP settings of network namespace {} ({})", namespace.netns, namespace.label));
    if let Some(error) = &namespace.error {
        pen.row(State::Unknown.word(), State::Unknown.style(), error, 0, "");
        return;
    }
    let shown: Vec<&Setting> =
        namespace.sysctls.iter().filter(|setting| in_full || setting.value != setting.default).collect();
    let name = |setting: &Setting| format!("{}={}", setting.name, setting.value);
    let width = shown.iter().map(|setting| name(setting).len()).max().unwrap_or(0);
    for setting in shown {
        if setting.value == setting.default {
            pen.row("", Style::new(), &name(setting), width, &setting.meaning);
        } else {
            let detail = format!("{} (default {})", setting.meaning, setting.default);
            pen.row("changed", AnsiColor::Cyan.on_default(), &name(setting), width, &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::findings::{Item, Section};

    fn setting(name: &'static str, value: i64, default: i64) -> Setting {
        Setting { name, value, default, meaning: "means something".to_owned() }
    }

    fn findings() -> Findings {
        let namespace = |label: &str, sysctls, error| NamespaceSettings {
            netns: 7,
            label: label.to_owned(),
            sysctls,
            error,
        };
        Findings {
            version: "1.2.3",
            kernel: "6.1.0".to_owned(),
            hz: Some(250),
            sections: vec![Section {
                name: "Tracepoints",
                items: vec![
                    Item::new("tcp_retransmit_skb", State::Ok, ""),
                    Item::new("short", State::Degraded, "not in this kernel"),
                ],
            }],
            namespaces: vec![
                namespace("this one", vec![setting("a", 1, 1), setting("bb", 2, 3)], None),
                namespace("ip netns x", vec![setting("a", 1, 1)], None),
                namespace("ip netns y", vec![setting("a", 1, 1), setting("cc", 4, 5)], None),
                namespace("nginx[2]", vec![setting("a", 1, 1)], None),
                namespace("java[1]", Vec::new(), Some("cannot enter it: no".to_owned())),
            ],
            namespaces_left_out: 2,
            can_trace: true,
            verdict: "This machine can trace.".to_owned(),
        }
    }

    #[test]
    fn is_laid_out_in_columns() {
        let expected = "\
tcpretrans 1.2.3 on Linux 6.1.0

Tracepoints
  ok        tcp_retransmit_skb
  degraded  short               not in this kernel

TCP settings of network namespace 7 (this one)
            a=1   means something
  changed   bb=2  means something (default 3)

TCP settings of network namespace 7 (ip netns y)
  changed   cc=4  means something (default 5)

TCP settings of network namespace 7 (java[1])
  unknown   cannot enter it: no

All TCP settings are as the kernel sets them in: ip netns x, nginx[2]

... and 2 more network namespaces

This machine can trace.
";
        assert_eq!(render(&findings(), false), expected);
    }

    #[test]
    fn colour_changes_nothing_else() {
        let coloured = render(&findings(), true);
        assert!(coloured.contains("\x1b[32mok"), "{coloured:?}");
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            plain.push_str(before);
            rest = after.split_once('m').expect("an escape sequence").1;
        }
        plain.push_str(rest);
        // Trailing blanks differ: a coloured line ends in its reset.
        assert_eq!(plain, render(&findings(), false));
    }
}
