use tcpretrans::kernel::{btf::Btf, features::Features, programs::Programs};
fn main() {
    let t = std::time::Instant::now();
    let btf = Btf::of_running_kernel().unwrap();
    let f = Features::detect(&btf).unwrap();
    println!("btf {:?}", t.elapsed());
    let r = Programs::attach(&f, &Default::default());
    println!("attached {:?} {}", t.elapsed(), r.is_ok());
    let _l = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (p, mut ring) = r.unwrap();
    for _ in 0..std::env::args().nth(1).map_or(0, |s| s.parse().unwrap()) {
        std::thread::sleep(std::time::Duration::from_secs(1));
        while let Some(item) = ring.next() {
            let (k, r) = tcpretrans_ebpf::Record::decode(&item).unwrap();
            println!(
                "{k:?} {} {}>{} old{} new{} pend{} ca{} rtx{} rto{} err{} segs{} tot{}",
                r.mono_ns,
                r.lport,
                r.rport,
                r.old,
                r.new,
                r.sock.icsk_pending,
                r.sock.ca_state,
                r.sock.icsk_retransmits,
                r.sock.icsk_rto,
                r.err,
                r.segs,
                r.sock.total_retrans
            );
        }
    }
    println!("sent {:?} lost {:?} rec {:?}", p.sent(), p.lost(), p.recursion_misses());
}
