//! The Carbon Aware SDK's WebApi.

use models::Signal;
use providers::{Adapter, BadAnswer, CarbonAwareSdk};

use crate::{at, parse, shape, url};

const ANSWER: &str = include_str!("../../../../fuzz/seeds/answers/carbon_aware_sdk_forecast.json");
const SHAPE: [&str; 3] = ["12:10-12:20=532.25", "12:20-12:30=448.5", "12:30-12:40=470"];
const NOT_IT: &str = "the body is not the JSON of carbon-aware-sdk: ";

fn adapter() -> CarbonAwareSdk {
    CarbonAwareSdk::new("http://sdk.example/", Signal::Average)
}

#[test]
fn a_location_is_asked_for_without_a_window() {
    let base = "http://sdk.example/emissions/forecasts/current?location=";
    for (target, location) in [
        ("location:northeurope", "northeurope"),
        (" Location: us-east-1 ", "us-east-1"),
        ("eastus", "eastus"),
        ("a.b_c", "a.b_c"),
    ] {
        assert_eq!(url(&adapter(), target), Ok(format!("{base}{location}")), "{target}");
    }
    for target in ["", "national", "location:", "region:13", "a&windowSize=10", "a b", "ö", "location:a/b"] {
        assert_eq!(
            url(&adapter(), target).unwrap_err(),
            format!(
                "carbonTarget `{target}` is not one of carbon-aware-sdk: expected a location of the service such as \
                 `location:northeurope`, or its name alone (`national` is none)"
            )
        );
    }
}

