//! WattTime.

use jiff::SignedDuration;
use models::{Accounting, Signal};
use providers::{Adapter, Login, Secret, WattTime};

use crate::{at, now, parse, shape, url};

const ANSWER: &str = include_str!("../../../../fuzz/seeds/answers/watttime_forecast.json");
const NOT_IT: &str = "the body is not the JSON of watttime: ";

fn adapter() -> WattTime {
    WattTime::new("ada", &Secret::new("pa55word"))
}

#[test]
fn a_region_is_asked_for() {
    let base = "https://api.watttime.org/v3/forecast";
    let rest = "&signal_type=co2_moer&horizon_hours=72";
    for (target, region) in [
        ("region:CAISO_NORTH", "CAISO_NORTH"),
        (" Region: caiso_north ", "CAISO_NORTH"),
        ("PSCO", "PSCO"),
        ("DE", "DE"),
    ] {
        assert_eq!(url(&adapter(), target), Ok(format!("{base}?region={region}{rest}")), "{target}");
    }
    for target in [
        "",
        "national",
        "region:13",
        "region:",
        "zone:DE",
        "postcode:OX1",
        "region:A&b=c",
        "A",
        "CAISO NORTH",
    ] {
        let refused = url(&adapter(), target).unwrap_err();
        assert_eq!(
            refused,
            format!(
                "carbonTarget `{target}` is not one of watttime: expected a region such as `region:CAISO_NORTH`, \
                 or its name alone in capitals"
            )
        );
        assert!(parse(&adapter(), target, ANSWER).unwrap_err().contains(&refused));
    }
    let elsewhere = adapter().at("http://127.0.0.1:9/");
    assert_eq!(url(&elsewhere, "PSCO"), Ok(format!("http://127.0.0.1:9/v3/forecast?region=PSCO{rest}")));
}

#[test]
fn pounds_become_grams_and_a_missing_point_is_a_gap() {
    let forecast = parse(&adapter(), "region:CAISO_NORTH", ANSWER).unwrap();
    let grams: Vec<_> = forecast.slots().iter().map(|slot| slot.forecast.get()).collect();
    assert_eq!(grams, [453.592_37, 1_051.38 * 0.453_592_37, 0.0]);
    let bounds: Vec<_> = forecast.slots().iter().map(|slot| slot.to.duration_since(slot.from)).collect();
    assert_eq!(bounds, [SignedDuration::from_mins(5); 3]);
    assert_eq!(forecast.gaps().count(), 1, "12:20 is missing");
    assert_eq!((forecast.signal, forecast.accounting), (Signal::Marginal, Accounting::Direct));
    assert_eq!(adapter().signal(), Signal::Marginal);
    assert_eq!((&*forecast.source, forecast.zone.as_deref()), ("watttime", Some("CAISO_NORTH")));
    assert_eq!(forecast.issued_at, Some(at("2018-01-20T12:10:00Z")));
    assert_eq!(parse(&adapter(), "region:CAISO_NORTH", &format!("\u{feff}{ANSWER}")), Ok(forecast));
}

#[test]
fn values_that_are_none_are_gaps() {
    for gap in ["null", "-1", "1e9", "\"soon\"", "[]", "true"] {
        let body = ANSWER.replace("1051.38", gap);
        let forecast = parse(&adapter(), "CAISO_NORTH", &body).unwrap();
        assert_eq!(shape(&forecast), ["12:10-12:15=453.59237", "12:25-12:30=0"], "{gap}");
    }
    let body = ANSWER.replace("1051.38", "\" 1000 \"");
    assert_eq!(shape(&parse(&adapter(), "CAISO_NORTH", &body).unwrap())[1], "12:15-12:20=453.59237");
}

#[test]
fn other_units_signals_and_regions_are_refused() {
    for (before, after, said) in [
        ("lbs_co2_per_mwh", "g_per_kwh", "/meta/units: `g_per_kwh`: expected `lbs_co2_per_mwh`"),
        (r#""units":"lbs_co2_per_mwh","#, "", "/meta/units: missing: expected `lbs_co2_per_mwh`"),
        (r#""lbs_co2_per_mwh""#, "7", "/meta/units: a number stands here: expected `lbs_co2_per_mwh`"),
        (r#""lbs_co2_per_mwh""#, "null", "/meta/units: null stands here: expected `lbs_co2_per_mwh`"),
        ("co2_moer", "health_damage", "/meta/signal_type: `health_damage`: expected `co2_moer`"),
        (r#""CAISO_NORTH""#, r#""PSCO""#, "/meta/region: `PSCO`: expected `CAISO_NORTH`"),
        (r#""meta""#, r#""beta""#, "/meta: missing: expected an object with `units` of lbs_co2_per_mwh"),
        (r#""data":"#, r#""date":"#, "/data: missing: expected a list there"),
    ] {
        let body = ANSWER.replacen(before, after, 1);
        assert_eq!(parse(&adapter(), "CAISO_NORTH", &body).unwrap_err(), format!("{NOT_IT}{said}"));
    }
    let refused = r#"{"error":"Invalid query parameters","message":"Invalid scope. You do not have sufficient access"}"#;
    assert_eq!(
        parse(&adapter(), "PSCO", refused).unwrap_err(),
        "watttime answered an error: Invalid query parameters: Invalid scope. You do not have sufficient access"
    );
    let html = "<html><head><title>403 Forbidden</title></head></html>";
    assert!(parse(&adapter(), "PSCO", html).unwrap_err().contains("it begins `<html>"));
}

#[test]
fn the_login_is_basic_and_its_token_a_bearer() {
    let login = adapter();
    let request = Login::request(&login);
    assert_eq!(request.url, "https://api.watttime.org/login");
    assert!(request.headers.contains(&("Authorization".into(), "Basic YWRhOnBhNTV3b3Jk".into())));
    let token = login.token(br#" {"token":"eyJ0b2tlbg"} "#, now()).unwrap();
    assert_eq!(token.good_until, now() + SignedDuration::from_mins(25));
    let admitted = login.admitted(request, &token);
    assert_eq!(admitted.headers.last(), Some(&("Authorization".into(), "Bearer eyJ0b2tlbg".into())));
    let shown = format!("{login:?} {admitted:?} {token:?}");
    assert!(!shown.contains("pa55") && !shown.contains("YWRh") && !shown.contains("eyJ0"), "{shown}");
}

#[test]
fn a_login_without_a_token_repeats_nothing_of_its_answer() {
    for body in
        ["", "{}", r#"{"token":""}"#, r#"{"token":5}"#, r#"{"token":"eyJ0b2tlbg""#, r#"["eyJ0b2tlbg"]"#]
    {
        let refused = adapter().token(body.as_bytes(), now()).unwrap_err().to_string();
        assert_eq!(refused, format!("{NOT_IT}the login's answer has no `token`: expected a string there"));
    }
}
