//! The one table of what each of the kernel's counters means in ours. `docs/counts.md` explains it to users.
//!
//! The functions named are those of `net/ipv4/tcp_output.c`, `tcp_timer.c` and `inet_connection_sock.c` in 6.18.

use super::traced::End;

/// What the kernel counts and no tracepoint shows. A scenario says how many there are, if it can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Untold {
    /// Tail loss probes that sent new data, and so retransmitted nothing.
    pub new_data_probes: Option<u64>,
    /// Tail loss probes that were not sent because the segment was still in a queue of the host.
    pub queued_probes: Option<u64>,
    /// Connection requests that ran out.
    pub expired_requests: Option<u64>,
}

impl Untold {
    /// Nothing of that kind can happen.
    pub const NOTHING: Untold =
        Untold { new_data_probes: Some(0), queued_probes: Some(0), expired_requests: Some(0) };
    /// Probes of any kind can happen.
    pub const PROBES: Untold = Untold { new_data_probes: None, queued_probes: None, ..Self::NOTHING };
}

/// One counter of the kernel's.
#[derive(Debug)]
pub struct Rule {
    /// Its name in `nstat -az`, without the group.
    pub counter: &'static str,
    /// What we say it is.
    pub ours: fn(&End) -> u64,
    /// The same in words: fields of `end`.
    pub words: &'static str,
    /// What it counts besides.
    pub besides: Option<Besides>,
    /// Attempts that failed are a part of it. Kernels before 6.17 do not show those.
    pub has_failures: bool,
}

/// Something that a counter counts and no tracepoint shows.
#[derive(Debug, Clone, Copy)]
pub struct Besides {
    count: fn(&Untold) -> Option<u64>,
    what: &'static str,
}

/// All of them.
pub const RULES: &[Rule] = &[
    // __tcp_retransmit_skb counts an skb's segments just before it hands them to IP, whatever IP makes of them;
    // tcp_rtx_synack counts one SYN-ACK, once it is sent.
    Rule {
        counter: "RetransSegs",
        ours: |end| end.all("segs") + end.all("failed_segs") + end.number("unseen_segs"),
        words: "segs + failed_segs + unseen_segs",
        besides: None,
        has_failures: false,
    },
    // The same place, where the skb has a SYN; and tcp_rtx_synack.
    Rule {
        counter: "TCPSynRetrans",
        ours: |end| end.of("segs", &["syn", "synack"]) + end.of("failed_segs", &["syn"]),
        words: "segs of syn and synack + failed_segs of syn",
        besides: None,
        has_failures: true,
    },
    // tcp_xmit_retransmit_queue, which ACKs and RACK's timer call: after a success, outside of CA_Loss.
    Rule {
        counter: "TCPFastRetrans",
        ours: |end| end.of("segs", &["fast", "rack_timer", "unknown"]),
        words: "segs of fast, rack_timer and unknown",
        besides: None,
        has_failures: false,
    },
    // The same in CA_Loss, where a shrunk path MTU puts a socket as well (tcp_simple_retransmit).
    Rule {
        counter: "TCPSlowStartRetrans",
        ours: |end| end.of("segs", &["slow_start", "pmtu"]),
        words: "segs of slow_start and pmtu",
        besides: None,
        has_failures: false,
    },
    // tcp_retransmit_timer counts each expiry before it decides: the attempts, sent or not, and the last one, which
    // gives up. Into a closed window it goes another way, and does not count. reqsk_timer_handler counts each expiry
    // of a request's timer (tcp_syn_ack_timeout), the last one included; a SYN-ACK that a repeated SYN asks for is
    // none.
    Rule {
        counter: "TCPTimeouts",
        ours: |end| end.of("timeouts", &["retransmitted", "synack", "gave_up"]),
        words: "timeouts",
        besides: Some(Besides { count: |untold| untold.expired_requests, what: "requests that timed out" }),
        has_failures: true,
    },
    // tcp_send_loss_probe, once the probe is sent. It prefers new data to a retransmission.
    Rule {
        counter: "TCPLossProbes",
        ours: |end| end.of("events.retransmit", &["tlp"]).saturating_sub(end.of("failed", &["tlp"])),
        words: "events of tlp that were sent",
        besides: Some(Besides { count: |untold| untold.new_data_probes, what: "probes with new data" }),
        has_failures: false,
    },
    // skb_still_in_host_queue. __tcp_retransmit_skb asks it and gives up with EBUSY before it counts anything;
    // tcp_send_loss_probe asks it before it tries at all.
    Rule {
        counter: "TCPSpuriousRtxHostQueues",
        ours: |end| end.of("errors", &["EBUSY"]),
        words: "errors of EBUSY",
        besides: Some(Besides {
            count: |untold| untold.queued_probes,
            what: "probes whose segment was still queued",
        }),
        has_failures: true,
    },
    // __tcp_retransmit_skb: segments that were counted, and that IP then refused. (The kernel leaves out EBUSY.)
    Rule {
        counter: "TCPRetransFail",
        ours: |end| end.all("failed_segs"),
        words: "failed_segs",
        besides: None,
        has_failures: true,
    },
];

