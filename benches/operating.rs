//! How soon does a server answer after it was started, what does a scrape of many schedules take, and what do they?
//!
//! `cargo build --release -p engine-server && cargo bench --bench operating -- [schedules]`, 10,000 unless said. All of
//! them get series of their own, and feedback, so that all there is to tell of them is told. Client and server
//! share the machine's cores.

#![expect(clippy::unwrap_used, reason = "a bench may stop where something is wrong")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use benches::{Server, ask};

const STARTS: usize = 21;
const SCRAPES: usize = 7;
/// Requests under way at once.
const AHEAD: usize = 32;
/// How long the processor is watched.
const WATCHED: Duration = Duration::from_mins(1);

fn main() {
    let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--bench").collect();
    let Some(server) = Server::path() else {
        benches::print("operating: no server to run; cargo build --release -p engine-server\n");
        return;
    };
    let schedules = given.first().map_or(10_000, |number| number.parse().unwrap());

    let starts = (0..STARTS).map(|_| Running::start(&server, 1).answered).collect();
    tell("from exec to the first 200 on /healthz, ms", &sorted(starts));

    let running = Running::start(&server, schedules);
    let bare = running.server.resident_bytes();
    let puts = Instant::now();
    running.send(schedules, |index| {
        request("PUT", &format!("/config/bench/s{index}"), r#"{"flavours":[{"precision":1,"energyWh":3},{"precision":0.85,"energyWh":2},{"precision":0.7,"energyWh":1}]}"#)
    });
    let puts = puts.elapsed().as_secs_f64();
    let after_puts = running.server.resident_bytes();
    running.send(schedules, |index| {
        request(
            "POST",
            &format!("/feedback/bench/s{index}"),
            r#"{"window_seconds":1,"flavour_counts":{"precision-100":8,"precision-85":1,"precision-70":1}}"#,
        )
    });
    let scrapes: Vec<(f64, usize, usize)> = (0..SCRAPES).map(|_| running.scrape()).collect();
    tell("a scrape, s", &sorted(scrapes.iter().map(|(seconds, ..)| *seconds).collect()));
    let (_, bytes, lines) = scrapes.last().unwrap();
    let before = running.server.processor_seconds();
    std::thread::sleep(WATCHED);
    let share = (running.server.processor_seconds() - before) / WATCHED.as_secs_f64();
    let resident = running.server.resident_bytes();
    let each = |bytes: f64| bytes / schedules as f64;
    benches::print(&format!(
        "{schedules} schedules, put in {puts:.2} s\n  a scrape: {:.1} MB, {lines} lines, {:.1} a schedule\n  \
         resident: {:.1} MB without any, {:.1} MB after the PUTs, {:.1} MB after feedback, scrapes and a minute: {:.1} kB a schedule\n  \
         processor: {:.2} % of a core\n",
        *bytes as f64 / 1e6,
        each(*lines as f64),
        bare / 1e6,
        after_puts / 1e6,
        resident / 1e6,
        each(resident - bare) / 1e3,
        100.0 * share,
    ));
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn tell(what: &str, sorted: &[f64]) {
    let (first, last, middle) =
        (sorted.first().unwrap(), sorted.last().unwrap(), sorted.get(sorted.len() / 2).unwrap());
    benches::print(&format!("{what}: {first:.3} at best, {middle:.3} median, {last:.3} at worst\n"));
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

struct Running {
    server: Server,
    /// Milliseconds until it answered.
    answered: f64,
}

impl Running {
    /// A server for so many schedules that answers `/healthz`.
    fn start(path: &Path, schedules: usize) -> Self {
        // A port that was free a moment ago.
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (api, metrics) = (free(), free());
        let mut command = Command::new(path);
        command.args(["--listen", &api.to_string(), "--metrics-listen", &metrics.to_string()]);
        command.args(["--carbon-provider", "static:250", "--loglevel", "ERROR", "--drain-seconds", "0"]);
        command.args(["--metrics-max-schedules", &(schedules + 1).to_string()]);
        let started = Instant::now();
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        while !is_well(api) {
            std::thread::sleep(Duration::from_micros(100));
        }
        let answered = started.elapsed().as_secs_f64() * 1e3;
        let server = Server { child, address: api.to_string(), metrics: Some(metrics.to_string()) };
        Self { server, answered }
    }

    /// Sends so many requests and reads their answers, some under way at once.
    fn send(&self, count: usize, request: impl Fn(usize) -> String) {
        let mut stream = TcpStream::connect(&self.server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut piece = vec![0; 64 * 1024];
        for first in (0..count).step_by(AHEAD) {
            let some = first..(first + AHEAD).min(count);
            let mut left = some.len();
            let mut text = String::new();
            some.for_each(|index| text.push_str(&request(index)));
            stream.write_all(text.as_bytes()).unwrap();
            let mut seen = Vec::new();
            while left > 0 {
                let read = stream.read(&mut piece).unwrap();
                assert!(read > 0, "the server closed");
                seen.extend_from_slice(piece.get(..read).unwrap());
                let whole = seen.windows(STATUS.len()).filter(|window| *window == STATUS).count();
                left = left.checked_sub(whole).unwrap();
                // A status line may come in two pieces: its beginning is held back.
                seen.drain(..seen.len().saturating_sub(STATUS.len() - 1));
            }
        }
    }

    /// Seconds, bytes and lines of a scrape.
    fn scrape(&self) -> (f64, usize, usize) {
        let metrics = self.server.metrics.as_ref().unwrap();
        let started = Instant::now();
        let text = ask(metrics, "GET", "/metrics", "");
        let seconds = started.elapsed().as_secs_f64();
        assert!(text.starts_with("HTTP/1.1 200"), "{text:.200}");
        (seconds, text.len(), text.lines().filter(|line| line.contains("schedule=\"")).count())
    }
}

/// The beginning of a good answer; 200 or 202.
const STATUS: &[u8] = b"HTTP/1.1 20";

fn is_well(api: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(api) else { return false };
    let mut answer = [0; 12];
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n").is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && &answer == b"HTTP/1.1 200"
}
