//! What does it cost that an acknowledged PUT or feedback outlasts a power failure?
//!
//! `cargo build --release -p engine-server && cargo bench --bench durable -- [folder]` runs the server twice, without
//! and with `--state-dir` in a new folder below `folder` (the system's for temporary files, if it is on a disk), and
//! asks it over loopback with 1, 16 and 64 clients, each with one request under way, shared by two threads. Client and server share the
//! machine's cores. What the disk itself does is measured before: appends of 4 KiB, each made durable.

#![expect(clippy::unwrap_used, reason = "a bench may stop where something is wrong")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use benches::Server;

/// How long each combination is measured.
const SECONDS: f64 = 2.0;
/// Threads that the clients share, so that what is measured is the server and not their turns.
const WORKERS: usize = 16;
/// What the origin's service did with 64 clients, PUTs a second, in memory.
const ORIGIN: f64 = 1_629.0;

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--bench").collect();
    let Some(server) = Server::path() else {
        benches::print("durable: no server to run; cargo build --release -p engine-server\n");
        return;
    };
    let folder = given.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("engine-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let rate = fsyncs(&folder.join("fsync"));
    benches::print(&format!("disk: {rate:.0} appends of 4 KiB a second, each made durable\n\n"));
    benches::print("                       in memory            |  durable              |\n");
    benches::print(
        "          clients      1/s   p50 ms  p99 ms |     1/s  p50 ms  p99 ms | durable/memory\n",
    );
    let mut best = 0.0;
    for kind in [Kind::Put, Kind::Feedback] {
        for clients in [1, 16, 64] {
            let memory = Running::start(&server, None).measure(kind, clients);
            let state = folder.join(format!("{kind:?}-{clients}"));
            let durable = Running::start(&server, Some(&state)).measure(kind, clients);
            benches::print(&format!(
                "{:<10}{clients:>6} {:>10.0} {:>8.2} {:>7.2} | {:>7.0} {:>7.2} {:>7.2} | {:>8.2}\n",
                format!("{kind:?}"),
                memory.rate,
                memory.p50,
                memory.p99,
                durable.rate,
                durable.p50,
                durable.p99,
                durable.rate / memory.rate
            ));
            if matches!(kind, Kind::Put) && clients == 64 {
                best = durable.rate;
            }
        }
    }
    benches::print(&format!(
        "\ndurable PUTs of 64 clients: {:.1} times the origin's {ORIGIN:.0} a second, which are in memory\n",
        best / ORIGIN
    ));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Put,
    Feedback,
}

struct Measured {
    rate: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
}

/// Durable appends a second.
fn fsyncs(path: &Path) -> f64 {
    let mut file = File::create(path).unwrap();
    let (started, mut count) = (Instant::now(), 0_u32);
    while started.elapsed().as_secs_f64() < 1.0 {
        file.write_all(&[0; 4096]).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / started.elapsed().as_secs_f64()
}

struct Running(Server);

impl Running {
    fn start(server: &PathBuf, state: Option<&Path>) -> Self {
        let folder = state.map(|state| ["--state-dir", state.to_str().unwrap()]);
        Self(Server::engine(server, folder.iter().flatten().copied().collect::<Vec<_>>().as_slice()))
    }

    fn measure(&self, kind: Kind, clients: usize) -> Measured {
        let started = Instant::now();
        let end = started + Duration::from_secs_f64(SECONDS);
        let workers = clients.min(WORKERS);
        let mut times: Vec<f64> = std::thread::scope(|threads| {
            let run = |worker| threads.spawn(move || self.run(kind, (worker..clients).step_by(workers), end));
            let running: Vec<_> = (0..workers).map(run).collect();
            running.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        });
        let rate = times.len() as f64 / started.elapsed().as_secs_f64();
        times.sort_by(f64::total_cmp);
        let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)] * 1e3;
        Measured { rate, p50: at(50), p99: at(99) }
    }

    /// Some clients' requests until `end`, all of them under way before an answer is waited for; how long each
    /// took, in seconds.
    fn run(&self, kind: Kind, clients: impl Iterator<Item = usize>, end: Instant) -> Vec<f64> {
        let mut clients: Vec<(usize, Client)> =
            clients.map(|index| (index, Client::new(&self.0.address))).collect();
        let mut times = Vec::new();
        for (index, client) in &mut clients {
            let configured = client.ask("PUT", &format!("/config/bench/s{index}"), "{}");
            assert!(configured.starts_with("HTTP/1.1 202"), "{configured}");
        }
        let mut number = 0;
        let mut began = Vec::with_capacity(clients.len());
        while Instant::now() < end {
            began.clear();
            for (index, client) in &mut clients {
                began.push(Instant::now());
                match kind {
                    Kind::Put => {
                        // Each one changes something.
                        let body = format!("{{\"targetError\":{}}}", 0.01 + f64::from(number % 1000) * 1e-4);
                        client.send("PUT", &format!("/config/bench/s{index}"), &body);
                    }
                    Kind::Feedback => {
                        let body = format!(
                            "{{\"source\":\"r{index}\",\"sequence\":{number},\"window_seconds\":1,\"flavour_counts\":\
                             {{\"precision-100\":80,\"precision-85\":15,\"precision-70\":5}}}}"
                        );
                        client.send("POST", &format!("/feedback/bench/s{index}"), &body);
                    }
                }
            }
            for ((_, client), began) in clients.iter_mut().zip(&began) {
                let answer = client.receive();
                assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
                times.push(began.elapsed().as_secs_f64());
            }
            number += 1;
        }
        times
    }
}

/// A connection with one request under way.
struct Client {
    stream: TcpStream,
    held: Vec<u8>,
}

impl Client {
    fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, held: Vec::new() }
    }

    /// The whole answer: head and body.
    fn ask(&mut self, method: &str, path: &str, body: &str) -> &str {
        self.send(method, path, body);
        self.receive()
    }

    fn send(&mut self, method: &str, path: &str, body: &str) {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).unwrap();
    }

    fn receive(&mut self) -> &str {
        self.held.clear();
        let mut piece = [0; 4096];
        loop {
            let read = self.stream.read(&mut piece).unwrap();
            assert!(read > 0, "the server closed");
            self.held.extend_from_slice(&piece[..read]);
            let text = std::str::from_utf8(&self.held).unwrap();
            let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.split_once("content-length: ").or_else(|| head.split_once("Content-Length: "));
            let length = length.and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok()).unwrap_or(0);
            if rest.len() >= length {
                break;
            }
        }
        std::str::from_utf8(&self.held).unwrap()
    }
}