/// A counter held against its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The counter.
    pub counter: &'static str,
    /// What the kernel says.
    pub kernel: u64,
    /// What the tool says.
    pub tool: u64,
    /// What is known to come on top, without an event; `None`: any number may.
    pub untold: Option<u64>,
    /// The rule in words.
    pub words: String,
}

impl Row {
    /// Do they agree?
    pub fn agrees(&self) -> bool {
        match self.untold {
            Some(untold) => self.kernel == self.tool + untold,
            None => self.kernel >= self.tool,
        }
    }

    /// Has either of them anything to say?
    pub fn is_silent(&self) -> bool {
        (self.kernel, self.tool, self.untold.unwrap_or(0)) == (0, 0, 0)
    }
}

/// Holds each counter against `end`. `failures_told`: this kernel shows attempts that fail.
pub fn judge(kernel: impl Fn(&str) -> u64, end: &End, untold: &Untold, failures_told: bool) -> Vec<Row> {
    RULES
        .iter()
        .map(|rule| {
            let (kernel, tool) = (kernel(rule.counter), (rule.ours)(end));
            let rest = kernel.saturating_sub(tool);
            let (untold, besides) = if rule.has_failures && !failures_told {
                (
                    None,
                    (rest > 0)
                        .then(|| format!("{rest} attempts that failed, which this kernel does not report")),
                )
            } else if let Some(Besides { count, what }) = rule.besides {
                let untold = count(untold);
                let number = untold.unwrap_or(rest);
                (untold, (number > 0).then(|| format!("{number} {what}")))
            } else {
                (Some(0), None)
            };
            let words =
                [Some(rule.words.to_owned()), besides].into_iter().flatten().collect::<Vec<_>>().join(" + ");
            Row { counter: rule.counter, kernel, tool, untold, words }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn end() -> End {
        End::parse(
            r#"{"event":"end","events":{"retransmit":{"tlp":3,"rto":5,"syn":2}},
                "segs":{"tlp":2,"rto":4,"syn":2,"synack":1,"fast":60,"rack_timer":1,"slow_start":7},
                "failed":{"tlp":1,"rto":1},"failed_segs":{"rto":1},"errors":{"EBUSY":1,"EPERM":1},
                "timeouts":{"retransmitted":7,"synack":1,"gave_up":1},"unseen_segs":2,"lost":{"ring":0}}"#,
        )
        .unwrap()
    }

    fn rows(kernel: &[(&str, u64)], untold: Untold) -> BTreeMap<&'static str, Row> {
        let kernel: BTreeMap<_, _> = kernel.iter().copied().collect();
        judge(|name| kernel.get(name).copied().unwrap_or(0), &end(), &untold, true)
            .into_iter()
            .map(|row| (row.counter, row))
            .collect()
    }

    #[test]
    fn each_counter_is_made_of_its_parts() {
        let rows = rows(&[], Untold::NOTHING);
        let tool: BTreeMap<_, _> = rows.iter().map(|(name, row)| (*name, row.tool)).collect();
        assert_eq!(
            tool,
            BTreeMap::from([
                ("RetransSegs", 80),
                ("TCPSynRetrans", 3),
                ("TCPFastRetrans", 61),
                ("TCPSlowStartRetrans", 7),
                ("TCPTimeouts", 9),
                ("TCPLossProbes", 2),
                ("TCPSpuriousRtxHostQueues", 1),
                ("TCPRetransFail", 1),
            ])
        );
    }

    #[test]
    fn only_what_no_tracepoint_tells_may_come_on_top() {
        let counted = [("RetransSegs", 81), ("TCPLossProbes", 4), ("TCPTimeouts", 10)];
        let nothing = rows(&counted, Untold::NOTHING);
        assert!(!nothing["RetransSegs"].agrees());
        assert!(!nothing["TCPLossProbes"].agrees());
        assert!(!nothing["TCPTimeouts"].agrees());
        let some = rows(&counted, Untold { expired_requests: Some(1), ..Untold::PROBES });
        assert!(!some["RetransSegs"].agrees());
        assert!(some["TCPLossProbes"].agrees(), "any number of them");
        assert_eq!(some["TCPLossProbes"].words, "events of tlp that were sent + 2 probes with new data");
        assert!(some["TCPTimeouts"].agrees());
        assert!(!some["TCPSpuriousRtxHostQueues"].agrees(), "never less than was told");
    }

    #[test]
    fn where_failures_are_not_told_what_they_count_into_is_at_least_what_was_told() {
        let rows = judge(|name| if name == "TCPTimeouts" { 12 } else { 80 }, &end(), &Untold::NOTHING, false);
        let row = |counter| rows.iter().find(|row| row.counter == counter).unwrap();
        assert!(row("TCPTimeouts").agrees());
        assert!(
            row("TCPTimeouts").words.ends_with("+ 3 attempts that failed, which this kernel does not report")
        );
        assert!(row("RetransSegs").agrees());
        assert!(!row("TCPFastRetrans").agrees());
    }
}
