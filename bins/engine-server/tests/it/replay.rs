//! Requests that the origin was recorded with, sent to us: good ones, odd ones and broken ones.
//!
//! `data/recorded_requests.jsonl` holds a choice of them, without the origin's answers; names with capitals,
//! which are refused for that alone, are in small letters there. Where the whole recordings lie beside the
//! checkout (`TRACES_DIR`/../golden), they are sent too, as they stand.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::client::Answer;
use crate::server::Server;

/// The body as it was sent: a byte that is no text stands there as `\xHH`.
fn bytes(recorded: &str) -> Vec<u8> {
    let mut pieces = recorded.split("\\x");
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend(piece[2..].bytes());
    }
    bytes
}

/// Sends one recorded request as it stands, on a connection of its own.
fn send(server: &Server, request: &Value) -> Answer {
    let body = bytes(request["body"].as_str().unwrap());
    let mut head =
        format!("{} {} HTTP/1.1", request["method"].as_str().unwrap(), request["path"].as_str().unwrap());
    let fields = request["headers"].as_object().unwrap();
    for (name, value) in fields {
        write!(head, "\r\n{name}: {}", value.as_str().unwrap()).unwrap();
    }
    if !fields.contains_key("Content-Length") && !fields.contains_key("Transfer-Encoding") {
        write!(head, "\r\nContent-Length: {}", body.len()).unwrap();
    }
    server.client.raw(&head, &body)
}

/// What holds for every answer, whatever was asked.
fn check(request: &Value, answer: &Answer) {
    assert!(answer.status < 500, "{request}: {answer:?}");
    if request["method"] == "HEAD" || request["method"] == "OPTIONS" {
        assert!(answer.body.is_empty(), "{request}: {answer:?}");
    } else if answer.status >= 400 {
        answer.assert_problem(answer.status);
    } else {
        assert_eq!(answer.field("content-type"), "application/json", "{request}: {answer:?}");
        answer.json();
    }
}

