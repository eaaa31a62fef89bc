//! The texts of the columns.

use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

use jiff::{civil::DateTime, tz::TimeZone};
use tcpretrans_ebpf::tcp_state;

use crate::{
    event::{Clock, Flow, Retransmit, RetransmitType},
    page::{Keep, cut},
    words::{escape::visible, figures, state_name, time},
};

/// What is not known.
pub(crate) const UNKNOWN: &str = "-";

/// Local wall-clock date and time.
pub(crate) fn local_time(mono_ns: u64, clock: &Clock, zone: &TimeZone) -> DateTime {
    time::local(clock.wall_ns(mono_ns), zone)
}

/// `fast?` where the kernel's state allows another reading.
pub(crate) fn type_name(retransmit: &Retransmit) -> Cow<'static, str> {
    let name = retransmit.ty.name();
    if retransmit.certain { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}?")) }
}

/// `10.0.0.1:40000 > 10.0.0.2:9000`. Where that is too wide, the local address goes first (it is known), then
/// the middle of the remote one.
pub(crate) fn flow(flow: &Flow, width: Option<usize>) -> String {
    let end = |addr: IpAddr, port| SocketAddr::new(addr, port).to_string();
    let remote = end(flow.raddr, flow.rport);
    let whole = format!("{} > {remote}", end(flow.laddr, flow.lport));
    let Some(width) = width.filter(|&width| whole.len() > width) else { return whole };
    let local = format!(":{} > ", flow.lport);
    let room = width.saturating_sub(local.len());
    let local_room = width.saturating_sub(remote.len() + 3);
    // A local address of which enough is left to tell it from others stays.
    if local_room >= 18 && flow.laddr.is_ipv6() {
        return format!("{} > {remote}", cut(&end(flow.laddr, flow.lport), local_room, Keep::Ends));
    }
    format!("{local}{}", cut(&remote, room, Keep::Ends))
}

/// `java/1234`; the name is cut before the number is.
pub(crate) fn process(flow: &Flow, width: Option<usize>) -> String {
    let pid = flow.pid.map(|pid| format!("/{pid}")).unwrap_or_default();
    let comm = match &flow.comm {
        Some(comm) => visible(comm),
        None => Cow::Borrowed(UNKNOWN),
    };
    cut(&format!("{comm}{pid}"), width.unwrap_or(usize::MAX), Keep::Last(pid.len())).into_owned()
}

/// `12/17.4k`
pub(crate) fn segs(retransmit: &Retransmit) -> String {
    format!("{}/{}", retransmit.segs, figures::short(retransmit.bytes.into()))
}

/// As `ss` has it where that is shorter.
pub(crate) fn state(state: u8) -> Cow<'static, str> {
    match state {
        tcp_state::ESTABLISHED => Cow::Borrowed("ESTAB"),
        _ => state_name::name(state),
    }
}

/// Is it the state that such a retransmission happens in anyway?
pub(crate) fn is_usual_state(retransmit: &Retransmit) -> bool {
    match retransmit.ty {
        RetransmitType::Syn => retransmit.state == tcp_state::SYN_SENT,
        RetransmitType::SynAck => true,
        _ => retransmit.state == tcp_state::ESTABLISHED,
    }
}

/// `204->408 ms`, `52->104 s`
pub(crate) fn rto(retransmit: &Retransmit) -> String {
    match (retransmit.rto_ms, retransmit.next_rto_ms) {
        (None, None) => UNKNOWN.to_owned(),
        (Some(rto), Some(next)) => time::step(rto, next),
        (Some(rto), None) => time::millis(rto),
        (None, Some(next)) => format!("->{}", time::millis(next)),
    }
}

/// `#2`: the second RTO in a row.
pub(crate) fn tries(retransmit: &Retransmit) -> String {
    match retransmit.rto_ms {
        Some(_) => format!("#{}", retransmit.retransmits),
        None => UNKNOWN.to_owned(),
    }
}

/// `0.2 ms`, `35 ms`, `1.2 s`
pub(crate) fn srtt(srtt_us: Option<u32>) -> String {
    srtt_us.map_or(UNKNOWN.to_owned(), |us| time::micros(us.into()))
}

/// A number, or `-`.
pub(crate) fn number(number: Option<u32>) -> String {
    number.map_or(UNKNOWN.to_owned(), |number| number.to_string())
}

/// The cgroup's path; its end says more than its beginning.
pub(crate) fn cgroup(flow: &Flow, width: Option<usize>) -> String {
    let Some(path) = &flow.cgroup else { return UNKNOWN.to_owned() };
    cut(&visible(path), width.unwrap_or(usize::MAX), Keep::End).into_owned()
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::event::samples as sample;

    #[test]
    fn timeouts() {
        let rto = |rto_ms, next_rto_ms| super::rto(&Retransmit { rto_ms, next_rto_ms, ..sample::rto() });
        assert_eq!(rto(Some(204), Some(408)), "204->408 ms");
        assert_eq!(rto(Some(816), None), "816 ms");
        assert_eq!(rto(None, Some(1632)), "->1.6 s");
        assert_eq!(rto(None, None), "-");
    }

    #[test]
    fn ends_are_shortened_where_they_tell_least() {
        let v4 = sample::ipv4_flow();
        assert_eq!(flow(&v4, Some(30)), "10.0.0.1:40000 > 10.0.0.2:9000");
        assert_eq!(flow(&v4, Some(25)), ":40000 > 10.0.0.2:9000");
        let v6 = sample::ipv6_flow();
        let whole =
            "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:443 > [2001:db8:ac10:fe01:feed:babe:cafe:f00d]:51724";
        assert_eq!(flow(&v6, None), whole);
        assert_eq!(flow(&v6, Some(97)), whole);
        assert_eq!(flow(&v6, Some(30)), ":443 > [2001:db8:a…f00d]:51724");
        assert_eq!(flow(&v6, Some(45)), ":443 > [2001:db8:ac10:fe01…e:cafe:f00d]:51724");
        for width in 0..100 {
            let narrow = flow(&v6, Some(width));
            assert!(narrow.width() <= width.max(7), "{narrow}");
        }
    }

    #[test]
    fn the_number_of_a_process_stays_whole() {
        let v6 = sample::ipv6_flow();
        assert_eq!(process(&v6, None), "nginx: worker p/4194304");
        assert_eq!(process(&v6, Some(12)), "ngi…/4194304");
        assert_eq!(process(&sample::unknown_owner(), Some(9)), "-");
        assert_eq!(process(&Flow { comm: None, ..sample::ipv4_flow() }, Some(9)), "-/1234");
        let evil = Flow { comm: Some("\u{1b}[2J".into()), ..sample::ipv4_flow() };
        assert_eq!(process(&evil, None), r"\u{1b}[2J/1234");
    }

    #[test]
    fn sizes_and_times() {
        let segs = |segs, bytes| super::segs(&Retransmit { segs, bytes, ..sample::rto() });
        assert_eq!(segs(1, 1448), "1/1448");
        assert_eq!(segs(12, 17_376), "12/17.4k");
        assert_eq!(segs(1, 0), "1/0");
        assert_eq!(srtt(Some(201)), "0.2 ms");
        assert_eq!(srtt(Some(35_400)), "35 ms");
        assert_eq!(srtt(None), "-");
        let berlin = TimeZone::fixed(jiff::tz::offset(1));
        let at = local_time(sample::NOW_NS, &sample::CLOCK, &berlin);
        assert_eq!(time::time_of_day_ms(at), "16:04:07.123");
    }
}
