//! A connection that was in trouble before the trace began: it is told from where it stands, its end included.

use std::{io::Write, time::Duration};

use xtask::lab::{
    Family, Lab, patient,
    socket::{self, Options},
};

use crate::{
    tracer::{Tracer, is_of, is_type, netns, number, patience},
    truth::to_ms,
};

#[test]
fn its_ladder_and_its_end_are_told() {
    require_lab!();
    let lab = Lab::new().unwrap();
    let mut connection = lab.connect(Family::V4, 0).unwrap();
    connection.warm_up().unwrap();
    let mut client = connection.client.user_timeout(patient(Duration::from_secs(6))).unwrap();
    let cookie = client.cookie().unwrap();
    let _trouble = lab.right.unreachable().unwrap();
    client.write_all(b"hello").unwrap();
    socket::await_info(&client, patience(), |info| info.retransmits >= 2).unwrap();

    let tracer = Tracer::start(&["--netns", &netns(&lab.left)]);
    let before = client.info().unwrap();
    let event = tracer.wait_for("rto", |event| is_type(event, "rto") && is_of(event, cookie));
    // The machine may have been slow enough for one more in between.
    if number(&event, "retransmits") == u64::from(before.retransmits) + 1 {
        assert_eq!(number(&event, "rto_ms"), to_ms(before.rto_us), "{event}");
    }
    assert!(number(&event, "retransmits") >= 3, "the earlier ones count: {event}");
    assert_eq!(event["flow"]["pid"], std::process::id(), "{event}");

    let closed = tracer.wait_for("closed", |event| event["event"] == "closed" && is_of(event, cookie));
    assert_eq!((&closed["cause"], &closed["who"]), (&"user_timeout".into(), &"kernel".into()), "{closed}");
    assert_eq!(
        (&closed["error"], &closed["knob"]),
        (&"ETIMEDOUT".into(), &"TCP_USER_TIMEOUT".into()),
        "{closed}"
    );
    assert_eq!(number(&closed, "unacked_bytes"), 5, "{closed}");
    tracer.finish().assert_clean();
}
