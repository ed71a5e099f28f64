//! The server as a process: what a bench asks over loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that serves HTTP on loopback, ended when it is dropped.
pub struct Server {
    /// The process.
    pub child: Child,
    /// Where it listens, `127.0.0.1:PORT`.
    pub address: String,
    /// Where it says how it is, if it does.
    pub metrics: Option<String>,
}

impl Server {
    /// The release build of `engine-server` beside this bench; none: it has to be built first.
    pub fn path() -> Option<PathBuf> {
        let own = std::env::current_exe().ok()?;
        let built = own.parent()?.parent()?.join("engine-server");
        built.exists().then_some(built)
    }

    /// Runs `command`, which says where it listens on its first line, and waits until it is ready.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let mut addresses = line.split("http://").skip(1);
        let mut next =
            || Some(addresses.next()?.split([' ', '/', ')', '\n']).next().unwrap_or_default().to_owned());
        let (address, metrics) = (next().unwrap(), next());
        let server = Self { child, address, metrics };
        while !server.ask("GET", "/readyz", "").starts_with("HTTP/1.1 200") {
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// The engine with these arguments, on free ports, with a constant carbon intensity.
    pub fn engine(path: &PathBuf, arguments: &[&str]) -> Self {
        let mut command = Command::new(path);
        command.args(["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
        command.args(["--carbon-provider", "static:250", "--loglevel", "ERROR"]);
        Self::start(command.args(arguments))
    }

    /// One request on a connection of its own; the whole answer, head and body.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> String {
        ask(&self.address, method, path, body)
    }

    /// Puts the schedule `NAMESPACE/NAME` in force as `body` has it.
    pub fn configure(&self, id: &str, body: &str) {
        let answer = self.ask("PUT", &format!("/config/{id}"), body);
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    /// Seconds of processor time it took so far.
    pub fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Behind the name, which may hold anything, come numbered fields from 3 on; 14 and 15 are ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
    }

    /// Memory it holds, in MiB.
    pub fn resident_mib(&self) -> f64 {
        self.resident_bytes() / f64::from(1 << 20)
    }

    /// Memory it holds, in bytes.
    pub fn resident_bytes(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() * 1024.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own; the whole answer, head and body, or what came of it.
pub fn ask(address: &str, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    let mut answer = Vec::new();
    if stream.write_all((head + body).as_bytes()).is_ok() {
        let _ = stream.read_to_end(&mut answer);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
