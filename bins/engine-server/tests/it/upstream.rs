//! A carbon API on loopback that says what the test wants it to say.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{PATIENCE, eventually};

/// How often a slow answer goes on by a byte.
const DRIP: Duration = Duration::from_millis(20);
/// What an endless body is made of.
static PIECE: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// What is answered to one request.
pub(crate) enum Reply {
    /// 200 with this body.
    Json(Value),
    /// This status, with this body.
    Status(u16, &'static str),
    /// This status, with these header fields, each ended by CRLF, and this body.
    Fields(u16, String, &'static str),
    /// These bytes as they are, and then the end of the connection.
    Bytes(&'static str),
    /// The connection is reset.
    Reset,
    /// A body of which a byte comes now and then, until the client goes or the stub ends.
    Drip,
    /// A body without an end, as fast as it is taken.
    Endless,
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
        let thread = Some(listen(listener, Arc::clone(&shared)));
        Self { address, shared, thread }
    }

    /// Refuses every connection from now on.
    pub(crate) fn close(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.stopping.store(true, Ordering::Release);
        *self.shared.stopped.0.lock().unwrap() = true;
        self.shared.stopped.1.notify_all();
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        let _ = thread.join();
    }

    /// Listens again, where it did before.
    pub(crate) fn open(&mut self) {
        if self.thread.is_some() {
            return;
        }
        // Meanwhile the port may be somebody's who asks from it.
        let listener = eventually("the port is free", || TcpListener::bind(self.address).ok());
        self.shared.stopping.store(false, Ordering::Release);
        *self.shared.stopped.0.lock().unwrap() = false;
        self.thread = Some(listen(listener, Arc::clone(&self.shared)));
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
        self.close();
    }
}

/// Accepts connections until it is to stop; each is answered by a thread of its own.
fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut answering = Vec::new();
        for stream in listener.incoming() {
            if shared.stopping.load(Ordering::Acquire) {
                break;
            }
            let (stream, shared) = (stream.unwrap(), Arc::clone(&shared));
            answering.push(std::thread::spawn(move || shared.answer(stream)));
        }
        drop(listener);
        for thread in answering {
            let _ = thread.join();
        }
    })
}

impl Shared {
    /// One request, one answer; a client that goes away early is no matter.
    fn answer(&self, mut stream: TcpStream) {
        let Some(path) = path(&stream) else { return };
        let index = {
            let mut asked = self.asked.lock().unwrap();
            asked.push((path.clone(), String::new()));
            asked.len() - 1
        };
        let script = Arc::clone(&self.script.lock().unwrap());
        let reply = script(&path);
        if matches!(reply, Reply::Reset) {
            // What was sent and is not read by the end resets the connection.
            return;
        }
        self.asked.lock().unwrap()[index].1 = fields(&stream);
        let whole = |status, fields: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status} Word\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
        };
        let text = match reply {
            Reply::Json(body) => whole(200, "", &body.to_string()),
            Reply::Status(status, body) => whole(status, "", body),
            Reply::Fields(status, fields, body) => whole(status, &fields, body),
            Reply::Bytes(bytes) => bytes.to_owned(),
            Reply::Drip => return self.without_end(stream, &PIECE[..1], DRIP),
            Reply::Endless => return self.without_end(stream, &PIECE, Duration::ZERO),
            Reply::Reset | Reply::Silence => {
                self.stopped_within(PATIENCE * 10);
                return;
            }
        };
        let _ = stream.write_all(text.as_bytes());
    }

    /// A body of these pieces, until the client goes or the stub ends.
    fn without_end(&self, mut stream: TcpStream, piece: &[u8], pause: Duration) {
        let _ = stream.set_write_timeout(Some(PATIENCE));
        let mut sent = stream.write_all(b"HTTP/1.1 200 Word\r\nConnection: close\r\n\r\n");
        while sent.is_ok() && !self.stopped_within(pause) {
            sent = stream.write_all(piece);
        }
    }

    /// Whether the stub ends, after so long at most.
    fn stopped_within(&self, patience: Duration) -> bool {
        let stopped = self.stopped.0.lock().unwrap();
        *self.stopped.1.wait_timeout_while(stopped, patience, |stopped| !*stopped).unwrap().0
    }
}

/// The path of a GET. Not a byte more is read, so that what follows can be left.
#[expect(clippy::unbuffered_bytes, reason = "a buffer would read more")]
fn path(stream: &TcpStream) -> Option<String> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let bytes = stream.bytes().map_while(Result::ok).take_while(|byte| *byte != b'\n');
    let first = String::from_utf8(bytes.collect()).ok()?;
    Some(first.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1\r")?.to_owned())
}

/// The header fields, one a line.
fn fields(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
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
