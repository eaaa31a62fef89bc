"""A night in a small network: five services, five remotes, and what went wrong. Makes tests/recordings/night.jsonl."""
import ctypes, os, signal, socket, struct, subprocess, sys, time
LIBC = ctypes.CDLL(None, use_errno=True)
TRACER, LOG = sys.argv[1], sys.argv[2]
L, R = f"night-l-{os.getpid()}", f"night-r-{os.getpid()}"
CG = "/sys/fs/cgroup/unified"
def sh(*a): subprocess.run(a, check=True, stdout=subprocess.DEVNULL)
def ip(*a): sh("ip", *a)
def inns(ns, *a): sh("ip", "netns", "exec", ns, *a)
def enter(ns):
    fd = os.open(f"/run/netns/{ns}", os.O_RDONLY)
    if LIBC.setns(fd, 0x40000000): raise OSError(ctypes.get_errno())
    os.close(fd)
REMOTES = {"db": "10.20.0.11", "cache": "10.20.0.12", "search": "10.20.1.21", "void": "10.20.9.99", "pay": "fd20::14"}
kids = []
def child(name, cgroup, work, uid=0, ns=L):
    pid = os.fork()
    if pid:
        kids.append(pid)
        return pid
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if cgroup:
            os.makedirs(CG + cgroup, exist_ok=True)
            open(CG + cgroup + "/cgroup.procs", "w").write(str(os.getpid()))
        enter(ns)
        open("/proc/self/comm", "w").write(name)
        if uid: os.setuid(uid)
        work()
    except OSError as e:
        print(name, e, file=sys.stderr)
    os._exit(0)
def server():
    import selectors, threading
    def one(addr, port):
        s = socket.create_server((addr, port), family=socket.AF_INET6 if ":" in addr else socket.AF_INET, backlog=64)
        def drain(c):
            try:
                while True:
                    b = c.recv(65536)
                    if not b: break
                    if b.startswith(b"DIE"):
                        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close(); return
                c.close()
            except OSError: pass
        while True:
            c, _ = s.accept()
            threading.Thread(target=drain, args=(c,), daemon=True).start()
    for addr, port in [(REMOTES["db"], 5432), (REMOTES["cache"], 6379), (REMOTES["search"], 9200), (REMOTES["pay"], 443)]:
        threading.Thread(target=one, args=(addr, port), daemon=True).start()
    time.sleep(600)
def connect(to, port, **o):
    a = REMOTES[to]
    s = socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET)
    for opt, v in o.get("opts", []): s.setsockopt(socket.IPPROTO_TCP, opt, v)
    if o.get("timeout"): s.settimeout(o["timeout"])
    s.connect((a, port))
    for _ in range(4): s.send(b"hello" * 10); time.sleep(0.01)
    return s
def tables(addr): return "ip6tables" if ":" in addr else "iptables"
def drop(addr, *more, verb="-A", chain="INPUT", ns=R):
    side = "-d" if chain == "INPUT" and ns == R else "-s"
    inns(ns, tables(addr), "-w", verb, chain, "-p", "tcp", side, addr, *more, "-j", "DROP")
def send_quietly(s, data):
    try: s.send(data); return True
    except OSError: return False
def wait_gone(s):
    s.settimeout(60)
    try: s.recv(1)
    except OSError as e: print("gone", e, file=sys.stderr)

