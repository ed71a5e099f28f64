//! A server of one's own: the real binary on loopback, stopped when the test is over.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::upstream::Upstream;
use crate::{PATIENCE, eventually, within};

/// Nobody listens there: an upstream that refuses at once.
const NOBODY: &str = "http://127.0.0.1:1";

/// How long a server may take to stop before it is killed.
const STOP: Duration = Duration::from_secs(3);

/// How a server is to be started. The environment is empty but for what is said here.
pub(crate) struct Launch {
    command: Command,
}

impl Launch {
    /// Nothing said: not even where to listen.
    pub(crate) fn bare() -> Self {
        Self::of(Command::new(env!("CARGO_BIN_EXE_engine-server")))
    }

    /// On loopback, at ports the system chooses.
    pub(crate) fn new() -> Self {
        Self::on_loopback(Command::new(env!("CARGO_BIN_EXE_engine-server")))
    }

    /// On loopback, and its files can have so many blocks of 512 bytes, until somebody lifts that.
    pub(crate) fn limited(blocks: u64) -> Self {
        let mut command = Command::new("/bin/sh");
        // A process that ignores the signal gets an error in its place.
        let limit = format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(limit).arg(env!("CARGO_BIN_EXE_engine-server"));
        Self::on_loopback(command)
    }

    /// On loopback, and it can have so many files open, whatever it asks for.
    pub(crate) fn with_files(most: u64) -> Self {
        let mut command = Command::new("/bin/sh");
        let limit = format!("ulimit -n {most}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(limit).arg(env!("CARGO_BIN_EXE_engine-server"));
        Self::on_loopback(command)
    }

    /// On loopback, as a user who owns nothing; to be called by the superuser. That user may not reach the program
    /// where it was built: a copy is put into `folder`.
    pub(crate) fn as_nobody(folder: &Path) -> Self {
        let program = folder.join("engine-server");
        if !program.exists() {
            fs::copy(env!("CARGO_BIN_EXE_engine-server"), &program).unwrap();
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = Command::new(program);
        command.uid(65_534).gid(65_534);
        Self::on_loopback(command)
    }

    fn on_loopback(command: Command) -> Self {
        Self::of(command).arg("--listen").arg("127.0.0.1:0").arg("--metrics-listen").arg("127.0.0.1:0")
    }

    fn of(mut command: Command) -> Self {
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.command.env(key, value);
        self
    }

    /// Forecasts come from `upstream`.
    pub(crate) fn upstream(self, upstream: &Upstream) -> Self {
        self.env("CARBON_API_URL", &upstream.url())
    }

    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(mut self) -> Server {
        // Here are no readers that would have to go elsewhere, unless the test says so.
        if !self.command.get_envs().any(|(key, _)| key == "DRAIN_SECONDS") {
            self.command.env("DRAIN_SECONDS", "0");
        }
        let mut child = self.command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let reader = follow(&mut child, &log);
        let mut first = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut first).unwrap();
        let Some((api, metrics)) = addresses(&first) else {
            let _ = child.kill();
            let _ = child.wait();
            let _ = reader.join();
            panic!("no addresses in `{first}`; stderr: {}", log.lock().unwrap());
        };
        Server { child, reader: Some(reader), log, client: Client::new(api), metrics: Client::new(metrics) }
    }

    /// Starts it, and kills it that much later, wherever it is by then.
    pub(crate) fn kill_after(mut self, pause: Duration) {
        let mut child = self.command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(pause);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Lets it run to its end, which is expected to be near.
    pub(crate) fn run(mut self) -> Output {
        let mut child = self.command.spawn().unwrap();
        // Whoever writes much waits for a reader.
        let mut stdout = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).map(|_| bytes).unwrap()
        });
        let ended = within(PATIENCE, || child.try_wait().unwrap());
        if ended.is_none() {
            let _ = child.kill();
        }
        let output = Output { stdout: reader.join().unwrap(), ..child.wait_with_output().unwrap() };
        assert!(ended.is_some(), "still running after {PATIENCE:?}: {output:?}");
        output
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    reader: Option<JoinHandle<()>>,
    log: Arc<Mutex<String>>,
    pub(crate) client: Client,
    pub(crate) metrics: Client,
}

impl Server {
    /// The forecast is 250 gCO2eq/kWh, always.
    pub(crate) fn start() -> Self {
        Launch::new().env("CARBON_PROVIDER", "static:250").start()
    }

    /// No forecast ever arrives, so that nothing is evaluated but by a request or the cadence.
    pub(crate) fn without_forecasts() -> Self {
        Launch::new().env("CARBON_API_URL", NOBODY).start()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.client.send("GET", path, None)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.client.send("PUT", path, Some(body))
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.client.send("POST", path, Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.client.send("DELETE", path, None)
    }

    /// Puts a configuration in force.
    pub(crate) fn configure(&self, id: &str, body: &Value) -> Value {
        let answer = self.put(&format!("/config/{id}"), body);
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()
    }

    /// The schedule, which has to be there.
    pub(crate) fn schedule(&self, id: &str) -> Value {
        let answer = self.get(&format!("/schedule/{id}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The schedule, as soon as it is as `wanted`.
    pub(crate) fn schedule_when(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually("the schedule is as wanted", || Some(self.schedule(id)).filter(&wanted))
    }

    /// What was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        // The standard library only knows how to kill.
        let kill = format!("kill -{name} {}", self.child.id());
        let _ = Command::new("/bin/sh").arg("-c").arg(kill).status();
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let status = eventually("the server ends", || child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.terminate();
            if within(STOP, || self.child.try_wait().ok().flatten()).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            let log = self.log.lock().map(|log| log.clone()).unwrap_or_default();
            println!("the server's log:\n{log}");
        }
    }
}

/// Collects stderr, so that the server never waits for a reader.
fn follow(child: &mut Child, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let (mut stderr, log) = (child.stderr.take().unwrap(), Arc::clone(log));
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = stderr.read(&mut piece) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    })
}

/// `engine-server listens on http://A (metrics on http://B/metrics)`, or https
fn addresses(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let (api, metrics) = line.strip_prefix("engine-server listens on ")?.split_once(" (metrics on ")?;
    let (api, metrics) = (api.split_once("://")?.1, metrics.split_once("://")?.1);
    Some((api.parse().ok()?, metrics.trim_end().strip_suffix("/metrics)")?.parse().ok()?))
}

/// The seed's three flavours, bare.
pub(crate) fn bare_flavours() -> Value {
    json!({"strategies": [{"precision": 1.0}, {"precision": 0.85}, {"precision": 0.7}]})
}
