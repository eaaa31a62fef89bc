//! An event becomes a line.

use crate::{
    event::{
        Clock, Event,
        json::{Form, Value, WallClock, Writing},
    },
    form::kernel_object::{self, baseline},
};

/// Appends the event's line, newline included.
pub fn encode(event: &Event, clock: &Clock, line: &mut Vec<u8>) {
    let Event { mono_ns, flow, what } = event;
    let mut out = Writing { line, clock: *clock };
    out.raw("{\"ts\":");
    WallClock::write(mono_ns, &mut out);
    out.raw(",\"mono_ns\":");
    mono_ns.write(&mut out);
    out.raw(",\"event\":");
    out.name(what.name());
    if flow.is_some() || what.role().has_flow {
        out.raw(",\"flow\":");
        match flow {
            Some(flow) => flow.write(&mut out),
            None => out.raw("null"),
        }
    }
    what.write_fields(&mut out);
    if let Some(record) = what.record() {
        out.raw(",\"kernel\":");
        kernel_object::write(record, &baseline(event), out.line);
    }
    out.raw("}\n");
}
