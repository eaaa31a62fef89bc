//! A hundred thousand short connections with mixed endings: no wrong cause, no state left behind.
