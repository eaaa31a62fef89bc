//! The manual page: clap's sections, and those that a manual page has besides.

use std::io;

use clap::CommandFactory;
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};

use super::args::{CommandLine, EXAMPLES, EXIT_CODES};

/// The page in roff.
///
/// # Errors
/// None in practice: it is written to memory.
pub fn page() -> io::Result<Vec<u8>> {
    let command = CommandLine::command();
    let man = Man::new(command.clone()).manual("User Commands");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;

    let mut more = Roff::new();
    more.control("SH", ["COMMANDS"]);
    for subcommand in command.get_subcommands() {
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        paragraph(&mut more, bold(format!("tcpretrans {}", subcommand.get_name())), about);
    }
    more.control("SH", ["EXAMPLES"]);
    for (example, meaning) in EXAMPLES {
        paragraph(&mut more, bold(*example), (*meaning).to_owned());
    }
    more.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT_CODES {
        paragraph(&mut more, bold(code.to_string()), (*meaning).to_owned());
    }
    more.control("SH", ["SEE ALSO"]);
    more.text([bold("ss"), roman("(8), "), bold("tcp"), roman("(7), "), bold("ip-netns"), roman("(8)")]);
    more.to_writer(&mut page)?;
    Ok(page)
}

fn paragraph(roff: &mut Roff, tag: Inline, text: String) {
    roff.control("TP", []);
    roff.text([tag]);
    roff.text([roman(text)]);
}
