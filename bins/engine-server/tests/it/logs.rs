//! Structured logs: one line an evaluation at debug, levels by Python's names.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::client::read_answer;
use crate::eventually;
use crate::server::{Launch, Server};

/// A server whose schedules are evaluated by requests alone.
fn quiet() -> Launch {
    Launch::new().env("CARBON_API_URL", "http://127.0.0.1:1").env("SCHEDULE_VALID_FOR", "86400")
}

/// Three evaluations of `t/log`, then a stop: everything is logged.
fn three_evaluations(mut server: Server) -> String {
    for error in [0.1, 0.2, 0.3] {
        server.configure("t/log", &json!({"targetError": error}));
    }
    server.terminate();
    assert!(server.ended().success());
    server.log()
}

#[test]
fn an_evaluation_is_one_line_at_debug() {
    for level in ["debug", "DEBUG", "Debug"] {
        let log = three_evaluations(quiet().env("LOGLEVEL", level).start());
        let lines: Vec<_> = log.lines().filter(|line| line.contains("schedule=t/log")).collect();
        assert_eq!(lines.len(), 3, "{log}");
        for part in [
            "DEBUG",
            "evaluated",
            "policy=credit-greedy",
            "weights=\"precision-100=",
            "credit_balance=",
            "valid_until=",
            "reason=",
        ] {
            assert!(lines[0].contains(part), "{part}: {}", lines[0]);
        }
    }
    let info = three_evaluations(quiet().start());
    assert!(!info.contains("t/log") && info.contains(" INFO ") && info.contains(" WARN "), "{info}");
}

#[test]
fn levels_are_pythons_names_in_any_case() {
    for (level, info, warning) in [
        ("INFO", true, true),
        ("warning", false, true),
        ("Warn", false, true),
        ("ERROR", false, false),
        ("critical", false, false),
        ("FATAL", false, false),
    ] {
        let mut server = quiet().env("LOGLEVEL", level).start();
        if warning {
            eventually("the forecast failed", || server.log().contains(" WARN ").then_some(()));
        }
        server.terminate();
        assert!(server.ended().success());
        let log = server.log();
        assert_eq!((log.contains(" INFO "), log.contains(" WARN ")), (info, warning), "{level}: {log}");
    }
}

#[test]
fn what_clients_send_is_no_error_of_ours() {
    let mut server = quiet().start();
    for bytes in [
        b"GARBAGE\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n".to_vec(),
        [&b"GET / HTTP/1.1\r\nHost: t\r\nX: "[..], "x".repeat(200_000).as_bytes(), b"\r\n\r\n"].concat(),
    ] {
        let mut stream = server.client.connect();
        // It may be refused before all of it is sent.
        let _ = stream.write_all(&bytes);
        assert!(read_answer(stream).status >= 400);
    }
    server.terminate();
    assert!(server.ended().success());
    let log = server.log();
    assert!(log.contains(" INFO ") && !log.contains("ERROR"), "{log}");
}

#[test]
fn json_logs_parse_line_by_line() {
    let log = three_evaluations(quiet().env("LOGLEVEL", "DEBUG").env("LOG_FORMAT", "json").start());
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let evaluations: Vec<_> = lines.iter().filter(|line| line["fields"]["schedule"] == "t/log").collect();
    assert_eq!(evaluations.len(), 3, "{log}");
    for line in evaluations {
        assert_eq!((&line["level"], &line["target"]), (&json!("DEBUG"), &json!("engine_server::evaluation")));
        assert_eq!(
            (&line["fields"]["message"], &line["fields"]["policy"]),
            (&json!("evaluated"), &json!("credit-greedy"))
        );
        assert!(line["timestamp"].is_string() && line["fields"]["throttle"].is_number(), "{line}");
    }
}

#[test]
fn of_many_lines_of_a_kind_a_few_are_written_and_all_are_counted() {
    let mut server = quiet().start();
    for index in 0..30 {
        server.configure(&format!("t/s{index}"), &json!({}));
    }
    for index in 0..30 {
        assert_eq!(server.delete(&format!("/config/t/s{index}")).status, 200);
    }
    let metrics = server.metrics.send("GET", "/metrics", None);
    let line = "log_lines_left_out_total{level=\"info\"} 20\n";
    assert!(metrics.text().contains(line), "{}", metrics.text());
    server.terminate();
    assert!(server.ended().success());
    let log = server.log();
    let removed = log.lines().filter(|line| line.contains("schedule=t/s") && !line.contains("more lines"));
    assert_eq!(removed.count(), 10, "{log}");
    let told: Vec<_> = log.lines().filter(|line| line.contains("there were more lines like this")).collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(
        told[0].contains("lines=20") && told[0].contains("removed") && told[0].contains("t/s10"),
        "{}",
        told[0]
    );
}

#[test]
fn who_asks_for_debugging_gets_every_line() {
    let mut server = quiet().env("LOGLEVEL", "DEBUG").start();
    for index in 0..30 {
        server.configure("t/log", &json!({"targetError": 0.01 + 0.001 * f64::from(index)}));
    }
    server.terminate();
    assert!(server.ended().success());
    let log = server.log();
    assert_eq!(log.lines().filter(|line| line.contains("schedule=t/log")).count(), 30, "{log}");
}
