//! A threshold was passed; once an episode each.

use super::{
    Deadline,
    json::{names, object},
};

names! {
    /// Which threshold.
    pub enum ThresholdName {
        /// `tcp_retries1`: the kernel starts to doubt route and MTU.
        Retries1 = "retries1",
        /// `--warn-at` percent of the time until the kernel gives up is used.
        Deadline = "deadline",
    }
}

object! {
    /// A threshold was passed.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Threshold {
        /// Which.
        pub name: ThresholdName = ThresholdName::Retries1,
        /// When the kernel will give up unless the peer answers.
        pub deadline: Option<Deadline> = Some(Deadline::sample()),
        /// One sentence for people.
        pub note: String = "6.2 s of retransmissions without an ACK: past tcp_retries1=3".to_owned(),
    }
}
