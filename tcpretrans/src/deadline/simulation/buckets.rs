//! `struct timer_base`: levels of 64 buckets, a clock, and nothing that moves between levels.

use std::collections::BTreeMap;

const LVL_BITS: u32 = 6;
const LVL_SIZE: u64 = 1 << LVL_BITS;
const LVL_MASK: u64 = LVL_SIZE - 1;
const LVL_CLK_SHIFT: u32 = 3;
const LVL_CLK_MASK: u64 = (1 << LVL_CLK_SHIFT) - 1;
const NEXT_TIMER_MAX_DELTA: u64 = (1 << 30) - 1;

/// One CPU's timers. A timer is a number.
pub(super) struct TimerBase {
    depth: u32,
    clk: u64,
    next_expiry: u64,
    buckets: Vec<Vec<u32>>,
    queued: BTreeMap<u32, usize>,
}

impl TimerBase {
    pub(super) fn new(hz: u32, jiffies: u64) -> Self {
        let depth = if hz > 100 { 9 } else { 8 };
        Self {
            depth,
            clk: jiffies,
            next_expiry: jiffies + NEXT_TIMER_MAX_DELTA,
            buckets: vec![Vec::new(); (u64::from(depth) * LVL_SIZE) as usize],
            queued: BTreeMap::new(),
        }
    }

    pub(super) fn next_expiry(&self) -> u64 {
        self.next_expiry
    }

    fn lvl_start(n: u32) -> u64 {
        (LVL_SIZE - 1) << ((n - 1) * LVL_CLK_SHIFT)
    }

    fn calc_index(expires: u64, lvl: u32) -> (usize, u64) {
        let shift = lvl * LVL_CLK_SHIFT;
        let expires = (expires >> shift) + 1;
        ((u64::from(lvl) * LVL_SIZE + (expires & LVL_MASK)) as usize, expires << shift)
    }

    fn calc_wheel_index(&self, expires: u64) -> (usize, u64) {
        let delta = expires.wrapping_sub(self.clk);
        for lvl in 0..self.depth - 1 {
            if delta < Self::lvl_start(lvl + 1) {
                return Self::calc_index(expires, lvl);
            }
        }
        if (delta as i64) < 0 {
            return ((self.clk & LVL_MASK) as usize, self.clk);
        }
        Self::calc_index(expires, self.depth - 1)
    }

    /// The jiffy in which a timer would fire that was armed now.
    pub(super) fn bucket_expiry(&self, expires: u64) -> u64 {
        self.calc_wheel_index(expires).1
    }

    fn forward(&mut self, jiffies: u64) {
        if (jiffies.wrapping_sub(self.clk) as i64) < 1 {
            return;
        }
        self.clk = if self.next_expiry > jiffies { jiffies } else { self.next_expiry };
    }

    /// `mod_timer`
    pub(super) fn mod_timer(&mut self, timer: u32, expires: u64, jiffies: u64) {
        if let Some(idx) = self.queued.remove(&timer) {
            self.buckets[idx].retain(|&other| other != timer);
        }
        self.forward(jiffies);
        let (idx, bucket_expiry) = self.calc_wheel_index(expires);
        self.buckets[idx].push(timer);
        self.queued.insert(timer, idx);
        self.next_expiry = self.next_expiry.min(bucket_expiry);
    }

    fn next_timer_interrupt(&self) -> u64 {
        let mut next = self.clk + NEXT_TIMER_MAX_DELTA;
        let mut clk = self.clk;
        for lvl in 0..self.depth {
            let bucket_at = |pos: u64| {
                let slot = (clk + pos) & LVL_MASK;
                &self.buckets[(u64::from(lvl) * LVL_SIZE + slot) as usize]
            };
            if let Some(pos) = (0..LVL_SIZE).find(|&pos| !bucket_at(pos).is_empty()) {
                next = next.min((clk + pos) << (lvl * LVL_CLK_SHIFT));
            }
            let adj = u64::from(clk & LVL_CLK_MASK != 0);
            clk = (clk >> LVL_CLK_SHIFT) + adj;
        }
        next
    }

    /// `__run_timers`, one round: the timers of the next bucket that is due, with `clk` one ahead of it.
    pub(super) fn run_next(&mut self, jiffies: u64) -> Vec<u32> {
        if jiffies < self.clk || jiffies < self.next_expiry {
            return Vec::new();
        }
        self.clk = self.next_expiry;
        let mut expired = Vec::new();
        let mut clk = self.clk;
        for lvl in 0..self.depth {
            let idx = (u64::from(lvl) * LVL_SIZE + (clk & LVL_MASK)) as usize;
            expired.append(&mut self.buckets[idx]);
            if clk & LVL_CLK_MASK != 0 {
                break;
            }
            clk >>= LVL_CLK_SHIFT;
        }
        for timer in &expired {
            self.queued.remove(timer);
        }
        self.clk += 1;
        self.next_expiry = self.next_timer_interrupt();
        expired
    }
}
