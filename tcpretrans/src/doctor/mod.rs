//! `tcpretrans doctor`: can this machine trace, what is degraded, and which settings decide over connections.

pub(crate) mod args;
pub(crate) mod findings;
mod machine;
mod missing_fields;
mod printed;
mod proof;
mod retries_in_time;
mod sysctls;

use std::io::{self, Write};

use findings::{Findings, Item, Section, State};

use crate::{
    doctor::args::DoctorFormat,
    failure::{Failure, sentence},
    kernel,
    kernel::{btf::Btf, privileges::Standing},
    options::Exit,
    page::Page,
};

/// Machines full of containers have thousands.
const MOST_NAMESPACES: usize = 64;

/// Examines this machine and prints what it found. Exit code 0: tracing works; 3: it does not.
///
/// # Errors
/// If standard output cannot be written.
pub(crate) fn run(format: DoctorFormat) -> Result<Exit, Failure> {
    let findings = examine();
    let mut stdout = io::stdout().lock();
    let text = match format {
        DoctorFormat::Json => serde_json::to_string(&findings).map_err(Failure::stdout)? + "\n",
        DoctorFormat::Text => printed::render(&findings, Page::stdout()),
    };
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Failure::stdout)?;
    Ok(if findings.can_trace { Exit::Done } else { Exit::CannotTrace })
}

/// Examines this machine. Where privileges allow it, the programs are attached for a moment.
pub(crate) fn examine() -> Findings {
    let kernel = machine::release();
    let standing = Standing::read();
    let obstacle = standing.obstacles().into_iter().next().map(kernel::Error::from);
    let mut sections = vec![machine::foundations(&standing)];
    let (proof, failure) = match Btf::of_running_kernel() {
        Ok(btf) => {
            sections.push(machine::tracepoints(&btf));
            sections.push(machine::details(&btf));
            match obstacle {
                None => {
                    let mut proof = proof::run(&btf);
                    let failure = proof.failure.take();
                    (proof, failure)
                }
                Some(obstacle) => (proof::not_run(&kernel), Some(obstacle)),
            }
        }
        Err(error) => {
            // Missing BTF was reported above already; this is for a file that is there and is none.
            if standing.btf.is_none() {
                let items = vec![Item::new("BTF", State::Missing, error.to_string())];
                sections.push(Section { name: "Kernel types", items });
            }
            (proof::not_run(&kernel), Some(obstacle.unwrap_or_else(|| error.into())))
        }
    };
    sections.push(proof.section);
    let (namespaces, namespaces_left_out) = match sysctls::of_namespaces(MOST_NAMESPACES) {
        Ok(found) => found,
        Err(error) => {
            let items = vec![Item::new("namespaces", State::Unknown, error.to_string())];
            sections.push(Section { name: "Network namespaces", items });
            (Vec::new(), 0)
        }
    };
    let verdict = verdict(failure.as_ref(), Findings::count(&sections, State::Degraded));
    Findings {
        version: env!("CARGO_PKG_VERSION"),
        kernel,
        hz: proof.hz,
        sections,
        namespaces,
        namespaces_left_out,
        can_trace: failure.is_none(),
        verdict,
    }
}

fn verdict(failure: Option<&kernel::Error>, degraded: usize) -> String {
    match (failure, degraded) {
        (Some(error), _) => format!("Cannot trace here: {}", sentence(error)),
        (None, 0) => "This machine can trace, and nothing is degraded.".to_owned(),
        (None, 1) => "This machine can trace; one thing is degraded (see above).".to_owned(),
        (None, many) => format!("This machine can trace; {many} things are degraded (see above)."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::btf::BtfError;

    #[test]
    fn the_verdict_is_one_line() {
        assert_eq!(verdict(None, 0), "This machine can trace, and nothing is degraded.");
        assert_eq!(verdict(None, 1), "This machine can trace; one thing is degraded (see above).");
        assert_eq!(verdict(None, 3), "This machine can trace; 3 things are degraded (see above).");
        let error = BtfError::Read { path: "it".into(), source: io::Error::other("two\nlines") }.into();
        assert_eq!(verdict(Some(&error), 2), "Cannot trace here: cannot read it: two ... lines");
    }
}
