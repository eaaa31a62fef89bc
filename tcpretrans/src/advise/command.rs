//! The edge: files in, text or JSON out.

use std::io::{self, Write};

use super::{Advice, Advisor, text};
use crate::{
    advise::args::{AdviseConfig, AdviseFormat},
    failure::Failure,
    filter::gate::{Before, Gate},
    options::Exit,
    page::Page,
    recording::{Detail, Reader, progress::Progress},
};

/// Runs `tcpretrans advise`.
///
/// # Errors
/// If a recording cannot be read, or standard output not be written.
pub(crate) fn run(config: &AdviseConfig) -> Result<Exit, Failure> {
    let mut reader = Reader::open(&config.files, Detail::Whole)?;
    let advice = read(&mut reader, config)?;
    let text = match config.format {
        AdviseFormat::Json => serde_json::to_string(&advice).map_err(Failure::stdout)? + "\n",
        AdviseFormat::Text => text::render(&advice, Page::stdout()),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::stdout)?;
    // Nobody may be reading standard error.
    let _ = reader.damage().write(&mut io::stderr().lock());
    Ok(if reader.damage().is_any() { Exit::Usage } else { Exit::Done })
}

fn read(reader: &mut Reader, config: &AdviseConfig) -> Result<Advice, Failure> {
    let mut gate = Gate::new(config.filter.clone(), Before::Nothing);
    let mut advisor = Advisor::new(config.questions.clone());
    let mut progress = Progress::on_stderr();
    while let Some(recorded) = reader.next() {
        let recorded = recorded?;
        if gate.passes(&recorded.event) {
            let wall_ns = recorded.clock.wall_ns(recorded.event.mono_ns);
            advisor.observe(recorded.session, wall_ns, &recorded.event);
        }
        progress.update(reader);
    }
    progress.finish();
    Ok(advisor.conclude())
}
