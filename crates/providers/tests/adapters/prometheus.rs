//! PromQL expressions.

use jiff::SignedDuration;
use models::Signal;
use providers::{Adapter, Prometheus, Zone};

use crate::{parse, shape, url};

const VECTOR: &str = include_str!("../../../../fuzz/seeds/answers/prometheus_vector.json");
const MATRIX: &str = include_str!("../../../../fuzz/seeds/answers/prometheus_matrix.json");
const NOT_IT: &str = "the body is not the JSON of prometheus: ";

fn adapter() -> Prometheus {
    Prometheus::new("http://prometheus.example:9090/", r#"grid_intensity{zone="DE"} * 1000"#)
}

#[test]
fn the_expression_is_evaluated_at_whole_five_minutes() {
    for target in ["national", "DE"] {
        assert_eq!(
            url(&adapter(), target),
            Ok("http://prometheus.example:9090/api/v1/query?query=\
                grid%5Fintensity%7Bzone%3D%22DE%22%7D%20%2A%201000&time=1516450200"
                .into())
        );
    }
}

#[test]
fn an_expression_of_a_zone_refuses_every_other_target() {
    let of = |zone: &str| adapter().with_zone(Zone::new(zone).unwrap());
    for (zone, target, answered) in [
        ("zone:DE", "zone:DE", true),
        ("zone:DE", " de", true),
        ("DE", "Zone:de", true),
        ("zone:DE", "region:DE", false),
        ("zone:DE", "zone:FR", false),
        // The UK's API calls its grid so; no other grid is `national`.
        ("DE", "national", false),
        ("GB", "national", true),
        ("national", "zone:GB", true),
        ("national", "region:13", false),
        ("region:13", "national", false),
    ] {
        assert_eq!(url(&of(zone), target).is_ok(), answered, "{zone} {target}");
    }
    let refused = url(&of("zone:DE"), "national").unwrap_err();
    assert_eq!(
        refused,
        "carbonTarget `national` is not one of prometheus: expected `zone:DE`, the one grid it knows"
    );
    for wrong in ["", " ", "zone:", "a b", "zone: DE", "Köln", &"Z".repeat(65)] {
        assert!(Zone::new(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_instant_value_is_one_slot_from_its_timestamp() {
    let forecast = parse(&adapter(), "national", VECTOR).unwrap();
    assert_eq!(shape(&forecast), ["12:10-12:40=193.737"]);
    assert_eq!(
        (&*forecast.source, forecast.signal, forecast.issued_at),
        ("prometheus", Signal::Average, None)
    );
    let other = adapter().with_slot(SignedDuration::from_mins(60)).with_signal(Signal::Marginal);
    let forecast = parse(&other, "national", VECTOR).unwrap();
    assert_eq!(shape(&forecast), ["12:10-13:10=193.737"]);
    assert_eq!((forecast.signal, other.signal()), (Signal::Marginal, Signal::Marginal));
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1516450200.0,"250"]}}"#;
    assert_eq!(shape(&parse(&adapter(), "national", scalar).unwrap()), ["12:10-12:40=250"]);
    let endless = adapter().with_slot(SignedDuration::MAX);
    assert_eq!(shape(&parse(&endless, "national", VECTOR).unwrap()), ["12:10-12:10=193.737"], "a day");
}

#[test]
fn a_range_is_a_row_of_slots_and_nan_is_a_gap() {
    let forecast = parse(&adapter(), "national", MATRIX).unwrap();
    assert_eq!(shape(&forecast), ["11:00-11:30=200", "12:00-12:30=180.5"]);
    let whole = MATRIX.replace("NaN", "190");
    let shown = shape(&parse(&adapter(), "national", &whole).unwrap());
    assert_eq!(shown, ["11:00-11:30=200", "11:30-12:00=190", "12:00-12:30=180.5"]);
}

#[test]
fn several_series_are_refused_by_name() {
    let series = |zone: &str| format!(r#"{{"metric":{{"zone":"{zone}"}},"value":[1516450200,"1"]}}"#);
    let answer = |zones: &[&str]| {
        let series: Vec<_> = zones.iter().map(|zone| series(zone)).collect();
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, series.join(","))
    };
    let refused = parse(&adapter(), "national", &answer(&["DE", "FR"])).unwrap_err();
    assert_eq!(
        refused,
        format!(
            "{NOT_IT}the expression gives 2 series, {{zone=\\\"DE\\\"}} {{zone=\\\"FR\\\"}}: expected one, as by \
             `avg(..)` or a label that tells them apart"
        )
    );
    let refused = parse(&adapter(), "national", &answer(&["A", "B", "C", "D", "E"])).unwrap_err();
    assert!(
        refused.contains("5 series") && refused.contains(" ..:") && !refused.contains("\"E"),
        "{refused}"
    );
    let none = parse(&adapter(), "national", &answer(&[])).unwrap_err();
    assert_eq!(none, "prometheus answered no slot with an intensity");
}

#[test]
fn an_answer_that_is_none_says_why() {
    let value = |text: &str| VECTOR.replace("193.737", text);
    let no_intensity = |text: &str| {
        format!(
            "{NOT_IT}/data/result/0/value: {text} is not a carbon intensity: expected a number of gCO2eq/kWh in [0, 10000]"
        )
    };
    for (body, said) in [
        (value("NaN"), no_intensity("NaN")),
        (value("+Inf"), no_intensity("inf")),
        (value("-3"), no_intensity("-3")),
        (value("x"), no_intensity("`x`")),
        (
            VECTOR.replace("1516450200,", "1e300,"),
            format!("{NOT_IT}/data/result/0/value: `1e+300` is no time: expected [seconds, \"value\"]"),
        ),
        (
            VECTOR.replace(r#"[1516450200,"193.737"]"#, "5"),
            format!("{NOT_IT}/data/result/0/value: `5` is no sample: expected [seconds, \"value\"]"),
        ),
        (
            r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\""}"#.into(),
            r#"prometheus answered an error: bad_data: invalid parameter \"query\""#.into(),
        ),
        ("{}".into(), format!("{NOT_IT}/data: missing: expected an object")),
        ("[]".into(), format!("{NOT_IT}/: a list stands here: expected an object")),
        (r#"{"data":{}}"#.into(), format!("{NOT_IT}/data/result: missing: expected the samples there")),
        (
            r#"{"data":{"resultType":"string","result":[1,"x"]}}"#.into(),
            format!(
                "{NOT_IT}/data: `string` with a list in `result`: expected a vector, a matrix or a scalar"
            ),
        ),
        (
            r#"{"data":{"resultType":"vector","result":{}}}"#.into(),
            format!(
                "{NOT_IT}/data: `vector` with an object in `result`: expected a vector, a matrix or a scalar"
            ),
        ),
        (
            r#"{"data":{"resultType":"matrix","result":[{}]}}"#.into(),
            format!("{NOT_IT}/data/result/0/values: expected a list of samples"),
        ),
        (String::new(), format!("{NOT_IT}it is empty")),
    ] {
        assert_eq!(parse(&adapter(), "national", &body).unwrap_err(), said, "{body}");
    }
}
