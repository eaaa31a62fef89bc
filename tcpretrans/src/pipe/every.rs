//! What is due from time to time.

/// A period of some clock's time, ns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Every {
    period_ns: u64,
    next_ns: u64,
}

impl Every {
    /// For the first time at once, then with so much time in between.
    pub(crate) fn period(period_ns: u64) -> Every {
        Every { period_ns, next_ns: 0 }
    }

    /// When it is due next.
    pub(crate) fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// Is it due? If so, the next time is a period from now: what was missed is not made up for.
    pub(crate) fn is_due(&mut self, now_ns: u64) -> bool {
        let due = now_ns >= self.next_ns;
        if due {
            self.next_ns = now_ns.saturating_add(self.period_ns);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_by_the_period() {
        let mut every = Every::period(10);
        let due: Vec<u64> =
            [5, 6, 14, 15, 16, 99, 100, 109].into_iter().filter(|&now| every.is_due(now)).collect();
        assert_eq!(due, [5, 15, 99, 109]);
        assert_eq!(every.next_ns(), 119);
    }
}
