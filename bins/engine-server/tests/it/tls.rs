//! TLS and mutual TLS: who gets through a handshake, and what happens when certificates change.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::certificates::{Authority, Identity, put_file};
use crate::client::Client;
use crate::eventually;
use crate::server::{Launch, Server};

/// A server with this certificate in a folder of its own, asking clients for those of an authority.
fn launch(identity: &Identity, clients: Option<&Authority>) -> (TempDir, Launch) {
    let folder = tempfile::tempdir().unwrap();
    put_identity(folder.path(), identity);
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut launch = Launch::new().env("CARBON_PROVIDER", "static:250");
    launch = launch.env("TLS_CERT", &at("cert.pem")).env("TLS_KEY", &at("key.pem"));
    if let Some(clients) = clients {
        put_file(folder.path(), "clients.pem", &clients.pem());
        launch = launch.env("TLS_CLIENT_CA", &at("clients.pem"));
    }
    (folder, launch)
}

fn put_identity(folder: &Path, identity: &Identity) {
    put_file(folder, "cert.pem", &identity.certificate);
    put_file(folder, "key.pem", &identity.key);
}

/// A client of `server` that trusts `authority` and shows `identity`.
fn client(server: &Server, authority: &Authority, identity: Option<&Identity>) -> Client {
    Client::https(server.client.address, authority.trusted_by(identity))
}

/// A connection that got through its handshake.
fn stream(server: &Server, authority: &Authority) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::from(server.client.address.ip());
    let mut stream =
        StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), server.client.connect());
    stream.conn.complete_io(&mut stream.sock).unwrap();
    stream
}

/// The first message of a handshake, to a server of this name and with no cipher that anybody has.
fn hello_to(name: &str) -> Vec<u8> {
    let long = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let names = long(&[&[0], &long(name.as_bytes())[..]].concat());
    let extensions = long(&[&[0, 0], &long(&names)[..]].concat());
    let hello = [&[3, 3][..], &[7; 32], &[0], &long(&[0, 0xff]), &[1, 0], &extensions].concat();
    let message = [&[1, 0][..], &long(&hello)].concat();
    [&[22, 3, 1][..], &long(&message)].concat()
}

