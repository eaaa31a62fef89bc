//! The command `tcpretrans`.

fn main() {}
