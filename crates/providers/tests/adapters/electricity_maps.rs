//! Electricity Maps.

use models::{Accounting, Gap, Signal};
use providers::electricity_maps::{Granularity, Horizon};
use providers::{Adapter, ElectricityMaps, Secret};

use crate::{ask, at, now, parse, shape, url};

const ANSWER: &str = include_str!("../../../../fuzz/seeds/answers/electricity_maps_forecast.json");
const NOT_IT: &str = "the body is not the JSON of electricity-maps: ";

fn adapter() -> ElectricityMaps {
    ElectricityMaps::new(Secret::new("k3y-of-mine\n"))
}

/// An answer for Germany with these points: clock, and JSON of the value.
fn hours(points: &[(&str, &str)]) -> String {
    let point = |(clock, value): &(&str, &str)| {
        format!(r#"{{"carbonIntensity":{value},"datetime":"2018-01-20T{clock}"}}"#)
    };
    let points: Vec<_> = points.iter().map(point).collect();
    format!(r#"{{"zone":"DE","forecast":[{}]}}"#, points.join(","))
}

#[test]
fn a_zone_or_a_place_is_asked_for_and_never_the_callers_own() {
    let base = "https://api.electricitymaps.com/v3/carbon-intensity/forecast";
    let rest = "&disableCallerLookup=true&emissionFactorType=lifecycle";
    for (target, place) in [
        ("zone:DE", "zone=DE"),
        (" Zone: de ", "zone=DE"),
        ("DE", "zone=DE"),
        ("US-CAL-CISO", "zone=US-CAL-CISO"),
        ("zone:aus-nsw", "zone=AUS-NSW"),
        ("NO-NO1", "zone=NO-NO1"),
        ("52.5,13.4", "lat=52.5&lon=13.4"),
        ("-33.9, 151", "lat=-33.9&lon=151"),
    ] {
        assert_eq!(url(&adapter(), target), Ok(format!("{base}?{place}{rest}")), "{target}");
    }
    for target in [
        "",
        "national",
        "region:13",
        "postcode:OX1",
        "zone:",
        "zone:national",
        "DE-",
        "zone:D/E",
        "zone:DE&x=1",
        "DE?",
        "91,0",
        "0,181",
        "NaN,1",
        "1,inf",
        "1,2,3",
        "zone:Ö",
    ] {
        assert_eq!(
            url(&adapter(), target).unwrap_err(),
            format!(
                "carbonTarget `{target}` is not one of electricity-maps: expected a zone such as `zone:DE` or \
                 `US-CAL-CISO`, or a place as `latitude,longitude` such as `52.5,13.4`"
            )
        );
        assert!(parse(&adapter(), target, ANSWER).is_err(), "{target}");
    }
}

#[test]
fn base_header_and_factors_are_the_operators() {
    let trial = adapter()
        .at("https://trial.example/abc/")
        .with_header("X-BLOBR-KEY")
        .with_accounting(Accounting::Direct);
    let request = ask(&trial, "DE").unwrap();
    assert_eq!(
        request.url,
        "https://trial.example/abc/carbon-intensity/forecast?zone=DE&disableCallerLookup=true&emissionFactorType=direct"
    );
    assert!(request.headers.contains(&("X-BLOBR-KEY".into(), "k3y-of-mine".into())));
    let request = ask(&adapter(), "DE").unwrap();
    assert!(request.headers.contains(&("auth-token".into(), "k3y-of-mine".into())));
    let shown = format!("{:?} {request:?}", adapter());
    assert!(!shown.contains("k3y") && !request.url.contains("k3y"), "{shown}");
}

#[test]
fn an_answer_is_read_and_a_null_is_a_gap() {
    let forecast = parse(&adapter(), "zone:DE", ANSWER).unwrap();
    assert_eq!(
        shape(&forecast),
        ["12:00-13:00=301", "13:00-14:00=288.5", "15:00-16:00=270", "16:00-17:00=265"]
    );
    assert_eq!(
        forecast.gaps().collect::<Vec<_>>(),
        [Gap { from: at("2018-01-20T14:00:00Z"), to: at("2018-01-20T15:00:00Z") }]
    );
    assert_eq!((&*forecast.source, forecast.zone.as_deref()), ("electricity-maps", Some("DE")));
    assert_eq!((forecast.signal, forecast.accounting), (Signal::Average, Accounting::LifeCycle));
    assert_eq!(forecast.issued_at, Some(at("2018-01-20T11:47:20.021Z")));
    assert_eq!(forecast.retrieved_at, now());
    let direct = parse(&adapter().with_accounting(Accounting::Direct), "DE", ANSWER).unwrap();
    assert_eq!(direct.accounting, Accounting::Direct);
    assert_eq!((adapter().signal(), adapter().login().is_none()), (Signal::Average, true));
}

#[test]
fn what_is_missing_or_absurd_is_a_gap_and_never_zero() {
    for gap in ["null", "-1", "10001", "1e300", r#""n/a""#, "[]", "true"] {
        let body = hours(&[("12:00Z", "100"), ("13:00Z", gap), ("14:00Z", "120")]);
        let forecast = parse(&adapter(), "DE", &body).unwrap();
        assert_eq!(shape(&forecast), ["12:00-13:00=100", "14:00-15:00=120"], "{gap}");
    }
    let body = r#"{"forecast":[{"datetime":"2018-01-20T12:00Z"},{"carbonIntensity":5,"datetime":"2018-01-20T13:00Z"},
        {"carbonIntensity":6},{"carbonIntensity":7,"datetime":null},8]}"#;
    let forecast = parse(&adapter(), "DE", body).unwrap();
    assert_eq!(shape(&forecast), ["13:00-14:00=5"]);
    assert_eq!((forecast.zone, forecast.issued_at), (None, None));
}

