//! The carbon-intensity exporter's ConfigMap.

use models::Signal;
use providers::{Adapter, BadAnswer, ConfigMap, Zone};

use crate::{at, parse, shape, url};

const WHOLE: &str = include_str!("../../../../fuzz/seeds/answers/configmap.json");
const ROWS: &str = include_str!("../../../../fuzz/seeds/answers/configmap_rows.json");
/// The row in the middle has no value.
const SHAPE: [&str; 2] = ["12:10-12:15=529.1", "12:20-12:25=531"];
const NOT_IT: &str = "the body is not the JSON of configmap: ";

fn adapter() -> ConfigMap {
    ConfigMap::new("file:///etc/carbon/data", Signal::Marginal)
}

/// A ConfigMap with its rows in plain text, and this message.
fn plain(message: &str, rows: &str) -> String {
    serde_json::json!({"data": {"message": message, "data": rows}}).to_string()
}

#[test]
fn every_target_is_the_one_document() {
    for target in ["national", "CAISO_NORTH", "300"] {
        assert_eq!(url(&adapter(), target), Ok("file:///etc/carbon/data".into()));
    }
    assert_eq!(adapter().signal(), Signal::Marginal);
}

#[test]
fn a_map_of_a_zone_refuses_every_other_target() {
    let adapter = adapter().with_zone(Zone::new("CAISO_NORTH").unwrap());
    for target in ["CAISO_NORTH", "region:CAISO_NORTH", "region: caiso_north "] {
        assert_eq!(url(&adapter, target), Ok("file:///etc/carbon/data".into()), "{target}");
    }
    for target in ["national", "region:PSCO", "CAISO", ""] {
        assert_eq!(
            url(&adapter, target).unwrap_err(),
            format!(
                "carbonTarget `{target}` is not one of configmap: expected `CAISO_NORTH`, the one grid it knows"
            )
        );
    }
}

#[test]
fn the_config_map_and_the_rows_alone_are_read_and_an_absent_value_is_a_gap() {
    let renamed = WHOLE.replace(r#"{"data":"W3"#, r#"{"forecast.json":"W3"#);
    let broken_lines = WHOLE.replace("W3sibG9j", "W3sib\\nG9j");
    let none = WHOLE
        .replace(r#""binaryData":{"#, r#""binaryData":null,"other":{"#)
        .replace(r#""data":{"last"#, &format!(r#""data":{{"data":{},"last"#, serde_json::Value::from(ROWS)));
    for body in [WHOLE, ROWS, &renamed, &broken_lines, &none, &plain("", ROWS), &format!("\u{feff}{ROWS}")] {
        let forecast = parse(&adapter(), "national", body).unwrap();
        assert_eq!(shape(&forecast), SHAPE, "{body}");
        assert_eq!((&*forecast.source, forecast.zone.as_deref()), ("configmap", Some("CAISO_NORTH")));
        assert_eq!(forecast.signal, Signal::Marginal);
    }
}

#[test]
fn the_heartbeat_tells_when_unless_something_went_wrong() {
    let forecast = parse(&adapter(), "national", WHOLE).unwrap();
    assert_eq!(forecast.issued_at, Some(at("2018-01-20T12:05:25.123456789Z")));
    let failed = WHOLE.replace(r#""message":"""#, r#""message":"no upstream""#);
    let forecast = parse(&adapter(), "national", &failed).unwrap();
    assert_eq!((shape(&forecast).len(), forecast.issued_at), (2, None), "the old rows stay");
    for odd in ["", "soon", "2018-01-20T12:05:25Z", "2018-01-20 12:05:25 +0100 CET"] {
        let body = WHOLE.replace("2018-01-20 12:05:25.123456789 +0000 UTC m=+0.123", odd);
        let expected = odd.ends_with("CET").then(|| at("2018-01-20T11:05:25Z"));
        assert_eq!(parse(&adapter(), "national", &body).unwrap().issued_at, expected, "{odd}");
    }
}

#[test]
fn rows_of_several_places_are_refused() {
    let body = ROWS.replacen("CAISO_NORTH", "PSCO", 1);
    assert_eq!(
        parse(&adapter(), "national", &body).unwrap_err(),
        format!("{NOT_IT}it has rows of several locations, CAISO_NORTH, PSCO: expected one")
    );
}

#[test]
fn an_answer_that_is_none_says_why() {
    let coded = |text: &str| format!(r#"{{"binaryData":{{"data":{}}}}}"#, serde_json::Value::from(text));
    for (body, said) in [
        (plain("no upstream", ""), "configmap answered an error: no upstream".to_owned()),
        (plain("", ""), format!("{NOT_IT}/data/data: it is empty")),
        (plain("", "{}"), format!("{NOT_IT}/data/data: an object stands in it: expected a list")),
        (
            "{}".into(),
            format!("{NOT_IT}neither /binaryData nor /data/data: expected the rows in one of them"),
        ),
        ("5".into(), format!("{NOT_IT}a number stands at the top: expected a ConfigMap, or the list in it")),
        (
            r#"{"binaryData":{"a":"","b":""}}"#.into(),
            format!("{NOT_IT}/binaryData: 2 members, none of them `data`: expected the rows there"),
        ),
        (
            r#"{"binaryData":{"data":5}}"#.into(),
            format!("{NOT_IT}/binaryData/data: a number stands here: expected base64"),
        ),
        (coded("W10="), BadAnswer::Empty { provider: "configmap".into() }.to_string()),
        (coded("e30="), format!("{NOT_IT}/binaryData/data: an object stands in it: expected a list")),
        ("[5]".into(), format!("{NOT_IT}/0: a number stands here: expected an object")),
    ] {
        assert_eq!(parse(&adapter(), "national", &body).unwrap_err(), said, "{body}");
    }
    let said = parse(&adapter(), "national", &coded("not base64!")).unwrap_err();
    assert!(
        said.starts_with(&format!("{NOT_IT}/binaryData/data: ")) && said.ends_with(": expected base64"),
        "{said}"
    );
}
