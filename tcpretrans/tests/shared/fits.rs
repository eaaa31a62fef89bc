//! Does a text fit into its columns? One answer for the tests of all renderers, and of the program as a whole.

use unicode_width::UnicodeWidthStr;

/// How commands to copy begin: these alone may be wider than the page.
pub(crate) const COMMANDS: [&str; 5] = ["ip ", "sysctl ", "sudo ", "tcpretrans ", "unsigned ms"];

/// The text without `ESC [ ... m`.
pub(crate) fn plain(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| plain + part.split_once('m').expect("a colour").1)
}

/// Lines that are wider than the page, commands excepted.
pub(crate) fn too_wide(text: &str, columns: usize, commands: &[&str]) -> Vec<String> {
    let is_command = |line: &str| commands.iter().any(|command| line.trim_start().starts_with(command));
    let text = plain(text);
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    lines.filter(|line| line.width() > columns && !is_command(line)).map(str::to_owned).collect()
}

/// Fails with the lines that are too wide, or that would control the terminal.
#[track_caller]
pub(crate) fn fits(text: &str, columns: usize, commands: &[&str]) {
    let wide = too_wide(text, columns, commands);
    assert!(wide.is_empty(), "wider than {columns} columns:\n{}\nin\n{text}", wide.join("\n"));
    let plain = plain(text);
    let control = plain.chars().find(|&c| c.is_control() && !matches!(c, '\n' | '\r') || c == '\u{202e}');
    assert_eq!(control, None, "{text:?}");
}
