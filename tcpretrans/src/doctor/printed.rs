//! The findings for people.

use anstyle::Style;

use super::findings::{Findings, NamespaceSettings, Setting, State};
use crate::page::{ALARM, COMMAND, FAINT, GOOD, NOTICE, PLAIN, Page, Pen, Text};

/// Columns of the marks.
const MARK: usize = 8;

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
            Self::Ok => GOOD,
            Self::Degraded => NOTICE,
            Self::Missing => ALARM,
            Self::Unknown => FAINT,
        }
    }
}

/// The whole report; its last paragraph is the conclusion.
pub(super) fn render(findings: &Findings, page: Page) -> String {
    let mut pen = Pen::new(page);
    pen.line(format!("tcpretrans {} on Linux {}", findings.version, findings.kernel));
    for section in &findings.sections {
        pen.heading(section.name);
        let width = section.items.iter().map(|item| item.name.len()).max().unwrap_or(0);
        for item in &section.items {
            finding(
                &mut pen,
                Text::styled(item.state.style(), item.state.word()),
                &item.name,
                width,
                &item.detail,
            );
        }
    }
    if let Some((own, others)) = findings.namespaces.split_first() {
        namespace(&mut pen, own, true);
        let (changed, untouched): (Vec<&NamespaceSettings>, Vec<_>) =
            others.iter().partition(|namespace| namespace.error.is_some() || has_changes(namespace));
        for other in changed {
            namespace(&mut pen, other, false);
        }
        if !untouched.is_empty() {
            let labels: Vec<&str> = untouched.iter().map(|namespace| namespace.label.as_str()).collect();
            pen.gap();
            let text = format!("All TCP settings have the kernel's defaults in: {}", labels.join(", "));
            pen.paragraph("", 2, PLAIN, text);
        }
    }
    if findings.namespaces_left_out > 0 {
        pen.gap();
        pen.line(format!("... and {} more network namespaces", findings.namespaces_left_out));
    }
    pen.gap();
    let style = if findings.can_trace { State::Ok.style() } else { State::Missing.style() };
    explained(&mut pen, Text::default(), 0, style, &findings.verdict);
    pen.finish()
}

/// A mark, a name, and words.
fn finding(pen: &mut Pen, mark: Text, name: &str, width: usize, detail: &str) {
    let lead = Text::blank(2).then(mark.pad(MARK)).and(PLAIN, format!("  {name:<width$}  "));
    let indent = lead.width();
    explained(pen, lead, indent, PLAIN, detail);
}

/// Words. What keeps a machine from tracing often ends in the command that helps, `...: sudo ...`: to be copied, it
/// stands alone on its line.
fn explained(pen: &mut Pen, lead: Text, indent: usize, style: Style, text: &str) {
    match text.split_once(": sudo ") {
        Some((words, command)) => {
            pen.paragraph(lead, indent, style, format!("{words}:"));
            pen.command(6, &format!("sudo {command}"));
        }
        None => pen.paragraph(lead, indent, style, text),
    }
}

fn has_changes(namespace: &NamespaceSettings) -> bool {
    namespace.sysctls.iter().any(|setting| setting.value != setting.default)
}

/// The process's own namespace in full, of the others what is not as the kernel sets it.
fn namespace(pen: &mut Pen, namespace: &NamespaceSettings, in_full: bool) {
    pen.heading(&format!("TCP settings of network namespace {} ({})", namespace.netns, namespace.label));
    if let Some(error) = &namespace.error {
        let unknown = Text::styled(State::Unknown.style(), State::Unknown.word());
        let lead = Text::blank(2).then(unknown.pad(MARK + 2));
        pen.paragraph(lead, MARK + 4, PLAIN, error);
        return;
    }
    let shown: Vec<&Setting> =
        namespace.sysctls.iter().filter(|setting| in_full || setting.value != setting.default).collect();
    let name = |setting: &Setting| format!("{}={}", setting.name, setting.value);
    let width = shown.iter().map(|setting| name(setting).len()).max().unwrap_or(0);
    for setting in shown {
        if setting.value == setting.default {
            finding(pen, Text::default(), &name(setting), width, &setting.meaning);
        } else {
            let detail = format!("{} (default {})", setting.meaning, setting.default);
            finding(pen, Text::styled(COMMAND, "changed"), &name(setting), width, &detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doctor::findings::{Item, Section},
        page::proof,
    };

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

    fn rendered(columns: usize, colour: bool) -> String {
        render(&findings(), Page { columns, colour })
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

All TCP settings have the kernel's defaults in: ip netns x, nginx[2]

... and 2 more network namespaces

This machine can trace.
";
        assert_eq!(rendered(80, false), expected);
    }

    #[test]
    fn colour_changes_nothing_else() {
        let coloured = rendered(80, true);
        assert!(coloured.contains("\x1b[32mok"), "{coloured:?}");
        let plain = proof::plain(&coloured);
        assert_eq!(plain, rendered(80, false));
    }

    #[test]
    fn a_command_to_copy_stands_alone() {
        let command = "sudo setcap cap_bpf,cap_perfmon=ep /a/place/with/a/long/name/tcpretrans";
        let mut findings = findings();
        findings.can_trace = false;
        findings.verdict =
            format!("Cannot trace here: no privilege to load BPF programs; grant it with: {command}");
        findings.sections[0].items[1].detail = "words ".repeat(40) + "\u{1b}[2J";
        for columns in [20, 60, 80, 100, 200] {
            let text = render(&findings, Page { columns, colour: false });
            assert!(text.lines().any(|line| line.trim_start() == command), "{text}");
            proof::fits(&text, columns, &proof::COMMANDS);
        }
    }
}
