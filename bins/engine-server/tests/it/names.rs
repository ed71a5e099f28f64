//! Names in paths.

use serde_json::json;

use crate::server::Server;

#[test]
fn names_are_dns_names_after_percent_decoding() {
    let server = Server::start();
    let (longest_namespace, longest_name) =
        ("n".repeat(63), format!("{}.{}", "a".repeat(200), "b".repeat(52)));
    for (namespace, name) in
        [("a", "b"), ("0", "1.2-3.c"), (&longest_namespace, &longest_name), ("t%2d1", "%73earch")]
    {
        let path = format!("{namespace}/{name}");
        assert_eq!(server.put(&format!("/config/{path}"), &json!({})).status, 202, "{path}");
        assert_eq!(server.get(&format!("/schedule/{path}")).status, 200, "{path}");
    }
    assert_eq!(server.get("/schedule/t-1/search").status, 200);
}

#[test]
fn other_names_are_422_everywhere() {
    let server = Server::start();
    let (long_namespace, long_name) = ("n".repeat(64), "a".repeat(254));
    let wrong = [
        ("a%20b", "c", vec!["/namespace"]),
        ("A", "b", vec!["/namespace"]),
        ("a.b", "c", vec!["/namespace"]),
        ("-a", "b", vec!["/namespace"]),
        ("a_b", "c", vec!["/namespace"]),
        ("..", "x", vec!["/namespace"]),
        ("a%2Fb", "c", vec!["/namespace"]),
        ("%ff", "%fe", vec!["/namespace", "/name"]),
        ("%C3%A9", "%E2%82%AC", vec!["/namespace", "/name"]),
        ("%zz", "a", vec!["/namespace"]),
        ("a", "b%00", vec!["/name"]),
        ("a", "c%22d", vec!["/name"]),
        ("a", "B", vec!["/name"]),
        ("a", "b..c", vec!["/name"]),
        ("a", ".", vec!["/name"]),
        ("a", "b%2Fmanual", vec!["/name"]),
        (&long_namespace, "b", vec!["/namespace"]),
        ("a", &long_name, vec!["/name"]),
    ];
    for (namespace, name, pointers) in &wrong {
        for (method, path) in [
            ("GET", format!("/schedule/{namespace}/{name}")),
            ("GET", format!("/config/{namespace}/{name}")),
            ("PUT", format!("/config/{namespace}/{name}")),
            ("DELETE", format!("/config/{namespace}/{name}")),
            ("POST", format!("/schedule/{namespace}/{name}/manual")),
            ("DELETE", format!("/schedule/{namespace}/{name}/manual")),
            ("POST", format!("/feedback/{namespace}/{name}")),
        ] {
            // As bytes: a polite client would tidy the path up.
            let head =
                format!("{method} {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2");
            let answer = server.client.raw(&head, b"{}");
            answer.assert_problem(422);
            assert_eq!(&answer.pointers(), pointers, "{method} {path}");
        }
    }
    assert_eq!(server.get("/schedules").json()["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_bad_name_is_shown_so_that_a_terminal_and_a_log_survive_it() {
    let server = Server::start();
    let answer = server.client.raw(&format!("GET /schedule/a%1b%5b2J{}/b HTTP/1.1", "x".repeat(5_000)), b"");
    answer.assert_problem(422);
    insta::assert_snapshot!(answer.json()["error"].as_str().unwrap(), @r"/namespace: `a\u{1b}[2Jxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..` is not a namespace: expected a DNS label (1 to 63 of a-z, 0-9 and -, no - at an end)");
}
