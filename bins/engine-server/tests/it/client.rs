//! Asking: a well-behaved client for most tests, plain bytes for what no such client would send.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::Request;
use ureq::tls::TlsConfig;
use ureq::typestate::AgentScope;

use crate::PATIENCE;

/// One address, asked over and over.
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    scheme: &'static str,
    agent: Agent,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self::speaking("http", address, TlsConfig::default())
    }

    /// The same for whoever asks elsewhere where nothing comes soon.
    pub(crate) fn impatient(address: SocketAddr) -> Self {
        let config = Self::config(TlsConfig::default()).timeout_global(Some(Duration::from_secs(2)));
        Self { address, scheme: "http", agent: config.build().new_agent() }
    }

    /// By https, trusting and trusted as `tls` says.
    pub(crate) fn https(address: SocketAddr, tls: TlsConfig) -> Self {
        Self::speaking("https", address, tls)
    }

    fn speaking(scheme: &'static str, address: SocketAddr, tls: TlsConfig) -> Self {
        Self { address, scheme, agent: Self::config(tls).build().new_agent() }
    }

    fn config(tls: TlsConfig) -> ConfigBuilder<AgentScope> {
        Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .max_redirects(0)
            .timeout_global(Some(PATIENCE))
            .tls_config(tls)
    }

    /// A request with a JSON body, or with none.
    pub(crate) fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.try_send(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same to a server that may be gone before it has answered.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        match body {
            None => self.ask(method, path, &[], ""),
            Some(body) => self.ask(method, path, &[("Content-Type", "application/json")], &body.to_string()),
        }
    }

    /// A request with header fields of one's own.
    pub(crate) fn send_with(&self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
        self.ask(method, path, fields, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let uri = format!("{}://{}{path}", self.scheme, self.address);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let response = if body.is_empty() {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body).unwrap())
        };
        let (head, mut body) = response?.into_parts();
        let fields =
            head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        Ok(Answer {
            status: head.status.as_u16(),
            fields: fields.collect(),
            body: body.with_config().limit(u64::MAX).read_to_vec()?,
        })
    }

    /// An open connection, for bytes.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection of its own: `head` (without the empty line) and body as they stand, until the server
    /// closes.
    pub(crate) fn raw(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let head = format!("{head}\r\nHost: test\r\nConnection: close\r\n\r\n");
        // A server that has answered already may have closed before the whole body is through.
        let _ = stream.write_all(&[head.as_bytes(), body].concat());
        read_answer(stream)
    }
}

/// Reads until the server closes.
pub(crate) fn read_answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        // What was answered counts, also where the connection was cut for the rest of a body.
        assert!(!bytes.is_empty(), "no answer: {error}");
    }
    Answer::parse(&bytes).unwrap_or_else(|| panic!("not HTTP: `{}`", String::from_utf8_lossy(&bytes)))
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        let mut answer = Self { status, fields: fields.collect(), body: bytes[end + 4..].to_vec() };
        // What follows is the answer to what followed.
        let length = answer.field("content-length").parse().unwrap_or(usize::MAX);
        answer.body.truncate(length);
        Some(answer)
    }

    /// A header field; empty where there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The pointers of `errors`.
    pub(crate) fn pointers(&self) -> Vec<String> {
        let problem = self.json();
        let errors = problem["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }

    /// Every bad field with what is wrong, one a line.
    pub(crate) fn problems(&self) -> String {
        let problem = self.json();
        let errors = problem["errors"].as_array().into_iter().flatten();
        let lines = errors.map(|error| {
            format!("{}: {}\n", error["pointer"].as_str().unwrap(), error["problem"].as_str().unwrap())
        });
        lines.collect()
    }

    /// Checks that this is an error as every error is: JSON, and saying what and why.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.field("content-type"), "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        for key in ["type", "title", "detail", "error"] {
            assert!(problem[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {self:?}");
        }
        for error in problem["errors"].as_array().into_iter().flatten() {
            assert!(error["pointer"].is_string() && error["problem"].is_string(), "{self:?}");
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(1_000).collect();
        write!(f, "{} {:?} {body}", self.status, self.fields)
    }
}