fn metric(server: &Server, name: &str) -> Option<f64> {
    let metrics = server.metrics.send("GET", "/metrics", None);
    metrics.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

const CURRENT: &str = "security_files_current{files=\"tls\"}";

#[test]
fn the_api_is_served_by_https() {
    let authority = Authority::new("one");
    let (_folder, launch) = launch(&authority.server(2099), None);
    let server = launch.start();
    let client = client(&server, &authority, None);
    for _ in 0..3 {
        assert_eq!(client.send("GET", "/schedule", None).status, 200);
    }
    let body = serde_json::json!({"policy": "p100"});
    assert_eq!(client.send("PUT", "/config/shop/a", Some(&body)).status, 202);
    assert_eq!(metric(&server, "tls_certificate_not_after_seconds"), Some(4_070_908_800.0));
    // Whoever trusts somebody else is not taken in.
    let stranger = self::client(&server, &Authority::new("two"), None);
    assert!(stranger.try_send("GET", "/schedule", None).is_err());
}

#[test]
fn what_is_no_handshake_is_refused_and_harms_nobody() {
    let authority = Authority::new("one");
    let (_folder, launch) = launch(&authority.server(2099), None);
    let mut server = launch.env("LOGLEVEL", "DEBUG").start();
    let good = client(&server, &authority, None);
    assert_eq!(good.send("GET", "/livez", None).status, 200);
    let hello = hello_to("127.0.0.1");
    let plain = b"GET /livez HTTP/1.1\r\nHost: t\r\n\r\n";
    for bytes in [&plain[..], &[0; 5_000], &[22, 3, 1, 255, 255, 1], &hello, &hello[..50], b""] {
        let mut stream = server.client.connect();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // It may be reset: bytes are left that nobody reads.
        let _ = stream.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP") && answer.len() < 100, "{answer:?}");
        assert_eq!(good.send("GET", "/livez", None).status, 200);
    }
    // Handshakes that stall keep nobody from theirs.
    let stalled: Vec<TcpStream> = (0..300).map(|_| server.client.connect()).collect();
    assert_eq!(client(&server, &authority, None).send("GET", "/livez", None).status, 200);
    drop(stalled);
    server.terminate();
    assert!(server.ended().success());
    assert!(!server.log().contains("ERROR") && !server.log().contains(" WARN "), "{}", server.log());
}

#[test]
fn a_client_without_the_right_certificate_reaches_no_handler() {
    let (authority, clients, strangers) =
        (Authority::new("servers"), Authority::new("clients"), Authority::new("strangers"));
    let (_folder, launch) = launch(&authority.server(2099), Some(&clients));
    let server = launch.start();
    let expired = clients.client(2021);
    let of_a_stranger = strangers.client(2099);
    let of_a_server = clients.server(2099);
    let good = clients.client(2099);
    for wrong in [None, Some(&expired), Some(&of_a_stranger), Some(&of_a_server)] {
        for path in ["/healthz", "/schedule", "/nowhere"] {
            let answer = client(&server, &authority, wrong).try_send("GET", path, None);
            assert!(answer.is_err(), "{answer:?}");
        }
    }
    let metrics = server.metrics.send("GET", "/metrics", None);
    assert!(!metrics.text().contains("http_requests_total{"), "{}", metrics.text());
    let good = client(&server, &authority, Some(&good));
    assert_eq!(good.send("GET", "/schedule", None).status, 200);
    eventually("it is counted", || {
        metric(&server, "http_requests_total{route=\"/schedule\",method=\"GET\",code=\"2xx\"}")
    });
    // Who watches the process has no certificate: the probes are on the metrics port, too.
    assert_eq!(server.metrics.send("GET", "/healthz", None).status, 200);
}

#[test]
fn certificates_are_rotated_and_nobody_is_cut_off() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (folder, launch) = launch(&old.server(2098), None);
    let mut server = launch.start();
    let mut open = stream(&server, &old);
    open.write_all(b"GET /livez HTTP/1.1\r\nHost: t\r\nConnection: close\r\n").unwrap();
    // The certificate comes before its key: until both are there, the old ones are in force.
    let identity = new.server(2099);
    put_file(folder.path(), "cert.pem", &identity.certificate);
    eventually("the metric says so", || metric(&server, CURRENT).filter(|current| *current == 0.0));
    assert_eq!(client(&server, &old, None).send("GET", "/livez", None).status, 200);
    put_file(folder.path(), "key.pem", &identity.key);
    eventually("the new certificate is in force", || {
        client(&server, &new, None).try_send("GET", "/livez", None).ok().filter(|answer| answer.status == 200)
    });
    assert!(client(&server, &old, None).try_send("GET", "/livez", None).is_err());
    assert_eq!(metric(&server, CURRENT), Some(1.0));
    assert_eq!(metric(&server, "tls_certificate_not_after_seconds"), Some(4_070_908_800.0));
    open.write_all(b"\r\n").unwrap();
    let mut answer = String::new();
    let _ = open.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.terminate();
    assert!(server.ended().success());
    let log = server.log();
    assert_eq!(log.matches("the key is not that of the certificate").count(), 1, "{log}");
    assert!(log.contains("tls: what the files hold now is in force"), "{log}");
}

#[test]
fn an_authority_that_is_replaced_vouches_no_more() {
    let (authority, old, new) = (Authority::new("servers"), Authority::new("old"), Authority::new("new"));
    let (folder, launch) = launch(&authority.server(2099), Some(&old));
    let server = launch.start();
    let (of_old, of_new) = (old.client(2099), new.client(2099));
    // The same client, so that it could resume a session.
    let asking = authority.trusted_by(Some(&of_old));
    let ask = |tls| Client::https(server.client.address, tls).try_send("GET", "/livez", None).is_ok();
    assert!(ask(asking.clone()) && !ask(authority.trusted_by(Some(&of_new))));
    put_file(folder.path(), "clients.pem", &new.pem());
    eventually("the new authority vouches", || ask(authority.trusted_by(Some(&of_new))).then_some(()));
    assert!(!ask(asking));
    // Both at once.
    put_file(folder.path(), "clients.pem", &(old.pem() + &new.pem()));
    eventually("the old one, too", || ask(authority.trusted_by(Some(&of_old))).then_some(()));
    assert!(ask(authority.trusted_by(Some(&of_new))));
}

