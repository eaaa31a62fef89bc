//! Events did not reach us.

use super::json::{in_lines_as, names, object};

names! {
    /// Where events were lost.
    pub enum LostWhere {
        /// The ring buffer was full.
        Ring = "ring",
        /// The program was already running on that CPU.
        Recursion = "recursion",
        /// A table of flows was full.
        Map = "map",
        /// The output could not be written.
        Output = "output",
        /// The kernel ran no program, and counted nothing: only the socket's own counters show it, afterwards.
        Unseen = "unseen",
    }
}

/// Events did not reach us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// How many since the last such event; of [`LostWhere::Unseen`], how many at least.
    pub records: u64,
    /// Where.
    pub place: LostWhere,
    /// What the socket's counters show of those that are [`LostWhere::Unseen`].
    pub unseen: Option<Unseen>,
}

/// Retransmissions of one flow that made no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unseen {
    /// Segments that the kernel counted as retransmitted, exactly.
    pub segs: u64,
    /// They may be attempts that failed locally: this kernel makes no record of those.
    pub maybe_failed: bool,
}

impl Lost {
    /// Losses that were counted where they happened.
    pub fn counted(records: u64, place: LostWhere) -> Lost {
        Lost { records, place, unseen: None }
    }
}

object! {
    /// As it stands in the line: what is known of the unseen is not an object there.
    #[derive(Debug)]
    struct Line {
        pub records: u64 = 17,
        pub place("where"): LostWhere = LostWhere::Ring,
        pub segs: Option<u64> = None,
        pub maybe_failed: Option<bool> = None,
    }
}

impl From<&Lost> for Line {
    fn from(lost: &Lost) -> Line {
        let &Lost { records, place, unseen } = lost;
        let segs = unseen.map(|unseen| unseen.segs);
        let maybe_failed = unseen.map(|unseen| unseen.maybe_failed);
        Line { records, place, segs, maybe_failed }
    }
}

impl From<Line> for Lost {
    fn from(line: Line) -> Lost {
        let Line { records, place, segs, maybe_failed } = line;
        let unseen = segs.map(|segs| Unseen { segs, maybe_failed: maybe_failed.unwrap_or(false) });
        Lost { records, place, unseen }
    }
}

in_lines_as!(Lost, Line);
