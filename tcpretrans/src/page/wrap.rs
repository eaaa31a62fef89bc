//! Paragraphs.

/// Between a number and its unit: no line ends there.
const GLUE: char = '\u{a0}';
const UNITS: [&str; 14] =
    ["ms", "s", "min", "h", "d", "B", "kB", "MB", "GB", "TB", "KiB", "MiB", "%", "bytes"];

/// Breaks a text into lines of so many columns, the first one beginning with `first`, the others with `rest`.
pub(crate) fn wrap(text: &str, columns: usize, first: &str, rest: &str) -> Vec<String> {
    let text = glued(text);
    let options =
        textwrap::Options::new(columns).initial_indent(first).subsequent_indent(rest).break_words(true);
    textwrap::wrap(&text, options).into_iter().map(|line| line.trim_end().replace(GLUE, " ")).collect()
}

fn glued(text: &str) -> String {
    let mut glued = String::with_capacity(text.len());
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 {
            let unit = word.trim_end_matches(|c: char| c.is_ascii_punctuation() && c != '%');
            let after_number = glued.ends_with(|c: char| c.is_ascii_digit());
            glued.push(if after_number && UNITS.contains(&unit) { GLUE } else { ' ' });
        }
        glued.push_str(word);
    }
    glued
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs() {
        assert_eq!(wrap("one two three four", 12, "- ", "  "), ["- one two", "  three four"]);
        assert_eq!(wrap("unbreakable", 6, "", ""), ["unbrea", "kable"]);
    }

    #[test]
    fn a_number_stays_with_its_unit() {
        assert_eq!(wrap("within 12 ms, or 15 min", 10, "", ""), ["within", "12 ms, or", "15 min"]);
        assert_eq!(wrap("12 months", 8, "", ""), ["12", "months"]);
    }
}