#[test]
fn the_metrics_port_is_served_by_https_where_it_was_told_to() {
    let authority = Authority::new("one");
    let (_folder, launch) = launch(&authority.server(2099), None);
    let server = launch.arg("--metrics-tls").start();
    let metrics = Client::https(server.metrics.address, authority.trusted_by(None));
    assert_eq!(metrics.send("GET", "/metrics", None).status, 200);
    assert!(server.metrics.try_send("GET", "/metrics", None).is_err());
}

#[test]
fn files_that_do_not_fit_stop_the_start() {
    let authority = Authority::new("one");
    let (identity, other) = (authority.server(2099), authority.server(2099));
    let mut told = String::new();
    for (cert, key, clients) in [
        (&*identity.certificate, &*other.key, &*authority.pem()),
        (&*identity.key, &*identity.key, ""),
        (&*identity.certificate, &*identity.certificate, ""),
        ("", &*identity.key, ""),
        (&*identity.certificate, "", ""),
        (&identity.certificate[..100], &*identity.key, ""),
        (&*identity.certificate, &identity.key[..60], ""),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &*identity.key, ""),
        (&*identity.certificate, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ""),
        (&*identity.certificate, &*identity.key, &*identity.key),
        (
            &*identity.certificate,
            &*identity.key,
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ),
    ] {
        for check in [true, false] {
            let given = Identity { certificate: cert.to_owned(), key: key.to_owned() };
            let (folder, launch) = launch(&given, Some(&authority));
            put_file(folder.path(), "clients.pem", clients);
            let output = if check { launch.arg("--check") } else { launch }.run();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
            let line = String::from_utf8(output.stderr).unwrap().lines().last().unwrap().to_owned();
            if check {
                told += &line;
                told += "\n";
            } else {
                assert!(told.ends_with(&format!("{line}\n")), "{line}");
            }
        }
    }
    insta::assert_snapshot!(told, @r"
    engine-server: --tls-key: the key is not that of the certificate: expected the one it was made for
    engine-server: --tls-cert: the file has no certificate: expected PEM with `-----BEGIN CERTIFICATE-----`
    engine-server: --tls-key: the file has no private key: expected PEM with `-----BEGIN PRIVATE KEY-----` (or RSA, or EC), without a passphrase
    engine-server: --tls-cert: the file has no certificate: expected PEM with `-----BEGIN CERTIFICATE-----`
    engine-server: --tls-key: the file has no private key: expected PEM with `-----BEGIN PRIVATE KEY-----` (or RSA, or EC), without a passphrase
    engine-server: --tls-cert: the file is not PEM, or cut off: expected certificates
    engine-server: --tls-key: the file has no private key: expected PEM with `-----BEGIN PRIVATE KEY-----` (or RSA, or EC), without a passphrase
    engine-server: --tls-cert: the certificate cannot be read: expected X.509, that of the server first
    engine-server: --tls-key: the key cannot be used: expected RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519
    engine-server: --tls-client-ca: the file has no certificate: expected PEM with `-----BEGIN CERTIFICATE-----`
    engine-server: --tls-client-ca: certificate 1 of the file cannot be read: expected X.509
    ");
}

#[test]
fn flags_that_need_another_say_which() {
    let mut told = String::new();
    for arguments in [
        &["--tls-cert", "cert.pem"][..],
        &["--tls-key", "key.pem"],
        &["--tls-client-ca", "clients.pem"],
        &["--metrics-tokens"],
        &["--metrics-tls"],
    ] {
        let output = arguments.iter().fold(Launch::new(), |launch, argument| launch.arg(argument)).run();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        told += std::str::from_utf8(&output.stderr).unwrap();
    }
    insta::assert_snapshot!(told, @r"
    engine-server: --tls-cert cert.pem: expected --tls-key (or TLS_KEY) beside it
    engine-server: --tls-key key.pem: expected --tls-cert (or TLS_CERT) beside it
    engine-server: --tls-client-ca clients.pem: expected --tls-cert (or TLS_CERT) beside it
    engine-server: --metrics-tokens true: expected --tokens (or TOKENS) beside it
    engine-server: --metrics-tls true: expected --tls-cert (or TLS_CERT) beside it
    ");
}

#[test]
fn check_says_until_when_the_certificate_is_valid() {
    let authority = Authority::new("one");
    let (_folder, launch) = launch(&authority.server(2099), Some(&authority));
    let output = launch.arg("--check").run();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let line = "  tls = a certificate valid until 2099-01-01T00:00:00Z, clients need one too";
    assert!(said.lines().any(|other| other == line), "{said}");
}
