//! No token and no key is in a log, an answer, a metric, or what the command line prints.

use serde_json::json;

use crate::certificates::{Authority, put_file};
use crate::client::{Answer, Client};
use crate::eventually;
use crate::server::Launch;

const TOKEN: &str = "tell-nobody-0123456789abcdef";
const GUESS: &str = "guess-nobody-0123456789abcdef";
/// Of `TOKEN`.
const HASH: &str = "672b53c9";

#[test]
fn no_secret_gets_out() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new("one");
    let identity = authority.server(2099);
    let at = |name: &str, text: &str| put_file(folder.path(), name, text).to_str().unwrap().to_owned();
    let (tokens, cert, key) = (
        at("tokens", &format!("write {TOKEN}")),
        at("cert.pem", &identity.certificate),
        at("key.pem", &identity.key),
    );
    let launch = || {
        let launch = Launch::new().env("CARBON_PROVIDER", "static:250").env("LOGLEVEL", "DEBUG");
        launch.env("TOKENS", &tokens).env("TLS_CERT", &cert).env("TLS_KEY", &key)
    };
    let mut shown = Vec::new();
    for flag in ["--check", "--help", "--version", "--loglevel=loud", "--no-such-flag"] {
        let output = launch().arg(flag).run();
        shown.push(String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap());
    }
    let mut server = launch().env("STATE_DIR", folder.path().join("state").to_str().unwrap()).start();
    let client = Client::https(server.client.address, authority.trusted_by(None));
    let right = format!("Bearer {TOKEN}");
    eventually("it is ready", || (client.send("GET", "/readyz", None).status == 200).then_some(()));
    let mut answers: Vec<Answer> = Vec::new();
    for token in [TOKEN, GUESS] {
        let (basic, bare, lower) = (format!("Basic {token}"), token.to_owned(), format!("bearer: {token}"));
        let cookie = format!("token={token}");
        // In wrong places, and in the right place with more around it.
        for (name, value) in [
            ("Authorization", &basic),
            ("Authorization", &bare),
            ("Authorization", &lower),
            ("Proxy-Authorization", &right),
            ("X-Api-Key", &bare),
            ("Cookie", &cookie),
            ("If-None-Match", &bare),
            ("Content-Type", &bare),
        ] {
            for (method, path) in [
                ("GET", format!("/schedule?access_token={token}")),
                ("GET", format!("/{token}")),
                ("GET", format!("/schedule/{token}/{token}")),
                ("PUT", format!("/config/{token}/a")),
                ("DELETE", format!("/config/shop/{token}")),
                (token, "/schedule".to_owned()),
            ] {
                let body = json!({"token": token, token: 1, "policy": token}).to_string();
                let body = if method == "PUT" { &*body } else { "" };
                let answer = client.send_with(method, &path, &[(name, value)], body);
                assert_eq!(answer.status, 401, "{method} {path} {name}: {value}");
                answers.push(answer);
            }
        }
    }
    // In the right place and in wrong ones, too.
    let json = ("Content-Type", "application/json");
    for (method, path, more, body) in [
        ("PUT", "/config/shop/a".to_owned(), ("Cookie", TOKEN), "{\"targetError\": 0.1}"),
        ("PUT", format!("/config/shop/b?token={TOKEN}"), ("X-Token", TOKEN), "{\"policy\": 7}"),
        ("GET", format!("/schedules?limit={TOKEN}"), ("Cookie", TOKEN), ""),
        ("GET", format!("/schedules?continue={TOKEN}"), ("Cookie", TOKEN), ""),
        ("GET", "/config/shop/a".to_owned(), ("If-None-Match", TOKEN), ""),
        ("GET", format!("/schedule?token={TOKEN}"), ("If-None-Match", TOKEN), ""),
        ("POST", "/feedback/shop/a".to_owned(), ("Cookie", TOKEN), "{\"flavour_counts\": {}}"),
        ("DELETE", "/config/shop/a".to_owned(), ("Cookie", TOKEN), ""),
        ("GET", format!("/nowhere?token={TOKEN}"), ("Cookie", TOKEN), ""),
    ] {
        let fields = [("Authorization", &*right), json, more];
        answers.push(client.send_with(method, &path, &fields, body));
    }
    // Rotation, good and bad.
    put_file(folder.path(), "tokens", &format!("write {TOKEN}\n{TOKEN} read\n"));
    put_file(folder.path(), "key.pem", &identity.key[..identity.key.len() / 2]);
    let failures = || {
        let metrics = server.metrics.send("GET", "/metrics", None);
        let failed = metrics.text().matches("outcome=\"failed\"} 1").count();
        (failed == 2).then_some(metrics)
    };
    answers.push(eventually("both are counted", failures));
    server.terminate();
    assert!(server.ended().success());
    let log = server.log();
    assert!(log.contains("DEBUG") && log.matches(" WARN ").count() == 2, "{log}");
    shown.push(log);
    shown.extend(answers.iter().map(|answer| format!("{answer:?}{}", String::from_utf8_lossy(&answer.body))));
    let lines = identity.key.lines().filter(|line| !line.starts_with("-----"));
    let secrets = [TOKEN, GUESS, HASH].into_iter().chain(lines);
    for secret in secrets {
        assert!(secret.len() >= 8);
        for text in &shown {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    // A test that finds nothing anywhere would find nothing here either.
    assert!(shown.iter().any(|text| text.contains("tokens = 0 to read, 1 to write")), "{}", shown[0]);
}
