//! A carbon API on loopback that says what the test wants it to say.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::PATIENCE;

/// What is answered to one request.
pub(crate) enum Reply {
    /// 200 with this body.
    Json(Value),
    /// This status, with this body.
    Status(u16, &'static str),
    /// Nothing, until the stub ends.
    Silence,
}

type Script = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

/// The stub. It ends when dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    script: Mutex<Script>,
    /// Every path asked for, in order, and the header fields with it.
    asked: Mutex<Vec<(String, String)>>,
    stopping: AtomicBool,
    stopped: (Mutex<bool>, Condvar),
}

impl Upstream {
    /// Answers every path by `script`.
    pub(crate) fn start(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            asked: Mutex::default(),
            stopping: AtomicBool::new(false),
            stopped: (Mutex::new(false), Condvar::new()),
        });
        let accepting = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut answering = Vec::new();
            for stream in listener.incoming() {
                if accepting.stopping.load(Ordering::Acquire) {
                    break;
                }
                let (stream, shared) = (stream.unwrap(), Arc::clone(&accepting));
                answering.push(std::thread::spawn(move || shared.answer(stream)));
            }
            for thread in answering {
                let _ = thread.join();
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Answers differently from now on.
    pub(crate) fn set(&self, script: impl Fn(&str) -> Reply + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every path asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }

    /// The header fields that came with the first request that had `part` in its path, one a line.
    pub(crate) fn fields(&self, part: &str) -> Option<String> {
        let asked = self.shared.asked.lock().unwrap();
        asked.iter().find(|(path, _)| path.contains(part)).map(|(_, fields)| fields.clone())
    }

    /// How many requests so far had `part` in their path.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.asked().iter().filter(|path| path.contains(part)).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        *self.shared.stopped.0.lock().unwrap() = true;
        self.shared.stopped.1.notify_all();
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// One request, one answer; a client that goes away early is no matter.
    fn answer(&self, mut stream: TcpStream) {
        let Some((path, fields)) = head(&stream) else { return };
        self.asked.lock().unwrap().push((path.clone(), fields));
        let script = Arc::clone(&self.script.lock().unwrap());
        let (status, body) = match script(&path) {
            Reply::Json(body) => (200, body.to_string()),
            Reply::Status(status, body) => (status, body.to_owned()),
            Reply::Silence => {
                let stopped = self.stopped.0.lock().unwrap();
                drop(self.stopped.1.wait_while(stopped, |stopped| !*stopped).unwrap());
                return;
            }
        };
        let length = body.len();
        let head = format!("HTTP/1.1 {status} Word\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
    }
}

/// The path of a GET, and its header fields.
fn head(stream: &TcpStream) -> Option<(String, String)> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let fields: Vec<_> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    Some((first.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?.to_owned(), fields.join("\n")))
}

/// Slots in the UK API's national form, each with its first instant, the instant after it, and gCO2eq/kWh.
pub(crate) fn uk(slots: &[(Timestamp, Timestamp, f64)]) -> Value {
    let slots = slots.iter().map(|(from, to, grams)| {
        json!({"from": from, "to": to, "intensity": {"forecast": grams, "actual": null, "index": "moderate"}})
    });
    json!({"data": slots.collect::<Vec<_>>()})
}

/// Slots of an hour around now: the first is current for at least half an hour more.
pub(crate) fn hours(grams: &[f64]) -> Value {
    let mut from = Timestamp::now() - SignedDuration::from_mins(10);
    let slots = grams.iter().map(|grams| {
        let to = from + SignedDuration::from_mins(60);
        let slot = (from, to, *grams);
        from = to;
        slot
    });
    uk(&slots.collect::<Vec<_>>())
}
