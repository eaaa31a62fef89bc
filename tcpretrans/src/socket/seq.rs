//! TCP sequence numbers: 32 bits that wrap (RFC 9293 section 3.4).

/// A sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Bytes from `earlier` to this one, modulo 2^32.
    pub fn bytes_since(self, earlier: SeqNum) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }

    /// Is this one later than `other`? (`after` in `include/net/tcp.h`: within half the space.)
    pub fn after(self, other: SeqNum) -> bool {
        (other.0.wrapping_sub(self.0) as i32) < 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wraps() {
        assert!(SeqNum(5).after(SeqNum(u32::MAX - 5)));
        assert!(!SeqNum(u32::MAX - 5).after(SeqNum(5)));
        assert!(!SeqNum(7).after(SeqNum(7)));
        assert_eq!(SeqNum(5).bytes_since(SeqNum(u32::MAX - 4)), 10);
    }

    proptest! {
        #[test]
        fn after_is_a_distance_below_half_the_space(start: u32, distance in 1u32..0x8000_0000) {
            let later = SeqNum(start.wrapping_add(distance));
            prop_assert!(later.after(SeqNum(start)));
            prop_assert!(!SeqNum(start).after(later));
            prop_assert_eq!(later.bytes_since(SeqNum(start)), distance);
        }
    }
}
