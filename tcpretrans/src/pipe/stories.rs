//! The driver with a made-up source, a made-up clock, and sinks that write down what they are asked to do.

use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use super::*;
use crate::{
    event::{LostWhere, What, samples as sample},
    filter::{Filter, gate::Before},
    sink::SinkError,
};

const MS: u64 = 1_000_000;

/// What happens at a time, in ms.
enum Step {
    Retransmission,
    /// The user presses Ctrl-C.
    Stop,
    /// Nothing comes any more.
    Exhausted,
}

#[derive(Default)]
struct MadeUp {
    steps: VecDeque<(u64, Step)>,
    /// On its way when the trace ends.
    rest: u32,
    now_ns: u64,
}

impl MadeUp {
    fn new(steps: impl IntoIterator<Item = (u64, Step)>) -> MadeUp {
        MadeUp { steps: steps.into_iter().collect(), ..MadeUp::default() }
    }
}

fn retransmission(pipe: &mut Pipe) {
    let event = sample::event(sample::ipv4_flow(), sample::retransmit(sample::rto()));
    pipe.trace().expect("a trace").pass_on(event);
    pipe.write();
}

impl Source for MadeUp {
    fn now_ns(&self) -> u64 {
        self.now_ns
    }

    fn wait(&mut self, until_ns: u64) -> Woken {
        let Some((at_ms, step)) = self.steps.front() else {
            self.now_ns = until_ns;
            return Woken::ByTime;
        };
        self.now_ns = until_ns.min(at_ms * MS).max(self.now_ns);
        match step {
            Step::Stop if self.now_ns >= at_ms * MS => Woken::By(Input::Stop),
            _ => Woken::ByTime,
        }
    }

    fn take(&mut self, pipe: &mut Pipe) -> Result<Supply, Failure> {
        while let Some((_, step)) = self.steps.pop_front_if(|(at_ms, _)| *at_ms * MS <= self.now_ns) {
            match step {
                Step::Retransmission => retransmission(pipe),
                Step::Stop => panic!("nothing is taken after a stop"),
                Step::Exhausted => return Ok(Supply::Exhausted),
            }
        }
        Ok(Supply::Open)
    }

    fn tick(&mut self, pipe: &mut Pipe) -> Result<(), Failure> {
        pipe.trace().expect("a trace").losses_were_counted(self.now_ns, &[], false);
        Ok(())
    }

    fn finish(&mut self, pipe: &mut Pipe) -> Result<(), Failure> {
        (0..self.rest).for_each(|_| retransmission(pipe));
        pipe.end(self.now_ns, &End { duration_ms: self.now_ns / MS, ..End::default() });
        Ok(())
    }
}

/// What sinks were asked to do, but for flushes.
type Notes = Rc<RefCell<Vec<String>>>;

#[derive(Default)]
struct Notebook {
    notes: Notes,
    /// Events after which nobody reads any more.
    patience: Option<usize>,
    lost: u64,
}

impl Sink for Notebook {
    fn write(&mut self, event: &Event, _: &Clock) -> Result<(), SinkError> {
        if self.patience.is_some_and(|patience| self.notes.borrow().len() >= patience) {
            return Err(SinkError::Closed);
        }
        self.notes.borrow_mut().push(match &event.what {
            What::Start(_) => "start".to_owned(),
            What::Retransmit(_) => "retransmit".to_owned(),
            What::Lost(lost) => format!("lost {}", lost.records),
            What::End(end) => {
                let sent: u64 = end.retransmits.values().map(|total| total.sent).sum();
                format!("end {} ms, {sent} sent, {} lost", end.duration_ms, end.lost[&LostWhere::Output])
            }
            other => panic!("{other:?}"),
        });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn tick(&mut self, now_ns: u64, _: &Clock) -> Result<(), SinkError> {
        self.notes.borrow_mut().push(format!("tick {} ms", now_ns / MS));
        Ok(())
    }

    fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }
}

