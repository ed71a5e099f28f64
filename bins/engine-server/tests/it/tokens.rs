//! Tokens: who may ask what, cell by cell, and what happens when their file changes.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::certificates::put_file;
use crate::client::{Answer, Client, read_answer};
use crate::eventually;
use crate::server::{Launch, Server};

const WRONG: &str = "wrong-0123456789abcdef";
const READ: &str = "read-0123456789abcdef";
const WRITE: &str = "write-0123456789abcdef";
const SHOP: &str = "shop-0123456789abcdef";

const FILE: &str = "# who may what
read read-0123456789abcdef
write write-0123456789abcdef

write:shop,cart shop-0123456789abcdef
";

/// Who asks: without a token, with one that is not known, and with one of each role.
const WHO: [Option<&str>; 5] = [None, Some(WRONG), Some(READ), Some(WRITE), Some(SHOP)];

/// Every endpoint and method, and what each of [`WHO`] is answered.
const TABLE: &[(&str, &str, [u16; 5])] = &[
    ("GET", "/healthz", [200, 200, 200, 200, 200]),
    ("HEAD", "/healthz", [200, 200, 200, 200, 200]),
    ("PUT", "/healthz", [401, 401, 403, 405, 403]),
    ("GET", "/livez", [200, 200, 200, 200, 200]),
    ("HEAD", "/livez", [200, 200, 200, 200, 200]),
    ("GET", "/readyz", [200, 200, 200, 200, 200]),
    ("HEAD", "/readyz", [200, 200, 200, 200, 200]),
    ("GET", "/schedule", [401, 401, 200, 200, 200]),
    ("HEAD", "/schedule", [401, 401, 200, 200, 200]),
    ("OPTIONS", "/schedule", [401, 401, 200, 200, 200]),
    ("PUT", "/schedule", [401, 401, 403, 405, 403]),
    ("GET", "/openapi.json", [401, 401, 200, 200, 200]),
    ("GET", "/schedules", [401, 401, 200, 200, 200]),
    ("HEAD", "/schedules", [401, 401, 200, 200, 200]),
    ("GET", "/forecasts", [401, 401, 200, 200, 200]),
    ("HEAD", "/forecasts", [401, 401, 200, 200, 200]),
    ("GET", "/forecasts/nowhere/vintages", [401, 401, 404, 404, 404]),
    ("HEAD", "/forecasts/nowhere/vintages", [401, 401, 404, 404, 404]),
    ("GET", "/forecasts/nowhere/actuals", [401, 401, 404, 404, 404]),
    ("HEAD", "/forecasts/nowhere/actuals", [401, 401, 404, 404, 404]),
    ("GET", "/schedule/shop/a", [401, 401, 200, 200, 200]),
    ("HEAD", "/schedule/shop/a", [401, 401, 200, 200, 200]),
    ("GET", "/schedule/other/a", [401, 401, 200, 200, 200]),
    ("GET", "/schedule/other/none", [401, 401, 404, 404, 404]),
    ("DELETE", "/schedule/shop/a", [401, 401, 403, 405, 405]),
    ("GET", "/config/shop/a", [401, 401, 200, 200, 200]),
    ("HEAD", "/config/shop/a", [401, 401, 200, 200, 200]),
    ("OPTIONS", "/config/shop/a", [401, 401, 200, 200, 200]),
    ("GET", "/config/other/a", [401, 401, 200, 200, 200]),
    ("GET", "/config/other/none", [401, 401, 404, 404, 404]),
    ("PUT", "/config/shop/a", [401, 401, 403, 202, 202]),
    ("PUT", "/config/cart/a", [401, 401, 403, 202, 202]),
    ("PUT", "/config/other/a", [401, 401, 403, 202, 403]),
    ("PUT", "/config/shop/new", [401, 401, 403, 202, 202]),
    ("PUT", "/config/shop-2/new", [401, 401, 403, 202, 403]),
    ("PUT", "/config/%73hop/a", [401, 401, 403, 202, 403]),
    ("PUT", "/config/Shop/a", [401, 401, 403, 422, 403]),
    ("PUT", "/config/shop", [401, 401, 403, 404, 403]),
    ("PUT", "/config/shop/a/more", [401, 401, 403, 404, 403]),
    ("DELETE", "/config/shop/a", [401, 401, 403, 200, 200]),
    ("DELETE", "/config/other/a", [401, 401, 403, 200, 403]),
    ("DELETE", "/config/shop/none", [401, 401, 403, 404, 404]),
    ("DELETE", "/config/other/none", [401, 401, 403, 404, 403]),
    ("DELETE", "/config/default/default", [401, 401, 403, 200, 403]),
    ("PATCH", "/config/shop/a", [401, 401, 403, 405, 405]),
    ("POST", "/schedule/shop/a/manual", [401, 401, 403, 202, 202]),
    ("POST", "/schedule/other/a/manual", [401, 401, 403, 202, 403]),
    ("POST", "/schedule/other/none/manual", [401, 401, 403, 404, 403]),
    ("DELETE", "/schedule/shop/a/manual", [401, 401, 403, 200, 200]),
    ("DELETE", "/schedule/other/a/manual", [401, 401, 403, 200, 403]),
    ("GET", "/schedule/shop/a/manual", [401, 401, 405, 405, 405]),
    ("POST", "/setschedule", [401, 401, 403, 202, 403]),
    ("DELETE", "/setschedule", [401, 401, 403, 200, 403]),
    ("POST", "/feedback/shop/a", [401, 401, 403, 200, 200]),
    ("POST", "/feedback/other/a", [401, 401, 403, 200, 403]),
    ("POST", "/feedback/other/none", [401, 401, 403, 404, 403]),
    ("GET", "/feedback/shop/a", [401, 401, 405, 405, 405]),
    ("GET", "/", [401, 401, 404, 404, 404]),
    ("GET", "/nowhere", [401, 401, 404, 404, 404]),
    ("GET", "/healthz/", [401, 401, 404, 404, 404]),
    ("GET", "/%68ealthz", [401, 401, 200, 200, 200]),
    ("POST", "/nowhere", [401, 401, 403, 404, 403]),
    ("POST", "/nowhere/shop/a", [401, 401, 403, 404, 403]),
];

