//! Are others served while somebody misbehaves?

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use benches::{Server, print, wrk};

use crate::{SECONDS, shown};

/// Connections that say nothing.
const IDLE: usize = 10_000;
/// Connections that say a byte at a time.
const SLOW: usize = 500;

pub(crate) fn measure(path: &PathBuf) {
    print("\nGET /schedule by 16 clients while others misbehave, beside GET alone before it\n\n");
    let engine = Server::engine(path, &[]);
    engine.configure("bench/s0", "{}");
    let address = engine.address.as_str();
    let get = || wrk::run(address, "get", 1, 16, SECONDS);
    let report = |what: &str, work: &mut dyn FnMut() -> wrk::Figures| {
        let alone = get();
        let beside = work();
        print(&format!(
            "  {what:<34} {} | throughput {:.2}, p99 {:.2}, {:.0} MiB\n",
            shown(beside),
            beside.rate / alone.rate,
            beside.p99 / alone.p99,
            engine.resident_mib()
        ));
    };
    report("nobody", &mut || get());
    report("idle connections", &mut || {
        let held = connect(address, IDLE);
        let figures = get();
        print(&format!("  ({} of {IDLE} could be opened)\n", held.len()));
        figures
    });
    report("slow heads", &mut || {
        let held = connect(address, SLOW);
        meanwhile(|is_over| trickle(&held, is_over), get)
    });
    report("connections closed halfway", &mut || {
        let held = connect(address, SLOW);
        for stream in &held {
            let _ = (&mut &*stream).write_all(b"GET /schedule HTTP/1.1\r\nHost: x\r\n");
            let _ = stream.shutdown(Shutdown::Write);
        }
        get()
    });
    report("1,000 garbage requests a round", &mut || {
        meanwhile(
            |is_over| {
                while !is_over.load(Ordering::Relaxed) {
                    for stream in connect(address, 100) {
                        let _ = (&mut &stream).write_all(b"\x16\x03\x01 NOT HTTP\r\n\r\n");
                    }
                }
            },
            get,
        )
    });
    report("a storm of PUTs by 16 clients", &mut || {
        std::thread::scope(|threads| {
            threads.spawn(|| wrk::run(address, "put", 1_000, 16, SECONDS));
            get()
        })
    });
}

fn connect(address: &str, count: usize) -> Vec<TcpStream> {
    (0..count).map_while(|_| TcpStream::connect(address).ok()).collect()
}

/// A byte of a head that never ends to each, again and again.
fn trickle(held: &[TcpStream], is_over: &AtomicBool) {
    for byte in b"GET /schedule HTTP/1.1\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
        for stream in held {
            let _ = (&mut &*stream).write_all(&[*byte]);
        }
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// `work` while `attack` goes on.
fn meanwhile<T>(attack: impl FnOnce(&AtomicBool) + Send, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| attack(&is_over));
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        done
    })
}
