//! The table of forecast and fact, as the README shows it.

/// One line.
pub struct Row {
    pub name: &'static str,
    pub knob: &'static str,
    /// Retransmissions after the first forecast.
    pub tries: u64,
    /// From the first forecast to the end that it foretold.
    pub foretold_ms: f64,
    /// From its `earliest` to its `latest`.
    pub range_ms: f64,
    /// From the first forecast to the end.
    pub took_ms: f64,
    /// By how much that may be wrong, where the end is seen only by looking again and again.
    pub unseen_ms: f64,
    pub first_off_ms: f64,
    pub last_off_ms: f64,
    /// A verdict hung on a jiffy.
    pub close_call: bool,
}

/// Prints it, for `--nocapture`.
pub fn show(rows: &[Row]) {
    let mut text = String::from(
        "\n| blackhole | killed by | tries left | foretold at first | gave up after | off by | latest - earliest | at the last try off by |\n\
         |---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let mark = if row.close_call { " (a jiffy decided)" } else { "" };
        let seen =
            if row.unseen_ms > 0.0 { format!(" ± {:.3}", row.unseen_ms / 1000.0) } else { String::new() };
        let off = |off_ms: f64| match row.unseen_ms {
            0.0 => format!("{off_ms:+.1} ms"),
            _ if off_ms == 0.0 => "none seen".to_owned(),
            unseen_ms => format!("{off_ms:+.0} ± {unseen_ms:.0} ms"),
        };
        text += &format!(
            "| {} | {} | {} | {:.3} s | {:.3}{seen} s | {} | {:.0} ms | {}{mark} |\n",
            row.name,
            row.knob,
            row.tries,
            row.foretold_ms / 1000.0,
            row.took_ms / 1000.0,
            off(row.first_off_ms),
            row.range_ms,
            off(row.last_off_ms),
        );
    }
    println!("{text}");
}