/// A server with these tokens, their file in a folder of its own.
fn launch(text: &str) -> (TempDir, Launch) {
    let folder = tempfile::tempdir().unwrap();
    let file = put_file(folder.path(), "tokens", text);
    let launch = Launch::new().env("CARBON_PROVIDER", "static:250").env("TOKENS", file.to_str().unwrap());
    (folder, launch)
}

fn send(client: &Client, method: &str, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let field = token.map(|token| format!("Bearer {token}"));
    let mut fields = vec![("Content-Type", "application/json")];
    fields.extend(field.as_deref().map(|field| ("Authorization", field)));
    let reads = matches!(method, "GET" | "HEAD" | "OPTIONS");
    let body = if reads { String::new() } else { body.to_string() };
    client.send_with(method, path, &fields, &body)
}

fn get(client: &Client, path: &str, token: Option<&str>) -> Answer {
    send(client, "GET", path, token, &Value::Null)
}

/// What each endpoint takes, as one object: of other keys each takes no notice.
fn body() -> Value {
    json!({"flavourWeights": {"precision-100": 1}, "flavour_counts": {"precision-100": 10}, "policy": "p100"})
}

#[test]
fn every_role_gets_what_it_may_at_every_endpoint() {
    let (_folder, launch) = launch(FILE);
    // Once there are tokens, neither of these lets anybody in: the client is on loopback, too.
    let server = launch.arg("--allow-anonymous-writes").start();
    eventually("the server is ready", || (server.get("/readyz").status == 200).then_some(()));
    for (method, path, expected) in TABLE {
        for (token, expected) in WHO.into_iter().zip(expected) {
            for id in ["shop/a", "cart/a", "other/a"] {
                let put = send(&server.client, "PUT", &format!("/config/{id}"), Some(WRITE), &json!({}));
                assert_eq!(put.status, 202, "{put:?}");
            }
            let before = get(&server.client, "/schedules", Some(READ)).json();
            let answer = send(&server.client, method, path, token, &body());
            let what = format!("{method} {path} with {token:?}: {answer:?}");
            assert_eq!(answer.status, *expected, "{what}");
            let challenge = match (answer.status, token) {
                (401, None) => "Bearer",
                (401, _) => "Bearer error=\"invalid_token\"",
                (403, _) => "Bearer error=\"insufficient_scope\"",
                _ => "",
            };
            assert_eq!(answer.field("www-authenticate"), challenge, "{what}");
            if matches!(answer.status, 401 | 403) {
                if *method != "HEAD" {
                    answer.assert_problem(*expected);
                }
                assert_eq!(
                    get(&server.client, "/schedules", Some(READ)).json()["items"].as_array().map(Vec::len),
                    before["items"].as_array().map(Vec::len)
                );
            }
        }
    }
    let default = get(&server.client, "/schedule", Some(SHOP)).json();
    assert!(default.get("manual").is_none(), "{default}");
}

