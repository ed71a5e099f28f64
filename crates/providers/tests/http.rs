//! The blocking client against a server on loopback that answers well, badly, slowly and without end.

#![cfg(feature = "http")]
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::SignedDuration;
use models::{CarbonTarget, Forecast, Timestamp};
use providers::http::{Client, MAX_BODY, USER_AGENT, check_url};
use providers::{Chain, Fetch, FetchError, Job, LegacyForecast, RefreshError, Request, UkCarbonIntensity};

/// Long enough for loopback, whatever else the machine is doing.
const PATIENCE: Duration = Duration::from_secs(30);
/// Short enough to be waited for.
const IMPATIENCE: Duration = Duration::from_millis(100);

/// What to send back for a request.
enum Reply {
    /// These bytes, then the end of the connection.
    Bytes(Vec<u8>),
    /// These bytes, then nothing until the client hangs up.
    Hold(Vec<u8>),
    /// These bytes again and again until the client hangs up.
    Endless(Vec<u8>, Vec<u8>),
}

/// A server on loopback with one thread, which ends with the value.
struct Stub {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    /// Answers each request by its path (with the query) and its whole head.
    #[expect(clippy::disallowed_methods, reason = "a server listens, on a thread of its own")]
    fn new(reply: impl Fn(&str, &str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let ending = Arc::new(AtomicBool::new(false));
        let (seen, ends) = (Arc::clone(&heads), Arc::clone(&ending));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let Some(head) = read_head(&mut stream) else {
                    continue;
                };
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                seen.lock().unwrap().push(head.clone());
                serve(&mut stream, reply(&path, &head));
            }
        });
        Self { address, heads, ending, thread: Some(thread) }
    }

    /// Answers every request with `body` and 200.
    fn body(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::new(move |_, _| Reply::Bytes(ok(&body)))
    }

    fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    fn paths(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        heads.iter().map(|head| head.split(' ').nth(1).unwrap_or_default().to_owned()).collect()
    }

    fn fetch(&self, path: &str, timeout: Duration) -> Result<Vec<u8>, FetchError> {
        Client::new().fetch(&get(format!("{}{path}", self.base())), timeout)
    }

    /// One refresh of `target`: the UK API below this server's root, then its legacy endpoint.
    fn refresh(&self, target: &str) -> Result<Forecast, RefreshError> {
        let chain = Chain::new(vec![
            Arc::new(UkCarbonIntensity::new(self.base())),
            Arc::new(LegacyForecast::new(self.base())),
        ]);
        let job = Job::new(CarbonTarget::from(target), SignedDuration::from_secs(30), chain);
        Ok(job.run(&Client::new(), now)?.forecast)
    }
}

