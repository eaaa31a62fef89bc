//! What is written on: how wide it is, and whether it shows colour. Decided here for all commands.

use std::{
    io::{self, IsTerminal},
    os::fd::AsFd,
};

use terminal_size::{Width, terminal_size_of};

/// Without a terminal: as mails and tickets have it, and terminals that do not know their size.
const USUAL_COLUMNS: usize = 80;

/// A place that text is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// No line is wider, but for commands to copy.
    pub columns: usize,
    /// Shows styles as colours.
    pub colour: bool,
}

impl Page {
    /// Standard output as it is now.
    pub(crate) fn stdout() -> Page {
        Page::of(&io::stdout())
    }

    /// Standard error as it is now.
    pub(crate) fn stderr() -> Page {
        Page::of(&io::stderr())
    }

    fn of(stream: &(impl IsTerminal + AsFd)) -> Page {
        Page { columns: columns(stream).unwrap_or(USUAL_COLUMNS), colour: wants_colour(stream) }
    }

    /// The same, no wider than that: long lines are hard to read.
    pub(crate) fn at_most(self, columns: usize) -> Page {
        Page { columns: self.columns.min(columns), ..self }
    }
}

/// How wide lines may be: what the environment variable COLUMNS says, else the size of the terminal; `None` if neither
/// says anything. COLUMNS goes first because shells do not export it: whoever sets it for a command wants that width.
pub(crate) fn columns(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    let asked = || std::env::var("COLUMNS").ok()?.trim().parse().ok();
    // A pseudo-terminal without a size (`script`, some CI) says 0.
    let measured = || match terminal_size_of(stream) {
        Some((Width(columns @ 1..), _)) => Some(columns.into()),
        _ => stream.is_terminal().then_some(USUAL_COLUMNS),
    };
    asked().filter(|&columns| columns > 0).or_else(measured)
}

/// Is colour wanted? As the conventions have it: NO_COLOR (no-color.org), then CLICOLOR_FORCE and CLICOLOR
/// (bixense.com/clicolors), then whether it is a terminal and which (TERM).
pub(crate) fn wants_colour(stream: &impl IsTerminal) -> bool {
    let zero_forces_nothing = std::env::var_os("CLICOLOR_FORCE").is_none_or(|value| value != "0");
    if anstyle_query::no_color() {
        false
    } else if anstyle_query::clicolor_force() && zero_forces_nothing {
        true
    } else {
        anstyle_query::clicolor() != Some(false)
            && stream.is_terminal()
            && anstyle_query::term_supports_color()
    }
}