#[test]
fn what_is_denied_says_why() {
    let (_folder, launch) = launch(FILE);
    let server = launch.start();
    let mut told = String::new();
    for (method, path, token) in [
        ("GET", "/schedule", None),
        ("GET", "/schedule", Some(WRONG)),
        ("PUT", "/config/shop/a", Some(READ)),
        ("PUT", "/config/other/a", Some(SHOP)),
        ("POST", "/setschedule", Some(SHOP)),
        ("POST", "/nowhere", Some(SHOP)),
    ] {
        let answer = send(&server.client, method, path, token, &json!({}));
        let _ = writeln!(told, "{} {}", answer.status, answer.json()["error"].as_str().unwrap());
    }
    insta::assert_snapshot!(told, @r"
    401 a token is needed: expected the header field `Authorization: Bearer TOKEN`
    401 the token is not one of those known here: expected one `Authorization: Bearer TOKEN` with a token in force
    403 this token may read only: expected one with the role write
    403 this token may not change anything in namespace `other`: expected one with the role write, or write:other
    403 this token may not change anything in namespace `default`: expected one with the role write, or write:default
    403 this token may change schedules of some namespaces only: expected one with the role write
    ");
    let metrics = server.metrics.send("GET", "/metrics", None);
    for (reason, times) in [("no_token", 1), ("wrong_token", 1), ("role", 1), ("namespace", 3)] {
        let line = format!("http_denied_total{{reason=\"{reason}\"}} {times}");
        assert!(metrics.text().lines().any(|other| other == line), "{line}: {}", metrics.text());
    }
}

#[test]
fn a_token_counts_in_its_place_alone() {
    let (_folder, launch) = launch(FILE);
    let server = launch.start();
    let basic = format!("Basic {READ}");
    let bare = READ.to_owned();
    let two = format!("Bearer {READ} {READ}");
    let comma = format!("Bearer {READ}, Bearer {READ}");
    let prefix = format!("Bearer {}", &READ[..READ.len() - 1]);
    let longer = format!("Bearer {READ}0");
    let long = format!("Bearer {}", "x".repeat(20_000));
    for field in ["", "Bearer", "Bearer ", &basic, &bare, &two, &comma, &prefix, &longer, &long] {
        let answer = server.client.send_with("GET", "/schedule", &[("Authorization", field)], "");
        answer.assert_problem(401);
    }
    let good = format!("Bearer {READ}");
    for name in ["Proxy-Authorization", "X-Authorization", "Cookie", "Token"] {
        server.client.send_with("GET", "/schedule", &[(name, &good)], "").assert_problem(401);
    }
    let again = [("Authorization", &*good), ("Authorization", &*good)];
    server.client.send_with("GET", "/schedule", &again, "").assert_problem(401);
    for path in [format!("/schedule?access_token={READ}"), format!("/schedule?token={READ}")] {
        server.client.send_with("GET", &path, &[], "").assert_problem(401);
    }
    for field in [good, format!("bearer {READ}"), format!("BEARER   {READ}")] {
        let answer = server.client.send_with("GET", "/schedule", &[("Authorization", &field)], "");
        assert_eq!(answer.status, 200, "{field}: {answer:?}");
    }
}

#[test]
fn nobody_is_let_in_for_a_body_that_is_never_read() {
    let (_folder, launch) = launch(FILE);
    let server = launch.start();
    // Whoever reads the body first has to say that it is not whole.
    let cut = |head: &str, body: &str| {
        let mut stream = server.client.connect();
        let head = format!("{head}\r\nHost: t\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        read_answer(stream)
    };
    // A body that is announced and does not come, and one that would be refused for its size.
    for head in [
        "PUT /config/shop/a HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 100",
        "PUT /config/shop/a HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999999",
        "POST /feedback/shop/a HTTP/1.1\r\nTransfer-Encoding: chunked",
    ] {
        cut(head, "").assert_problem(401);
    }
    // A body that looks like a request with a token is a body.
    let inner = format!(
        "PUT /config/shop/inner HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {WRITE}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    let head = format!("PUT /config/shop/a HTTP/1.1\r\nContent-Length: {}", inner.len());
    cut(&head, &inner).assert_problem(401);
    assert_eq!(get(&server.client, "/schedule/shop/inner", Some(READ)).status, 404);
    let head = format!(
        "PUT /config/other/a HTTP/1.1\r\nAuthorization: Bearer {SHOP}\r\nContent-Length: 99999999999"
    );
    cut(&head, "").assert_problem(403);
}

#[test]
fn nobody_is_asked_for_a_body_that_will_not_be_read() {
    let (_folder, launch) = launch(FILE);
    let server = launch.start();
    for (token, length, expected) in [
        (None, 2, "401 Unauthorized"),
        (Some(READ), 2, "403 Forbidden"),
        (Some(WRITE), 1 << 30, "413 Payload Too Large"),
        (Some(WRITE), 2, "100 Continue"),
    ] {
        let mut stream = server.client.connect();
        let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let head = format!(
            "PUT /config/shop/a HTTP/1.1\r\nHost: t\r\n{token}Content-Type: application/json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), format!("HTTP/1.1 {expected}"));
        if line.contains("100") {
            reader.get_mut().write_all(b"{}").unwrap();
            for expected in ["", "HTTP/1.1 202 Accepted"] {
                line.clear();
                reader.read_line(&mut line).unwrap();
                assert_eq!(line.trim_end(), expected);
            }
        } else {
            // Whatever comes of the body would be read as the next request: nothing is read any more.
            let mut rest = String::new();
            reader.read_to_string(&mut rest).unwrap();
            assert!(
                rest.contains("application/problem+json") && rest.contains("connection: close"),
                "{rest}"
            );
        }
    }
    let metrics = server.metrics.send("GET", "/metrics", None);
    for series in [
        r#"http_requests_total{route="/config/{namespace}/{name}",method="PUT",code="4xx"} 3"#,
        r#"http_denied_total{reason="no_token"} 1"#,
        r#"http_requests_refused_total{limit="body_bytes"} 1"#,
    ] {
        assert!(metrics.text().contains(series), "{series}");
    }
}

#[test]
fn the_default_schedule_is_its_namespaces() {
    let (_folder, launch) = launch(FILE);
    let server = launch.env("DEFAULT_SCHEDULE_NAMESPACE", "shop").start();
    for (method, status) in [("POST", 202), ("DELETE", 200)] {
        assert_eq!(send(&server.client, method, "/setschedule", Some(SHOP), &body()).status, status);
    }
}

#[test]
fn the_metrics_port_asks_for_a_token_where_it_was_told_to() {
    for (asks, expected) in [(false, [200, 200, 200]), (true, [401, 401, 200])] {
        let (_folder, launch) = launch(FILE);
        let server = launch.env("METRICS_TOKENS", &asks.to_string()).start();
        for (token, expected) in [None, Some(WRONG), Some(READ)].into_iter().zip(expected) {
            assert_eq!(get(&server.metrics, "/metrics", token).status, expected, "{asks} {token:?}");
            for probe in ["/healthz", "/livez"] {
                assert_eq!(get(&server.metrics, probe, token).status, 200);
            }
        }
        eventually("ready", || (get(&server.metrics, "/readyz", None).status == 200).then_some(()));
    }
}

/// Whether what the file holds is in force.
fn is_current(server: &Server) -> bool {
    let metrics = server.metrics.send("GET", "/metrics", None);
    let line = metrics.text().lines().find(|line| line.starts_with("security_files_current{"));
    match line.unwrap_or_else(|| panic!("{}", metrics.text())) {
        "security_files_current{files=\"tokens\"} 1" => true,
        "security_files_current{files=\"tokens\"} 0" => false,
        other => panic!("{other}"),
    }
}

#[test]
fn tokens_are_rotated_without_a_restart() {
    let (folder, launch) = launch(FILE);
    let mut server = launch.start();
    let status = |token| get(&server.client, "/schedule", Some(token)).status;
    assert_eq!((status(READ), status("new-0123456789abcdef"), is_current(&server)), (200, 401, true));
    // Both for a while, then the new one alone.
    put_file(folder.path(), "tokens", &format!("{FILE}read new-0123456789abcdef"));
    eventually("the new token is known", || (status("new-0123456789abcdef") == 200).then_some(()));
    assert_eq!(status(READ), 200);
    put_file(folder.path(), "tokens", "read new-0123456789abcdef");
    eventually("the old token is gone", || (status(READ) == 401).then_some(()));
    assert_eq!((status(WRITE), status("new-0123456789abcdef")), (401, 200));
    // What cannot be used changes nothing.
    for bad in ["read new-0123456789abcdef\nread short", ""] {
        put_file(folder.path(), "tokens", bad);
        eventually("the metric says so", || (!is_current(&server)).then_some(()));
        assert_eq!(status("new-0123456789abcdef"), 200);
        put_file(folder.path(), "tokens", "read new-0123456789abcdef");
        eventually("it is well again", || is_current(&server).then_some(()));
    }
    fs::remove_file(folder.path().join("tokens")).unwrap();
    eventually("the metric says so", || (!is_current(&server)).then_some(()));
    assert_eq!(status("new-0123456789abcdef"), 200);
    put_file(folder.path(), "tokens", FILE);
    eventually("the file is back", || (status(READ) == 200).then_some(()));
    server.terminate();
    assert!(server.ended().success());
    let log = server.log();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains(" WARN ")).collect();
    assert_eq!(warnings.len(), 3, "once each: {log}");
    assert!(warnings[0].contains("tokens: line 2: expected a token of 16 to 256"), "{log}");
    assert!(
        warnings[1].contains("tokens: the file has no token") && warnings[2].contains("cannot be opened"),
        "{log}"
    );
}

#[test]
fn a_mounted_secret_is_followed_where_its_link_leads() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mount = |name: &str, text: &str| {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("tokens"), text).unwrap();
        std::os::unix::fs::symlink(name, at("..data.new")).unwrap();
        fs::rename(at("..data.new"), at("..data")).unwrap();
    };
    mount("..1", "read one-0123456789abcdef");
    std::os::unix::fs::symlink("..data/tokens", at("tokens")).unwrap();
    let launch = Launch::new().env("CARBON_PROVIDER", "static:250");
    let server = launch.arg("--tokens").arg(at("tokens").to_str().unwrap()).start();
    let status = |token| get(&server.client, "/schedule", Some(token)).status;
    assert_eq!((status("one-0123456789abcdef"), status("two-0123456789abcdef")), (200, 401));
    mount("..2", "read two-0123456789abcdef");
    eventually("the link is followed", || (status("two-0123456789abcdef") == 200).then_some(()));
    assert_eq!(status("one-0123456789abcdef"), 401);
}

/// What a start with this file says.
fn refused(folder: &Path, text: &[u8], check: bool) -> String {
    let file = folder.join("tokens");
    fs::write(&file, text).unwrap();
    let launch = Launch::new().env("CARBON_PROVIDER", "static:250").env("TOKENS", file.to_str().unwrap());
    let output = if check { launch.arg("--check") } else { launch }.run();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    told.lines().last().unwrap().to_owned()
}

#[test]
fn a_wrong_file_stops_the_start_with_its_line_and_without_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for text in [
        "",
        "read secret-0123456789\nsecret-9876543210",
        "secret-0123456789 read",
        "admin secret-0123456789",
        "# none\n\nread secret",
        "read secret-0123456789 secret-0123456789",
        "write:Secret-0123456789 secret-0123456789",
        "read secret-0123456789\nwrite secret-0123456789",
        "read sha256:secret",
    ] {
        for check in [true, false] {
            let line = refused(folder.path(), text.as_bytes(), check);
            assert!(!line.to_lowercase().contains("secret"), "{line}");
            if check {
                told += &line;
                told += "\n";
            }
        }
    }
    told += &refused(folder.path(), b"read \xff", true);
    told += "\n";
    told += &refused(folder.path(), &vec![b'\n'; (1 << 20) + 1], true);
    insta::assert_snapshot!(told, @r"
    engine-server: --tokens: the file has no token: expected a line `ROLE TOKEN`
    engine-server: --tokens: line 2: expected `ROLE TOKEN`, two words and nothing else
    engine-server: --tokens: line 1: expected a role first: read, write or write:namespace[,namespace..]
    engine-server: --tokens: line 1: expected a role first: read, write or write:namespace[,namespace..]
    engine-server: --tokens: line 3: expected a token of 16 to 256 visible ASCII characters after the role, or `sha256:` and its hash
    engine-server: --tokens: line 1: expected `ROLE TOKEN`, two words and nothing else
    engine-server: --tokens: line 1: expected namespaces after `write:`, with commas between: each a DNS label (1 to 63 of a-z, 0-9 and -)
    engine-server: --tokens: line 2: the token of line 1 again: expected each to stand once
    engine-server: --tokens: line 1: expected 64 hexadecimal digits after `sha256:`
    engine-server: --tokens: the file is not text: expected UTF-8
    engine-server: --tokens: the file is larger than 1048576 bytes: expected a smaller one
    ");
    let missing = Launch::new().arg("--check").env("TOKENS", "/no/such/file").run();
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
    insta::assert_snapshot!(String::from_utf8_lossy(&missing.stderr), @"engine-server: --tokens: the file cannot be opened: No such file or directory (os error 2)");
}

#[test]
fn check_says_how_many_tokens_there_are() {
    let (_folder, launch) = launch(FILE);
    let output = launch.arg("--check").run();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line = "  tokens = 1 to read, 1 to write, 1 to write in some namespaces";
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.lines().any(|other| other == line), "{said}");
}