impl Drop for Stub {
    #[expect(clippy::disallowed_methods, reason = "whoever waits for a connection is woken by one")]
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        // A last connection wakes the thread; if it died, there is nothing to wake.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The request up to the empty line; `None` if the client went away.
fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

fn serve(stream: &mut TcpStream, reply: Reply) {
    match reply {
        Reply::Bytes(bytes) => drop(stream.write_all(&bytes)),
        Reply::Hold(bytes) => {
            drop(stream.write_all(&bytes));
            drop(std::io::copy(stream, &mut std::io::sink()));
        }
        Reply::Endless(first, more) => {
            let mut going = stream.write_all(&first);
            while going.is_ok() {
                going = stream.write_all(&more);
            }
        }
    }
}

fn answer(status: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

fn ok(body: &[u8]) -> Vec<u8> {
    answer("200 OK", "Content-Type: application/json\r\n", body)
}

fn get(url: String) -> Request {
    Request::json(url)
}

fn now() -> Timestamp {
    "2018-01-20T12:10:00Z".parse().unwrap()
}

fn grams(forecast: &Forecast) -> Vec<f64> {
    forecast.slots().iter().map(|slot| slot.forecast.get()).collect()
}

/// The one in between has no value: half an hour is filled by a straight line.
const SLOTS: &str = r#"[{"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z","intensity":{"forecast":266,"actual":263,"index":"moderate"}},
    {"from":"2018-01-20T12:30Z","to":"2018-01-20T13:00Z","intensity":{"forecast":null,"actual":null,"index":"low"}},
    {"from":"2018-01-20T13:00Z","to":"2018-01-20T13:30Z","intensity":{"forecast":146,"actual":null,"index":"low"}}]"#;

#[test]
fn a_national_forecast_comes_over_the_wire() {
    let stub = Stub::body(format!(r#"{{"data":{SLOTS}}}"#));
    let forecast = stub.refresh("national").unwrap();
    assert_eq!((&*forecast.source, grams(&forecast)), ("uk-carbon-intensity", vec![266.0, 206.0, 146.0]));
    assert_eq!(stub.paths(), ["/intensity/2018-01-20T10:00Z/fw48h"]);
    let head = stub.heads.lock().unwrap()[0].to_lowercase();
    assert!(head.contains(&format!("\r\nuser-agent: {USER_AGENT}\r\n")), "{head}");
    assert_eq!(head.matches("\r\naccept: ").count(), 1, "{head}");
    assert!(head.contains("\r\naccept: application/json\r\n"), "{head}");
}

#[test]
fn a_regional_forecast_comes_as_an_object_and_as_a_list() {
    let region = format!(r#"{{"regionid":13,"shortname":"London","data":{SLOTS}}}"#);
    for body in [format!(r#"{{"data":{region}}}"#), format!(r#"{{"data":[{region}]}}"#)] {
        let stub = Stub::body(body);
        assert_eq!(grams(&stub.refresh("region:13").unwrap()), [266.0, 206.0, 146.0]);
        assert_eq!(grams(&stub.refresh("postcode:ox1 2jd").unwrap()), [266.0, 206.0, 146.0]);
        let base = "/regional/intensity/2018-01-20T12:00Z/fw48h";
        assert_eq!(stub.paths(), [format!("{base}/regionid/13"), format!("{base}/postcode/OX1")]);
    }
}

#[test]
fn the_legacy_endpoint_is_asked_when_the_first_has_no_such_page() {
    let stub = Stub::new(|path, _| {
        Reply::Bytes(match path {
            "/forecast" => ok(br#"{"current":250,"next":300}"#),
            _ => answer("404 Not Found", "", b"<h1>Not Found</h1>"),
        })
    });
    let forecast = stub.refresh("300").unwrap();
    assert_eq!((&*forecast.source, grams(&forecast)), ("legacy-forecast", vec![250.0, 300.0]));
    assert_eq!(stub.paths(), ["/forecast"], "the UK API has no such target and is not asked");
    assert_eq!(grams(&stub.refresh("national").unwrap()), [250.0, 300.0]);
    assert_eq!(stub.paths().len(), 3);
}

#[test]
fn a_bad_status_is_told_with_the_beginning_of_the_body() {
    let stub = Stub::new(|_, _| {
        let fields = "Retry-After: 7\r\n";
        Reply::Bytes(answer("500 Internal Server Error", fields, b"{\"error\": \"down\"}\n"))
    });
    let error = stub.fetch("/a?key=secret", PATIENCE).unwrap_err();
    let expected = FetchError::Status {
        url: format!("{}/a", stub.base()),
        status: 500,
        retry_after: Some(SignedDuration::from_secs(7)),
        excerpt: r#"{\"error\": \"down\"}"#.into(),
    };
    assert_eq!(error, expected);
    let error = stub.refresh("national").unwrap_err();
    assert_eq!(error.wait(now()), SignedDuration::from_secs(7));
    assert_eq!(error.attempts.len(), 2);
    assert_eq!(error.to_string().matches("answered 500").count(), 2, "{error}");
}

#[test]
fn the_pause_that_is_asked_for_may_be_a_date() {
    for (fields, expected) in [
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nDate: Wed, 21 Oct 2015 07:27:30 GMT\r\n", Some(30)),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nDate: Wed, 21 Oct 2015 07:28:30 GMT\r\n", Some(0)),
        ("Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: -5\r\n", None),
        ("", None),
    ] {
        let stub = Stub::new(move |_, _| Reply::Bytes(answer("429 Too Many Requests", fields, b"")));
        let Err(FetchError::Status { status, retry_after, .. }) = stub.fetch("/", PATIENCE) else {
            panic!("429 is an error")
        };
        assert_eq!((status, retry_after), (429, expected.map(SignedDuration::from_secs)), "{fields}");
    }
}

#[test]
fn two_hundred_with_anything_but_a_forecast_is_an_error() {
    for (body, said) in [
        ("<html><body>maintenance</body></html>", "it begins `<html><body>maintenance"),
        ("", "it is empty"),
        ("{}", "/data: missing"),
        (r#"{"data":[]}"#, "uk-carbon-intensity answered no slot with an intensity"),
        (r#"{"error":{"code":"400 Bad Request","message":"string"}}"#, "400 Bad Request: string"),
        (r#"{"data":[{"from":"2018-01-20T12:00Z","int"#, "EOF while parsing"),
    ] {
        let error = Stub::body(body).refresh("national").unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_even_where_it_would_parse() {
    let whole = ok(format!(r#"{{"data":{SLOTS}}} "#).as_bytes());
    let stub = Stub::new(move |_, _| Reply::Bytes(whole[..whole.len() - 1].to_vec()));
    let error = stub.fetch("/", PATIENCE).unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n";
    let stub = Stub::new(move |_, _| Reply::Bytes(chunked.into()));
    let error = stub.fetch("/", PATIENCE).unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
}

#[test]
fn what_is_no_http_is_an_error() {
    for bytes in [
        "",
        "\r\n\r\n",
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 999999 ?\r\n\r\n",
        "HTTP/1.1 200 OK\r\nbad\r\n\r\n",
    ] {
        let stub = Stub::new(move |_, _| Reply::Bytes(bytes.into()));
        let error = stub.fetch("/", PATIENCE).unwrap_err();
        assert!(matches!(error, FetchError::Connection { .. }), "{bytes:?}: {error}");
    }
}

#[test]
fn the_deadline_holds_for_head_and_body() {
    let slow = |sent: Vec<u8>| {
        let stub = Stub::new(move |_, _| Reply::Hold(sent.clone()));
        let error = stub.fetch("/", IMPATIENCE).unwrap_err();
        assert_eq!(error, FetchError::TimedOut { url: format!("{}/", stub.base()), timeout: IMPATIENCE });
        assert!(error.to_string().ends_with("/ had not answered in full within 0.1 s"), "{error}");
    };
    slow(Vec::new());
    slow(b"HTTP/1.1 200 OK\r\n".to_vec());
    slow(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"data\":".to_vec());
    slow(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"dat\r\n".to_vec());
}

#[test]
fn the_deadline_holds_for_the_body_of_an_error_too() {
    let stub = Stub::new(|_, _| Reply::Hold(b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nbusy".to_vec()));
    let error = stub.fetch("/", Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().ends_with("/ answered 503: `busy`"), "{error}");
}

#[test]
fn a_body_without_end_is_cut_at_the_limit() {
    for (fields, chunk) in [
        ("", vec![b' '; 65_536]),
        ("Transfer-Encoding: chunked\r\n", {
            let mut chunk = b"8000\r\n".to_vec();
            chunk.extend(vec![b' '; 0x8000]);
            chunk.extend(b"\r\n");
            chunk
        }),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        let stub = Stub::new(move |_, _| Reply::Endless(head.clone().into_bytes(), chunk.clone()));
        let error = stub.fetch("/", PATIENCE).unwrap_err();
        assert_eq!(error, FetchError::TooLarge { url: format!("{}/", stub.base()), limit: MAX_BODY });
    }
}

#[test]
fn the_limit_is_for_what_is_unpacked() {
    let gzipped = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        answer("200 OK", "Content-Encoding: gzip\r\n", &encoder.finish().unwrap())
    };
    let limit = usize::try_from(MAX_BODY).unwrap();
    let small = gzipped(&vec![b' '; limit]);
    assert!(small.len() < limit / 10);
    let stub = Stub::new(move |_, _| Reply::Bytes(small.clone()));
    assert_eq!(stub.fetch("/", PATIENCE).unwrap().len(), limit);
    let bomb = gzipped(&vec![b' '; limit + 1]);
    let stub = Stub::new(move |_, _| Reply::Bytes(bomb.clone()));
    assert!(matches!(stub.fetch("/", PATIENCE), Err(FetchError::TooLarge { .. })));
}

#[test]
fn at_most_three_redirects_are_followed() {
    let hop = |path: &str, _: &str| {
        let number: u32 = path[1..].parse().unwrap();
        Reply::Bytes(match number {
            0 => ok(b"there"),
            more => answer("302 Found", &format!("Location: /{}\r\n", more - 1), b""),
        })
    };
    let stub = Stub::new(hop);
    assert_eq!(stub.fetch("/3", PATIENCE).unwrap(), b"there");
    let error = stub.fetch("/4", PATIENCE).unwrap_err();
    let problem = "more than 3 redirects".to_owned();
    assert_eq!(error, FetchError::Connection { url: format!("{}/4", stub.base()), problem });
}

#[test]
fn a_key_is_neither_passed_on_nor_told() {
    let stub = Stub::new(|path, head| {
        let echo = head.replace("\r\n", " ");
        let moved = || answer("302 Found", "Location: /elsewhere\r\n", b"");
        let refused = || answer("403 Forbidden", "", &echo.as_bytes()[echo.len() - 60..]);
        Reply::Bytes(if path.starts_with("/moved") { moved() } else { refused() })
    });
    let keyed = |user: &str, path: &str| {
        Request::json(format!("http://{user}{}{path}?zone=DE&token=s3cret", stub.address))
            .with("auth-token", "k3y-of-mine")
    };
    let fetch = |request: &Request| Client::new().fetch(request, PATIENCE).unwrap_err();
    let moved = fetch(&keyed("", "/moved"));
    assert!(moved.to_string().contains("/moved answered 302"), "{moved}");
    assert_eq!(stub.paths(), ["/moved?zone=DE&token=s3cret"], "not followed");
    let echoed = fetch(&keyed("", "/echo"));
    assert!(echoed.to_string().contains("auth-token: ***"), "{echoed}");
    assert!(stub.heads.lock().unwrap()[1].contains("k3y-of-mine"), "it was sent");
    let with_password = fetch(&keyed("user:hunter2@", "/echo"));
    assert!(stub.heads.lock().unwrap()[2].to_lowercase().contains("authorization: basic "), "it was sent");
    for error in [moved, echoed, with_password] {
        for secret in ["k3y", "hunter2", "s3cret", "basic"] {
            assert!(!format!("{error} {error:?}").to_lowercase().contains(secret), "{error:?}");
        }
    }
    // A token without the word before it, and a password in whatever form, are not repeated either.
    let stub =
        Stub::new(|_, _| Reply::Bytes(answer("401 Unauthorized", "", b"no: eyJ0b2tlbg, ada:pa55word")));
    let authorized = |value: &str| Request::json(format!("{}/x", stub.base())).with("Authorization", value);
    let bearer = fetch(&authorized("Bearer eyJ0b2tlbg"));
    assert!(bearer.to_string().ends_with("answered 401: `no:***, ada:pa55word`"), "{bearer}");
    let basic = fetch(&authorized("Basic YWRhOnBhNTV3b3Jk"));
    let withheld = "answered 401: `withheld, since the request holds a password`";
    assert!(basic.to_string().ends_with(withheld), "{basic}");
    let shown = format!("{:?}", Request { url: "http://me:hunter2@x/?a=s3cret".into(), ..keyed("", "/") });
    assert_eq!(
        shown,
        r#"Request { url: "http://x/", headers: ["Accept", "auth-token"], secret_query: false }"#
    );
}

#[test]
fn a_key_is_told_neither_escaped_nor_cut_nor_out_of_the_url() {
    let long = (0..150).map(|index| format!("{index:03x}")).collect::<Vec<_>>().concat();
    let echoes = [
        (r"sekrit/KEY+123", r#"{"error":"bad key sekrit\/KEY+123"}"#.to_owned()),
        (r"sekrit/KEY+123", r#"{"error":"bad key sekrit/KEY\u002b123"}"#.to_owned()),
        (r#"sekrit"KEY+123"#, r#"{"error":"bad key sekrit\"KEY+123"}"#.to_owned()),
        (r"sekrit/KEY+123", "<p>sekrit%2FKEY%2b123 sekrit&#47;KEY&#x2b;123".to_owned()),
        (r"sekrit/KEY+123", "c2Vrcml0L0tFWSsxMjM= aXQ6c2Vrcml0L0tFWSsxMjM".to_owned()),
        (&long, long.clone()),
    ];
    for (key, body) in echoes {
        let stub = Stub::new(move |path, _| {
            let status = if path == "/ok" { "200 OK" } else { "401 Unauthorized" };
            Reply::Bytes(answer(status, "", body.as_bytes()))
        });
        let fetch = |path: &str| {
            let request = Request::json(format!("{}{path}", stub.base())).with("auth-token", key);
            Client::new().fetch(&request, PATIENCE)
        };
        let refused = fetch("/no").unwrap_err().to_string();
        let answered = String::from_utf8(fetch("/ok").unwrap()).unwrap();
        for shown in [&refused, &answered] {
            assert!(shown.contains("***"), "{shown}");
            for secret in ["sekrit", "KEY", "c2Vrc", "tFWSs", "03d03e"] {
                assert!(!shown.contains(secret), "{secret}: {shown}");
            }
        }
    }
    let stub = Stub::body(r#"{"error":"dXNlcjpwYXNzdzByZFg= passw0rdX token=QUERYSECRET"}"#);
    let url = format!("http://user:passw0rdX@{}/cm?token=QUERYSECRET", stub.address);
    let body = Client::new().fetch(&Request::json(url).with_secret_query(), PATIENCE).unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), r#"{"error":"***g= *** token=***"}"#);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a port nobody listens on is found by giving one back")]
fn a_refused_connection_is_told() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::new().fetch(&get(format!("http://{nobody}/")), PATIENCE).unwrap_err();
    let FetchError::Connection { url, problem } = &error else { panic!("{error}") };
    assert_eq!(*url, format!("http://{nobody}/"));
    assert!(problem.to_lowercase().contains("refused"), "{problem}");
}

#[test]
fn what_is_no_url_is_not_asked() {
    for url in [
        "",
        "carbon.example",
        "carbon.example:80",
        "/forecast",
        "ftp://127.0.0.1/",
        "http://",
        "http://[",
        "http:///a",
        "http://a b/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:/",
        "http://u:p@/",
    ] {
        let error = Client::new().fetch(&get(url.into()), PATIENCE).unwrap_err();
        assert!(matches!(error, FetchError::BadRequest { .. }), "{url}: {error:?}");
        assert!(error.to_string().contains(": expected a"), "{error}");
    }
    for url in ["http://a", "https://a.b:443/c/", "http://[::1]:8080", "http://u:p@127.0.0.1:1/?q=1"] {
        assert_eq!(check_url(url), Ok(()), "{url}");
    }
    let request = Request::json("http://127.0.0.1:1/".into()).with("Accept", "a\r\nb: c");
    let error = Client::new().fetch(&request, PATIENCE).unwrap_err();
    assert!(matches!(error, FetchError::BadRequest { .. }), "{error:?}");
}

#[test]
fn a_proxy_is_used_where_one_is_handed_in() {
    let proxy = Stub::new(|_, _| Reply::Bytes(answer("403 Forbidden", "", b"")));
    let client = Client::with_proxy(&proxy.base()).unwrap();
    let error = client.fetch(&get("http://carbon.invalid/forecast".into()), PATIENCE).unwrap_err();
    assert!(matches!(error, FetchError::Connection { .. }), "{error}");
    let head = proxy.heads.lock().unwrap()[0].clone();
    assert!(head.starts_with("CONNECT carbon.invalid:80 "), "{head}");
    let refused = Client::with_proxy("not a proxy").unwrap_err().to_string();
    assert!(refused.starts_with("not a proxy URL"), "{refused}");
}