#[test]
fn the_forecast_is_read_and_the_optimum_beside_it_is_not() {
    let forecast = parse(&adapter(), "northeurope", ANSWER).unwrap();
    assert_eq!(shape(&forecast), SHAPE);
    assert_eq!((&*forecast.source, forecast.zone.as_deref()), ("carbon-aware-sdk", Some("IE")));
    assert_eq!(forecast.issued_at, Some(at("2018-01-20T12:05:00Z")));
    assert_eq!(forecast.signal, Signal::Average);
    for (optimum, other) in [
        ("optimalDataPoints", r#""optimalDataPoint":{"location":"IE","value":1},"x""#),
        ("optimalDataPoints", r#""optimalDataPoints":null,"x""#),
    ] {
        let body = ANSWER.replace(&format!("\"{optimum}\""), other);
        assert_eq!(shape(&parse(&adapter(), "northeurope", &body).unwrap()), SHAPE, "{other}");
    }
    // A sole one, whatever it calls itself; also without the list around it.
    for body in [
        ANSWER.replace("northeurope", "elsewhere"),
        ANSWER.replace(r#""location":"northeurope","#, ""),
        ANSWER.trim().trim_start_matches('[').trim_end_matches(']').to_owned(),
    ] {
        assert_eq!(shape(&parse(&adapter(), "northeurope", &body).unwrap()), SHAPE, "{body}");
    }
}

#[test]
fn its_signal_is_that_of_the_source_behind_it() {
    let marginal = CarbonAwareSdk::new("http://sdk.example", Signal::Marginal);
    assert_eq!(parse(&marginal, "northeurope", ANSWER).unwrap().signal, Signal::Marginal);
    assert_eq!((marginal.signal(), adapter().signal()), (Signal::Marginal, Signal::Average));
}

#[test]
fn of_several_forecasts_the_wanted_one_is_taken() {
    let one = ANSWER.trim().trim_start_matches('[').trim_end_matches(']');
    let other = one.replace("northeurope", "eastus").replace("532.25", "9");
    let body = format!("[{other},{one}]");
    assert_eq!(shape(&parse(&adapter(), "location:NorthEurope", &body).unwrap()), SHAPE);
    assert_eq!(shape(&parse(&adapter(), "eastus", &body).unwrap())[0], "12:10-12:20=9");
    assert_eq!(
        parse(&adapter(), "westus", &body).unwrap_err(),
        format!("{NOT_IT}none of its 2 forecasts is for westus")
    );
}

#[test]
fn a_duration_is_minutes_or_a_span() {
    for (duration, expected) in [
        ("10", "12:30-12:40=470"),
        ("7.5", "12:30-12:37=470"),
        (r#""00:10:00""#, "12:30-12:40=470"),
        (r#""01:00:00""#, "12:30-13:30=470"),
        (r#""00:05:00.5000000""#, "12:30-12:35=470"),
        (r#""0.02:00:00""#, "12:30-14:30=470"),
        (r#"" 15 ""#, "12:30-12:45=470"),
    ] {
        let body =
            ANSWER.replace(r#""duration":10,"value":470"#, &format!(r#""duration":{duration},"value":470"#));
        let forecast = parse(&adapter(), "northeurope", &body).unwrap();
        assert_eq!(shape(&forecast)[2], expected, "{duration}");
    }
    for duration in [
        "0",
        "-5",
        "1e9",
        "null",
        "[]",
        r#""soon""#,
        r#""1:2""#,
        r#""00:00:00""#,
        r#""9.00:00:00""#,
        r#""-01:00:00""#,
    ] {
        let body =
            ANSWER.replace(r#""duration":10,"value":470"#, &format!(r#""duration":{duration},"value":470"#));
        let forecast = parse(&adapter(), "northeurope", &body).unwrap();
        assert_eq!(shape(&forecast), SHAPE[..2], "{duration}");
    }
}

#[test]
fn overlapping_windows_are_cut_and_nulls_are_gaps() {
    let body = ANSWER.replace(r#""duration":10"#, r#""duration":30"#);
    let forecast = parse(&adapter(), "northeurope", &body).unwrap();
    assert_eq!(shape(&forecast), ["12:10-12:20=532.25", "12:20-12:30=448.5", "12:30-13:00=470"]);
    let body = ANSWER.replace(
        r#""duration":10,"value":448.5},
   {"location":"IE","timestamp":"2018-01-20T12:30"#,
        r#""duration":10,"value":null},
   {"location":"IE","timestamp":"2018-01-20T12:30"#,
    );
    assert_eq!(shape(&parse(&adapter(), "northeurope", &body).unwrap()), [SHAPE[0], SHAPE[2]]);
}

#[test]
fn no_content_is_no_data() {
    let empty = Err(BadAnswer::Empty { provider: "carbon-aware-sdk".into() }.to_string());
    for body in [
        "",
        " \r\n",
        "[]",
        r#"[{"location":"northeurope"}]"#,
        r#"[{"forecastData":null}]"#,
        r#"[{"forecastData":[]}]"#,
    ] {
        assert_eq!(parse(&adapter(), "northeurope", body), empty, "{body}");
    }
}

#[test]
fn an_answer_that_is_none_says_why() {
    for (body, said) in [
        (
            r#"{"title":"ArgumentException","status":400,"detail":"ForecastDataSource is not configured","errors":{}}"#,
            "carbon-aware-sdk answered an error: ArgumentException: ForecastDataSource is not configured"
                .to_owned(),
        ),
        (
            "{}",
            format!(
                "{NOT_IT}an object without `forecastData` stands at the top: expected a list of forecasts"
            ),
        ),
        ("7", format!("{NOT_IT}a number stands at the top: expected a list")),
        ("[7]", format!("{NOT_IT}/0: a number stands here: expected an object")),
        (
            r#"[{"forecastData":{}}]"#,
            format!("{NOT_IT}/0/forecastData: an object stands here: expected a list"),
        ),
        (
            r#"[{"forecastData":[{"timestamp":"2018-01-20T12:00Z","value":5}]}]"#,
            format!(
                "{NOT_IT}/0/forecastData/0/duration: missing: expected minutes, or a span such as 01:00:00"
            ),
        ),
        (
            r#"[{"forecastData":[{"timestamp":"2018-01-20T12:00Z","duration":"long","value":5}]}]"#,
            format!(
                "{NOT_IT}/0/forecastData/0/duration: `\\\"long\\\"` is none: expected minutes, or a span such as 01:00:00"
            ),
        ),
    ] {
        assert_eq!(parse(&adapter(), "northeurope", body).unwrap_err(), said, "{body}");
    }
}
