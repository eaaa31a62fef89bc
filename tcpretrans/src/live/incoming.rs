//! Records on their way from the ring to the correlator.

use std::collections::VecDeque;

use aya::maps::{MapData, RingBuf};
use tcpretrans_ebpf::{Kind, Record};

use crate::kernel::programs::KindCounts;

/// Records that are set aside at most: some 15 MiB for a moment. More than that stay in the ring.
const MOST_ASIDE: usize = 32_768;

/// What the ring has given, and what of it waits.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// Taken out of the ring to make room, oldest first.
    aside: VecDeque<(Kind, Record)>,
    /// Records by kind.
    pub(super) received: KindCounts,
    /// What was no record.
    pub(super) malformed: u64,
}

impl Incoming {
    /// The next record.
    pub(super) fn next(&mut self, ring: &mut RingBuf<MapData>) -> Option<(Kind, Record)> {
        if let Some(record) = self.aside.pop_front() {
            if self.aside.is_empty() {
                // It was needed for a moment, and may not be for days.
                self.aside = VecDeque::new();
            }
            return Some(record);
        }
        self.read(ring)
    }

    /// Makes room in the ring.
    pub(super) fn set_aside(&mut self, ring: &mut RingBuf<MapData>) {
        while self.aside.len() < MOST_ASIDE {
            let Some(record) = self.read(ring) else { break };
            self.aside.push_back(record);
        }
    }

    fn read(&mut self, ring: &mut RingBuf<MapData>) -> Option<(Kind, Record)> {
        loop {
            match Record::decode(&ring.next()?) {
                Ok((kind, record)) => {
                    self.received[kind as usize] += 1;
                    return Some((kind, record));
                }
                Err(error) => {
                    self.malformed += 1;
                    if self.malformed == 1 {
                        log::error!("the ring has something that is no record: {error}");
                    }
                }
            }
        }
    }
}
