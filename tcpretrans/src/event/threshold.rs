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
        /// `--warn-at` of the death budget is used.
        Deadline = "deadline",
    }
}

object! {
    /// A threshold was passed.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Threshold {
        /// Which.
        pub name: ThresholdName = ThresholdName::Retries1,
        /// When the flow will die, unless.
        pub deadline: Option<Deadline> = Some(Deadline::sample()),
        /// One sentence for people.
        pub note: String = "3 RTOs in a row: the kernel doubts route and MTU".to_owned(),
    }
}