fn pipe(sinks: Vec<Notebook>, count: Option<u64>) -> Pipe {
    let sinks = sinks.into_iter().map(|sink| Box::new(sink) as Box<dyn Sink>).collect();
    let mut pipe = Pipe::new(Gate::new(Filter::default(), Before::Nothing), sinks, count);
    pipe.begin(sample::start_event(), flow::Config { max_flows: 10, ..flow::Config::new(1000) });
    pipe.write();
    pipe
}

/// Runs it all; what its one sink was asked to do.
fn notes_of(mut source: MadeUp, count: Option<u64>, stop_ms: Option<u64>) -> Vec<String> {
    let notes = Notes::default();
    let mut pipe = pipe(vec![Notebook { notes: notes.clone(), ..Notebook::default() }], count);
    run(&mut source, &mut pipe, stop_ms.map(|ms| ms * MS)).expect("nothing fails here");
    pipe.finish();
    notes.take()
}

#[test]
fn ticks_come_by_the_sources_clock_whether_or_not_anything_happens() {
    let steps = [(700, Step::Retransmission), (1700, Step::Exhausted)];
    assert_eq!(
        notes_of(MadeUp::new(steps), None, None),
        [
            "start",
            "tick 0 ms",
            "tick 500 ms",
            "retransmit",
            "tick 1000 ms",
            "tick 1500 ms",
            "end 1700 ms, 1 sent, 0 lost",
        ]
    );
}

#[test]
fn a_stop_ends_it_in_good_order_with_what_is_on_its_way() {
    let steps = [(100, Step::Retransmission), (200, Step::Stop)];
    let source = MadeUp { rest: 2, ..MadeUp::new(steps) };
    assert_eq!(
        notes_of(source, None, None),
        ["start", "tick 0 ms", "retransmit", "retransmit", "retransmit", "end 200 ms, 3 sent, 0 lost"]
    );
}

#[test]
fn it_stops_when_its_time_is_over() {
    let steps = [(300, Step::Retransmission)];
    assert_eq!(
        notes_of(MadeUp::new(steps), None, Some(600)),
        ["start", "tick 0 ms", "retransmit", "tick 500 ms", "end 600 ms, 1 sent, 0 lost"]
    );
}

#[test]
fn it_stops_when_enough_was_printed() {
    let steps = [(100, Step::Retransmission), (100, Step::Retransmission), (100, Step::Retransmission)];
    assert_eq!(
        notes_of(MadeUp::new(steps), Some(2), None),
        ["start", "tick 0 ms", "retransmit", "retransmit", "end 100 ms, 2 sent, 0 lost"]
    );
}

#[test]
fn a_closed_output_ends_it_and_the_others_have_their_end() {
    let (closed, other) = (Notes::default(), Notes::default());
    let sinks = vec![
        Notebook { notes: closed.clone(), patience: Some(2), ..Notebook::default() },
        Notebook { notes: other.clone(), ..Notebook::default() },
    ];
    let mut pipe = pipe(sinks, None);
    let mut source = MadeUp::new([(100, Step::Retransmission), (900, Step::Retransmission)]);
    run(&mut source, &mut pipe, None).expect("a closed pipe is no failure");
    assert_eq!(closed.take(), ["start", "tick 0 ms"]);
    assert_eq!(other.take(), ["start", "tick 0 ms", "retransmit", "end 100 ms, 1 sent, 0 lost"]);
}

#[test]
fn what_an_output_lost_is_reported_and_counted() {
    let notes = Notes::default();
    let mut pipe = pipe(vec![Notebook { notes: notes.clone(), lost: 7, ..Notebook::default() }], None);
    run(&mut MadeUp::new([(100, Step::Exhausted)]), &mut pipe, None).expect("nothing fails here");
    assert_eq!(notes.take(), ["start", "tick 0 ms", "lost 7", "end 100 ms, 0 sent, 7 lost"]);
}