def main():
    for n in (L, R): ip("netns", "add", n)
    tracer = None
    try:
        ip("link", "add", "wire", "netns", L, "type", "veth", "peer", "name", "wire", "netns", R)
        for n in (L, R):
            ip("-n", n, "link", "set", "lo", "up"); ip("-n", n, "link", "set", "wire", "up", "gso_max_segs", "1")
            inns(n, "sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1")
        inns(L, "sysctl", "-qw", "net.ipv4.tcp_retries2=5", "net.ipv4.tcp_syn_retries=2", "net.ipv4.tcp_syn_linear_timeouts=0")
        ip("-n", L, "addr", "add", "10.20.0.1/16", "dev", "wire"); ip("-n", L, "addr", "add", "fd20::1/64", "dev", "wire", "nodad")
        for a in REMOTES.values():
            if a != REMOTES["void"]:
                ip("-n", R, "addr", "add", a + ("/64" if ":" in a else "/16"), "dev", "wire", *(["nodad"] if ":" in a else []))
        mac = {n: subprocess.run(["ip", "-n", n, "-o", "link", "show", "wire"], capture_output=True, text=True).stdout.split("link/ether ")[1].split()[0] for n in (L, R)}
        for a in REMOTES.values(): ip("-n", L, "neigh", "replace", a, "lladdr", mac[R], "dev", "wire", "nud", "permanent")
        for a in ("10.20.0.1", "fd20::1"): ip("-n", R, "neigh", "replace", a, "lladdr", mac[L], "dev", "wire", "nud", "permanent")
        time.sleep(2)
        child("server", None, server, ns=R); time.sleep(1)
        ready = LOG + ".ready"
        def trace():
            nonlocal tracer
            if os.path.exists(ready): os.remove(ready)
            tracer = subprocess.Popen([TRACER, "-q", "-o", LOG, "--netns", str(os.stat(f"/run/netns/{L}").st_ino), "--ready-file", ready])
            while not os.path.exists(ready): time.sleep(0.05)
        def stop():
            tracer.send_signal(signal.SIGINT); tracer.wait()
        trace()
        # Loss on the way to the search cluster.
        drop(REMOTES["search"], "-m", "length", "--length", "1000:65535", "-m", "statistic", "--mode", "nth", "--every", "23", "--packet", "7")
        def indexer():
            s = connect("search", 9200)
            for _ in range(3):
                s.sendall(b"x" * 90_000); time.sleep(0.6)
            time.sleep(0.3); s.close()
        child("indexer", "/system.slice/indexer.service", indexer, uid=1001)
        # Acknowledgements from the cache are lost for a while: what is sent again was not needed.
        def worker():
            s = connect("cache", 6379); time.sleep(0.3)
            for _ in range(6):
                send_quietly(s, b"SET k v" * 100); time.sleep(0.5)
            s.close()
        child("worker", "/system.slice/worker.service", worker, uid=1002)
        time.sleep(0.5)
        inns(L, "iptables", "-w", "-A", "INPUT", "-p", "tcp", "-s", REMOTES["cache"], "-j", "DROP")
        time.sleep(0.9)
        inns(L, "iptables", "-w", "-D", "INPUT", "-p", "tcp", "-s", REMOTES["cache"], "-j", "DROP")
        # Nobody answers these.
        def patient():
            try: connect("void", 8080)
            except OSError as e: print("patient", e, file=sys.stderr)
        def impatient():
            try: connect("void", 8080, timeout=2)
            except OSError as e: print("impatient", e, file=sys.stderr)
        child("cron-sync", "/system.slice/cron.service", patient)
        child("health", "/system.slice/health.service", impatient)
        child("health", "/system.slice/health.service", impatient)
        time.sleep(0.5)
        # One acknowledgement of the cache is lost: what is sent again had arrived.
        inns(L, "iptables", "-w", "-A", "INPUT", "-p", "tcp", "-s", REMOTES["cache"], "-m", "length", "--length", "0:90", "-m", "statistic", "--mode", "nth", "--every", "2000000000", "--packet", "6", "-j", "DROP")
        def needless():
            s = connect("cache", 6379); time.sleep(0.1)
            send_quietly(s, b"GET k" * 100); time.sleep(1); send_quietly(s, b"GET k" * 100); time.sleep(0.5); s.close()
        child("worker", "/system.slice/worker.service", needless, uid=1002)
        # The database vanishes.
        def orders():
            s = connect("db", 5432); time.sleep(0.8)
            send_quietly(s, b"COMMIT;" * 150); wait_gone(s)
        def checkout():
            s = connect("db", 5432); time.sleep(0.8)
            send_quietly(s, b"COMMIT;" * 200); time.sleep(2.5); s.close()
        def billing():
            s = connect("db", 5432, opts=[(18, 3000)]); time.sleep(0.8)
            send_quietly(s, b"COMMIT;" * 100); wait_gone(s)
        child("orders-api", "/system.slice/orders.service", orders, uid=1003)
        child("checkout", "/system.slice/checkout.service", checkout, uid=1004)
        child("billing", "/system.slice/billing.service", billing, uid=1005)
        # The payment provider is away for four seconds.
        def pay():
            s = connect("pay", 443); time.sleep(0.8)
            send_quietly(s, b"charge" * 100); time.sleep(9); s.close()
        child("checkout", "/system.slice/checkout.service", pay, uid=1004)
        time.sleep(0.6)
        drop(REMOTES["db"]); drop(REMOTES["pay"])
        time.sleep(4); drop(REMOTES["pay"], verb="-D")
        time.sleep(10.5)
        drop(REMOTES["db"], verb="-D")
        stop()
        time.sleep(8)
        trace()
        # The database comes and goes; a restart resets what was open.
        def again():
            s = connect("db", 5432); time.sleep(0.4)
            send_quietly(s, b"SELECT 1;" * 100); time.sleep(5)
            send_quietly(s, b"DIE"); wait_gone(s)
        child("orders-api", "/system.slice/orders.service", again, uid=1003)
        child("checkout", "/system.slice/checkout.service", again, uid=1004)
        time.sleep(0.25); drop(REMOTES["db"]); time.sleep(1.2); drop(REMOTES["db"], verb="-D")
        def refused():
            try: connect("cache", 6380)
            except OSError as e: print("refused", e, file=sys.stderr)
        child("worker", "/system.slice/worker.service", refused, uid=1002)
        def killed():
            s = connect("db", 5432); time.sleep(1.5); send_quietly(s, b"report" * 120); time.sleep(60)
        k = child("reports", "/user.slice/reports.scope", killed, uid=1000)
        time.sleep(0.9); drop(REMOTES["db"]); time.sleep(1.9); os.kill(k, signal.SIGKILL); time.sleep(0.5)
        drop(REMOTES["db"], verb="-D"); time.sleep(3)
        stop()
    finally:
        if tracer and tracer.poll() is None: tracer.kill()
        for k in kids:
            try: os.kill(k, signal.SIGKILL)
            except OSError: pass
        for n in (L, R): ip("netns", "delete", n)
        time.sleep(0.5)
        for top in ("/system.slice", "/user.slice"):
            for d, _, _ in os.walk(CG + top, topdown=False): os.rmdir(d)
main()