#[test]
fn slots_end_where_the_next_begins_in_any_order_and_step() {
    for (points, expected) in [
        (&[("12:00Z", "1")][..], &["12:00-13:00=1"][..]),
        (&[("13:00Z", "2"), ("12:00Z", "1")], &["12:00-13:00=1", "13:00-14:00=2"]),
        (
            &[("12:00Z", "1"), ("12:05Z", "2"), ("12:10Z", "3")],
            &["12:00-12:05=1", "12:05-12:10=2", "12:10-12:15=3"],
        ),
        (&[("12:00Z", "1"), ("12:15Z", "2")], &["12:00-12:15=1", "12:15-12:30=2"]),
        // A missing hour is not filled with the one before it.
        (
            &[("12:00Z", "1"), ("13:00Z", "2"), ("16:00Z", "3")],
            &["12:00-13:00=1", "13:00-14:00=2", "16:00-17:00=3"],
        ),
        (&[("12:00Z", "1"), ("12:00Z", "2")], &["12:00-13:00=2"]),
        // Offsets, and none at all: UTC.
        (&[("14:00+02:00", "1"), ("13:00", "2")], &["12:00-13:00=1", "13:00-14:00=2"]),
    ] {
        assert_eq!(shape(&parse(&adapter(), "DE", &hours(points)).unwrap()), expected);
    }
    let stated = hours(&[("12:00Z", "1")]).replace("}]", r#"}],"temporalGranularity":"5_minutes""#);
    assert_eq!(shape(&parse(&adapter(), "DE", &stated).unwrap()), ["12:00-12:05=1"]);
}

#[test]
fn the_hours_of_a_night_when_clocks_change_are_all_there() {
    for (times, expected) in [
        // 01:59:59 is followed by 03:00 in spring, 02:59:59 by 02:00 in autumn.
        (
            ["2018-03-25T01:00+01:00", "2018-03-25T03:00+02:00", "2018-03-25T04:00+02:00"],
            ["00:00-01:00=0", "01:00-02:00=1", "02:00-03:00=2"],
        ),
        (
            ["2018-10-28T02:00+02:00", "2018-10-28T02:00+01:00", "2018-10-28T03:00+01:00"],
            ["00:00-01:00=0", "01:00-02:00=1", "02:00-03:00=2"],
        ),
    ] {
        let points = times.iter().enumerate();
        let points: Vec<_> = points
            .map(|(index, time)| format!(r#"{{"carbonIntensity":{index},"datetime":"{time}"}}"#))
            .collect();
        let body = format!(r#"{{"forecast":[{}]}}"#, points.join(","));
        assert_eq!(shape(&parse(&adapter(), "DE", &body).unwrap()), expected);
    }
}

#[test]
fn an_answer_that_is_none_says_why() {
    for (body, said) in [
        (
            r#"{"error":"Invalid auth-token","message":"Please provide a valid authentication header."}"#,
            "electricity-maps answered an error: Invalid auth-token: Please provide a valid authentication header."
                .to_owned(),
        ),
        (
            r#"{"zone":"FR","forecast":[{"carbonIntensity":50,"datetime":"2018-01-20T12:00Z"}]}"#,
            format!("{NOT_IT}/zone: `FR`: expected the zone asked for, `DE`"),
        ),
        ("", format!("{NOT_IT}it is empty")),
        ("[]", format!("{NOT_IT}a list stands at the top: expected an object")),
        ("{}", format!("{NOT_IT}/forecast: missing: expected a list there")),
        (r#"{"forecast":{}}"#, format!("{NOT_IT}/forecast: an object stands here: expected a list")),
        (r#"{"forecast":[]}"#, "electricity-maps answered no slot with an intensity".into()),
        (
            r#"{"forecast":[{"carbonIntensity":5}]}"#,
            format!("{NOT_IT}/forecast/0/datetime: missing: expected a time such as 2018-01-20T12:00Z"),
        ),
        (
            r#"{"forecast":[{"carbonIntensity":-5,"datetime":"2018-01-20T12:00Z"}]}"#,
            format!(
                "{NOT_IT}/forecast/0/carbonIntensity: -5 is not a carbon intensity: expected a number of \
                 gCO2eq/kWh in [0, 10000]"
            ),
        ),
    ] {
        assert_eq!(parse(&adapter(), "DE", body).unwrap_err(), said, "{body}");
    }
    // A place has the zone it has.
    assert!(parse(&adapter(), "48.9,2.4", &ANSWER.replace("\"DE\"", "\"FR\"")).is_ok());
}

#[test]
fn as_far_ahead_and_as_fine_as_the_plan_covers_is_asked_for() {
    let asked = |adapter: &ElectricityMaps| url(adapter, "DE").unwrap();
    assert!(!asked(&adapter()).contains("horizonHours") && !asked(&adapter()).contains("Granularity"));
    for hours in ["6", "24", " 48", "72"] {
        let asked = asked(&adapter().with_horizon(Horizon::parse(hours).unwrap()));
        assert!(asked.ends_with(&format!("&horizonHours={}", hours.trim())), "{asked}");
    }
    for length in ["hourly", "15_minutes", "5_minutes"] {
        let asked = asked(&adapter().with_granularity(Granularity::parse(length).unwrap()));
        assert!(asked.ends_with(&format!("&temporalGranularity={length}")), "{asked}");
    }
    assert_eq!((Horizon::parse("12"), Horizon::parse("72h"), Granularity::parse("hour")), (None, None, None));
}