fn requests(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn recorded_requests_are_answered_as_the_contract_says() {
    let server = Server::start();
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for request in requests(include_str!("../data/recorded_requests.jsonl")) {
        let answer = send(&server, &request);
        check(&request, &answer);
        by_status
            .entry(answer.status)
            .or_default()
            .push(request["id"].as_str().unwrap().trim_end_matches(".put").to_owned());
    }
    let lines: String = by_status
        .iter()
        .map(|(status, ids)| format!("{status}: {}\n", ids.join(" ")))
        .collect::<Vec<_>>()
        .concat();
    insta::assert_snapshot!(lines, @r"
    200: r.healthz r.healthz.head r.healthz.options r.healthz.query r.schedule r.schedule.head r.config.options m.setschedule.get2
    202: b.empty-object b.bom b.duplicate-keys b.ctype-charset b.ctype-upper b.ctype-plusjson b.chunked b.unknown-keys o.seed-operator o.newest-operator o.strings n.nested n.nested-and-flat n.nested-empty n.nested-null n.nested-strategies-inside n.nested-top-strategies c.minmax c.min-only c.zero-max c.strings c.null c.short-keys c.unicode c.bankers s.one s.null s.percent s.percent-str s.name-ignored s.fallback-override s.all-disabled s.disabled-custom-only s.annotations s.snake s.other-key k.first k.second k.third-empty v.targetError-null v.targetError-zero v.creditWindow-null v.creditWindow-floatstr v.creditWindow-float v.validFor-null v.validFor-floatstr v.validFor-float v.creditWindow-1e6 v.carbonTarget-region m.base m.object m.put-empty-during o.strings.put.newest s.one.put.newest s.all-disabled.put.newest s.other-key.put.newest
    400: b.no-body b.no-body-no-ctype b.invalid-json b.invalid-utf8 b.utf16 b.trailing-garbage b.comment b.json-null b.json-array-empty b.json-array b.json-string b.json-string-empty b.json-number b.json-zero b.json-true b.json-false b.short-content-length c.inf c.nan s.nan-precision s.inf-precision s.nan-carbon s.inf-carbon v.targetError-NaN v.targetError-inf v.creditWindow-NaN v.creditWindow-inf v.validFor-NaN v.validFor-inf m.array-empty m.array m.string m.string-empty m.null m.number m.invalid m.empty-body m.nobody m.nan m.setschedule.invalid m.setschedule.array m.setschedule.empty
    404: r.healthz.slash r.root r.metrics-on-api-port r.schedule.slash r.schedule.one r.schedule.3slash r.unknown r.doubleslash r.emptyname r.config.get r.config.delete r.config.short r.feedback
    405: r.healthz.post r.schedule.post r.schedule r.config.post r.manual.get r.setschedule.get r.setschedule r.delete-schedule
    415: b.ctype-text b.ctype-none b.ctype-form b.ctype-ndjson m.ctype-text
    422: r.unknown.enc r.unknown.utf8 r.unknown.badutf8 r.unknown.slash-enc r.unknown.dots o.strings-space n.nested-notobject c.neg c.min-gt-max c.float c.badstring c.bool c.list c.str c.inner-notobj c.huge c.huger c.1e400 c.emptyname s.empty s.object s.string s.mixed-junk s.empty-items s.edge-1.0-1.5-2 s.over s.neg s.nonnum s.bool s.dups s.collide s.rounding s.enabled-truthiness s.carbon s.str-nan s.many k.fourth-empty-list v.policy-credit_greedy v.policy-_credit_greedy v.targetError-badstr v.targetError-list v.targetError-true v.targetError-1e400 v.targetError-neg v.targetError-floatstr v.targetError-float v.creditMax-neg v.creditWindow-badstr v.creditWindow-list v.creditWindow-true v.creditWindow-1e400 v.creditWindow-neg v.creditWindow-zero v.validFor-badstr v.validFor-list v.validFor-true v.validFor-1e400 v.validFor-neg v.validFor-zero v.creditWindow-huge v.credit-equal v.credit-swapped v.creditMax-neg v.credit-huge v.carbonTarget-num v.carbonTarget-obj m.empty-object m.replace m.bigint m.setschedule s.dups.put.newest
    ");
    // Numbers, strings that hold numbers, both words for flavours: what the operator sends is in force.
    for name in ["o.seed-operator", "o.newest-operator", "o.strings"] {
        let schedule = server.schedule(&format!("t/{name}"));
        assert_eq!(schedule["policy"]["name"], "forecast-aware", "{name}");
    }
}

#[test]
fn whole_recordings_are_answered_without_a_fault() {
    let Some(golden) = std::env::var_os("TRACES_DIR").map(|traces| PathBuf::from(traces).join("../golden"))
    else {
        println!("skipped: TRACES_DIR names no folder beside which the recordings lie");
        return;
    };
    for version in ["seed", "newest"] {
        let path = golden.join(format!("origin_http_{version}.jsonl.gz"));
        let Ok(file) = std::fs::File::open(&path) else {
            println!("skipped: there is no {}", path.display());
            continue;
        };
        let mut lines = String::new();
        GzDecoder::new(file).read_to_string(&mut lines).unwrap();
        let server = Server::start();
        let mut put = None;
        let requests = requests(&lines);
        assert!(requests.len() > 500);
        for request in requests {
            let answer = send(&server, &request);
            check(&request, &answer);
            let (method, id) = (request["method"].as_str().unwrap(), request["id"].as_str().unwrap());
            // Whatever was accepted is there in the next instant.
            if method == "GET"
                && put.take().is_some_and(|(path, status)| {
                    status == 202 && Some(path) == request["path"].as_str().map(str::to_owned)
                })
            {
                let disabled = id.contains("disabled") || id.contains("fallback-override");
                assert_eq!(answer.status, if disabled { 202 } else { 200 }, "{request}: {answer:?}");
            }
            if method == "PUT" {
                put = Some((
                    request["path"].as_str().unwrap().replace("/config/", "/schedule/"),
                    answer.status,
                ));
            }
        }
        assert_eq!(server.get("/healthz").status, 200);
    }
}
