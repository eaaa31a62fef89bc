//! The manual page: clap's sections, and those that a manual page has besides.

use std::io;

use clap::{Arg, Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};

use super::args::{CommandLine, EXAMPLES, EXIT_CODES};

/// The page in roff.
///
/// # Errors
/// None in practice: it is written to memory.
pub(super) fn page() -> io::Result<Vec<u8>> {
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
        command_section(&mut more, &command, subcommand);
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

/// A command, and those of its options that were not described yet as options of live tracing.
fn command_section(roff: &mut Roff, live: &Command, command: &Command) {
    let described = |argument: &Arg| live.get_arguments().any(|one| is_same(one, argument));
    let own: Vec<&Arg> = command.get_arguments().filter(|argument| !described(argument)).collect();
    let files: String = own
        .iter()
        .filter(|argument| argument.is_positional())
        .map(|argument| format!(" {}", value_names(argument).join(" ")))
        .collect();
    roff.control("SS", [format!("tcpretrans {}{files}", command.get_name()).as_str()]);
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut shared: Vec<String> = command
        .get_arguments()
        .filter(|argument| described(argument))
        .filter_map(|argument| argument.get_help_heading().map(str::to_lowercase))
        .collect();
    shared.dedup();
    let takes = match shared.is_empty() {
        true => String::new(),
        false => format!(" Takes options described above, too: {}.", shared.join(", ")),
    };
    roff.text([roman(format!("{about}.{takes}"))]);
    for argument in own {
        let mut help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let choices: Vec<String> =
            argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
        if argument.get_action().takes_values() && !choices.is_empty() {
            help = format!("{help}: {}", choices.join(", "));
        }
        paragraph(roff, bold(spelling(argument)), help);
    }
}

/// Is it the same option with the same meaning?
fn is_same(one: &Arg, other: &Arg) -> bool {
    one.get_long() == other.get_long()
        && one.get_help().map(ToString::to_string) == other.get_help().map(ToString::to_string)
}

fn value_names(argument: &Arg) -> Vec<String> {
    argument.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// `-n, --count N`, or the name of what is no option.
fn spelling(argument: &Arg) -> String {
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let options: Vec<String> = short.into_iter().chain(long).collect();
    let values = match argument.get_action().takes_values() {
        true => value_names(argument),
        false => Vec::new(),
    };
    [options.join(", "), values.join(" ")]
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join(" ")
}

fn paragraph(roff: &mut Roff, tag: Inline, text: String) {
    roff.control("TP", []);
    roff.text([tag]);
    roff.text([roman(text)]);
}
