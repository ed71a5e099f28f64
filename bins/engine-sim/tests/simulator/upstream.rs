//! A provider on loopback that says what the test wants it to say.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

/// By path and number of the request, from 0: what is answered, or a failure.
type Script = Box<dyn Fn(&str, usize) -> Option<Value> + Send>;

/// The stub. It ends when dropped.
pub(crate) struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    pub(crate) fn start(script: impl Fn(&str, usize) -> Option<Value> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stopping) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (heard, stop, script) = (Arc::clone(&asked), Arc::clone(&stopping), Box::new(script) as Script);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                answer(stream.unwrap(), &heard, &script);
            }
        });
        Self { address, asked, stopping, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every path asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes the thread that waits for a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request, one answer; a client that goes away early is no matter.
fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>, script: &Script) {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
    let number = {
        let mut asked = asked.lock().unwrap();
        asked.push(path.clone());
        asked.len() - 1
    };
    let (status, body) = match script(&path, number) {
        Some(value) => (200, value.to_string()),
        None => (503, "down".to_owned()),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Word\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
}
