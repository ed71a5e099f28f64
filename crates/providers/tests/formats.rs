//! What each upstream format is asked, and how its answers are read: well-formed, gappy, broken, hostile.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic is a failed test")]

use models::{CarbonIntensity, CarbonTarget, Forecast, Signal, Timestamp};
use providers::{Adapter, BadAnswer, Fixed, LegacyForecast, Plan, UkCarbonIntensity, Zone};

fn at(instant: &str) -> Timestamp {
    instant.parse().unwrap()
}

fn now() -> Timestamp {
    at("2018-01-20T12:10:07.5Z")
}

fn uk() -> UkCarbonIntensity {
    UkCarbonIntensity::default()
}

fn url(adapter: &dyn Adapter, target: &str) -> Result<String, String> {
    match adapter.plan(&CarbonTarget::from(target), now()) {
        Ok(Plan::Ask(request)) => {
            assert_eq!(request.headers, [("Accept".into(), "application/json".to_owned())]);
            Ok(request.url)
        }
        Ok(Plan::Known(forecast)) => Err(format!("{forecast:?}")),
        Err(refused) => Err(refused.to_string()),
    }
}

fn parse(adapter: &dyn Adapter, target: &str, body: &str) -> Result<Forecast, String> {
    let answer = adapter.parse(&CarbonTarget::from(target), body.as_bytes(), now());
    answer.map(|answer| answer.forecast).map_err(|error| error.to_string())
}

/// `HH:MM-HH:MM=grams/index` for every slot.
fn shape(forecast: &Forecast) -> Vec<String> {
    let clock = |instant: Timestamp| instant.strftime("%H:%M").to_string();
    let slot =
        |s: &models::Slot| format!("{}-{}={}/{}", clock(s.from), clock(s.to), s.forecast.get(), s.index);
    forecast.slots().iter().map(slot).collect()
}

/// An answer with one slot for each `intensity` member, beginning at 12:00.
fn national(intensities: &[&str]) -> String {
    let slot = |(index, intensity): (usize, &&str)| {
        let (from, to) = (720 + 30 * index, 750 + 30 * index);
        let clock = |minutes: usize| format!("2018-01-20T{:02}:{:02}Z", minutes / 60, minutes % 60);
        format!(r#"{{"from":"{}","to":"{}","intensity":{intensity}}}"#, clock(from), clock(to))
    };
    let slots: Vec<_> = intensities.iter().enumerate().map(slot).collect();
    format!(r#"{{"data":[{}]}}"#, slots.join(","))
}

#[test]
fn the_uk_api_is_asked_for_48_hours_nationally_from_two_hours_back() {
    let base = "https://api.carbonintensity.org.uk";
    let regional = format!("{base}/regional/intensity/2018-01-20T12:00Z/fw48h");
    for (target, expected) in [
        ("national", format!("{base}/intensity/2018-01-20T10:00Z/fw48h")),
        (" National ", format!("{base}/intensity/2018-01-20T10:00Z/fw48h")),
        ("zone:GB", format!("{base}/intensity/2018-01-20T10:00Z/fw48h")),
        ("gb", format!("{base}/intensity/2018-01-20T10:00Z/fw48h")),
        ("region:1", format!("{regional}/regionid/1")),
        ("region:13", format!("{regional}/regionid/13")),
        ("REGION: 17", format!("{regional}/regionid/17")),
        ("postcode:OX1", format!("{regional}/postcode/OX1")),
        ("postcode:w1", format!("{regional}/postcode/W1")),
        ("postcode:ec1a", format!("{regional}/postcode/EC1A")),
        ("postcode:OX1 2JD", format!("{regional}/postcode/OX1")),
        ("postcode:ec1a1bb", format!("{regional}/postcode/EC1A")),
        ("postcode:W1 0AX", format!("{regional}/postcode/W1")),
        ("postcode:w10ax", format!("{regional}/postcode/W1")),
    ] {
        assert_eq!(url(&uk(), target), Ok(expected), "{target}");
    }
    let elsewhere = UkCarbonIntensity::new("http://127.0.0.1:9/carbon//");
    assert_eq!(
        url(&elsewhere, "national"),
        Ok("http://127.0.0.1:9/carbon/intensity/2018-01-20T10:00Z/fw48h".into())
    );
}

#[test]
fn a_target_that_the_uk_api_lacks_is_refused_with_what_would_be_right() {
    for target in [
        "300",
        "",
        "nation",
        "region",
        "region:",
        "region:0",
        "region:18",
        "region:-1",
        "region:1.5",
        "13",
        "region:256",
        "postcode:",
        "postcode:X",
        "postcode:OXON",
        "postcode:123",
        "postcode:OX1 2",
        "postcode:OX1 2JDX",
        "postcode:OX12JDX9",
        "postcode:O/1",
        "postcode:../a1",
        "postcode:Ö1",
        "postcode:Ö1Ö1Ö1",
        "postcode:OX1?a",
        "zone:DE",
    ] {
        let refused = url(&uk(), target).unwrap_err();
        let expected = format!(
            "carbonTarget `{target}` is not one of uk-carbon-intensity: expected `national`, `region:1` to \
             `region:17`, or `postcode:` with the outward part, as in `postcode:OX1`"
        );
        assert_eq!(refused, expected);
        assert!(parse(&uk(), target, &national(&[r#"{"forecast":1}"#])).unwrap_err().contains(&expected));
    }
}

#[test]
fn a_national_answer_is_read() {
    let body = national(&[
        r#"{"forecast":266,"actual":263,"index":"moderate"}"#,
        r#"{"forecast":146,"actual":null,"index":"low"}"#,
        r#"{"forecast":"87.5"}"#,
        r#"{"forecast":300,"index":"enormous"}"#,
        r#"{"forecast":0,"index":"very low"}"#,
    ]);
    let forecast = parse(&uk(), "national", &body).unwrap();
    assert_eq!(
        shape(&forecast),
        [
            "12:00-12:30=266/moderate",
            "12:30-13:00=146/low",
            "13:00-13:30=87.5/low",
            "13:30-14:00=300/very high",
            "14:00-14:30=0/very low",
        ]
    );
    assert_eq!((&*forecast.source, forecast.issued_at), ("uk-carbon-intensity", None));
    assert_eq!(forecast.retrieved_at, now());
    assert_eq!(parse(&uk(), "national", &format!("\u{feff}  {body}\n")), Ok(forecast), "a byte order mark");
}

#[test]
fn what_is_missing_or_absurd_is_a_gap_and_never_zero() {
    for gap in [
        "null",
        "{}",
        r#"{"forecast":null}"#,
        r#"{"forecast":null,"actual":null}"#,
        r#"{"forecast":-1}"#,
        r#"{"forecast":10001}"#,
        r#"{"forecast":1e300}"#,
        r#"{"forecast":"n/a"}"#,
        r#"{"forecast":""}"#,
        r#"{"forecast":"NaN"}"#,
        r#"{"forecast":[266]}"#,
        r#"{"forecast":true}"#,
        "[]",
        "266",
    ] {
        let body =
            national(&[r#"{"forecast":100,"index":"low"}"#, gap, r#"{"forecast":120,"index":"moderate"}"#]);
        let forecast = parse(&uk(), "national", &body).unwrap();
        assert_eq!(shape(&forecast), ["12:00-12:30=100/low", "13:00-13:30=120/moderate"], "{gap}");
    }
}

#[test]
fn what_was_measured_stands_in_where_the_forecast_is_gone() {
    for measured in [
        r#"{"forecast":null,"actual":206,"index":"high"}"#,
        r#"{"actual":206,"index":"high"}"#,
        r#"{"forecast":-5,"actual":206,"index":"high"}"#,
    ] {
        let forecast = parse(&uk(), "national", &national(&[measured])).unwrap();
        assert_eq!(shape(&forecast), ["12:00-12:30=206/high"], "{measured}");
    }
}

#[test]
fn what_was_measured_of_slots_that_are_over_is_told_apart() {
    let body = r#"{"data":[
        {"from":"2018-01-20T10:00Z","to":"2018-01-20T10:30Z","intensity":{"forecast":266,"actual":263}},
        {"from":"2018-01-20T10:30Z","to":"2018-01-20T11:00Z","intensity":{"forecast":250,"actual":240,"isEstimated":true}},
        {"from":"2018-01-20T11:00Z","to":"2018-01-20T11:30Z","intensity":{"actual":"230","index":"high"}},
        {"from":"2018-01-20T11:30Z","to":"2018-01-20T12:00Z","intensity":{"forecast":220,"actual":null}},
        {"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z","intensity":{"forecast":211,"actual":206}},
        {"from":"2018-01-20T12:30Z","to":"2018-01-20T13:00Z","intensity":{"forecast":200,"actual":-4}}]}"#;
    let answer = uk().parse(&CarbonTarget::from("national"), body.as_bytes(), now()).unwrap();
    let slot = |from: &str, to: &str, grams| {
        let at = |clock: &str| at(&format!("2018-01-20T{clock}:00Z"));
        models::Slot::new(at(from), at(to), CarbonIntensity::new(grams).unwrap())
    };
    // An estimate is not measured, 11:30 is not known yet, and 12:00 is not over at 12:10.
    assert_eq!(answer.actuals, [slot("10:00", "10:30", 263.0), slot("11:00", "11:30", 230.0)]);
    let ahead: Vec<_> = answer.forecast.from_instant(now()).iter().map(|slot| slot.forecast.get()).collect();
    assert_eq!(ahead, [211.0, 200.0]);
    assert_eq!(answer.forecast.zone.as_deref(), Some("national"));
}

#[test]
fn times_come_with_and_without_seconds_offset_and_end() {
    let slots = [
        (r#""from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z""#, "12:00-12:30=9/very low"),
        (r#""from":"2018-01-20T12:00:00Z","to":"2018-01-20T12:30:00.000Z""#, "12:00-12:30=9/very low"),
        (r#""from":"2018-01-20T14:00+02:00","to":"2018-01-20T14:30+02:00""#, "12:00-12:30=9/very low"),
        (r#""from":"2018-01-20T12:00","to":"2018-01-20T12:30""#, "12:00-12:30=9/very low"),
        (r#""from":" 2018-01-20 12:00Z ""#, "12:00-12:30=9/very low"),
        (r#""from":"2018-01-20T12:00Z","to":null"#, "12:00-12:30=9/very low"),
        (r#""from":"2018-01-20T12:00Z","to":"2018-01-20T13:00Z""#, "12:00-13:00=9/very low"),
    ];
    for (times, expected) in slots {
        let body = format!(r#"{{"data":[{{{times},"intensity":{{"forecast":9}}}}]}}"#);
        assert_eq!(shape(&parse(&uk(), "national", &body).unwrap()), [expected], "{times}");
    }
}

#[test]
fn a_slot_without_a_time_is_named_when_nothing_else_is_there() {
    let expected_time = "expected a time such as 2018-01-20T12:00Z";
    for (times, problem) in [
        (r#""to":"2018-01-20T12:30Z""#, format!("/data/0/from: missing: {expected_time}")),
        (r#""from":5"#, format!("/data/0/from: a number stands here: {expected_time}")),
        (
            r#""from":"noon""#,
            "/data/0/from: `noon` is not a time: expected one such as 2018-01-20T12:00Z".into(),
        ),
        (
            r#""from":"2018-01-20T12:00Z","to":"x""#,
            "/data/0/to: `x` is not a time: expected one such as 2018-01-20T12:00Z".into(),
        ),
        (
            r#""from":"2018-01-20T12:30Z","to":"2018-01-20T12:00Z""#,
            "/data/0: it lasts from 2018-01-20T12:30:00Z to 2018-01-20T12:00:00Z: \
             expected more than nothing, at most a day"
                .into(),
        ),
        (
            r#""from":"2018-01-20T12:00Z","to":"9018-01-20T12:00Z""#,
            "/data/0: it lasts from 2018-01-20T12:00:00Z to 9018-01-20T12:00:00Z: \
             expected more than nothing, at most a day"
                .into(),
        ),
    ] {
        let body = format!(r#"{{"data":[{{{times},"intensity":{{"forecast":9}}}}]}}"#);
        let said = parse(&uk(), "national", &body).unwrap_err();
        assert_eq!(said, format!("the body is not the JSON of uk-carbon-intensity: {problem}"), "{times}");
    }
}

const REGION: &str = r#"{"regionid":11,"shortname":"South West England","postcode":"BS7","data":[
    {"from":"2018-01-20T11:30Z","to":"2018-01-20T12:00Z","intensity":{"forecast":152,"index":"moderate"},
     "generationmix":[{"fuel":"biomass","perc":1.4},{"fuel":"wind","perc":45.1}]},
    {"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z","intensity":{"forecast":160,"index":"moderate"}}]}"#;
const REGION_SHAPE: [&str; 2] = ["11:30-12:00=152/moderate", "12:00-12:30=160/moderate"];

#[test]
fn a_regional_answer_is_read_as_served_and_as_documented() {
    let slots = &REGION[REGION.find('[').unwrap()..REGION.len() - 1];
    for body in [
        format!(r#"{{"data":{REGION}}}"#),
        format!(r#"{{"data":[{REGION}]}}"#),
        format!(r#"{{"data":{slots}}}"#),
    ] {
        for target in ["region:11", "postcode:BS7", "postcode:bs7 8aa"] {
            assert_eq!(shape(&parse(&uk(), target, &body).unwrap()), REGION_SHAPE, "{target} {body}");
        }
    }
}

#[test]
fn of_several_regions_the_wanted_one_is_taken() {
    let other = r#"{"regionid":"3","postcode":"RG10","data":[
        {"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z","intensity":{"forecast":266,"index":"high"}}]}"#;
    let body = format!(r#"{{"data":[{other},{REGION}]}}"#);
    for target in ["region:11", "postcode:BS7"] {
        assert_eq!(shape(&parse(&uk(), target, &body).unwrap()), REGION_SHAPE, "{target}");
    }
    for target in ["region:3", "postcode:RG10"] {
        assert_eq!(shape(&parse(&uk(), target, &body).unwrap()), ["12:00-12:30=266/high"], "{target}");
    }
    assert_eq!(
        parse(&uk(), "region:4", &body).unwrap_err(),
        "the body is not the JSON of uk-carbon-intensity: /data: none of its 2 regions is region:4"
    );
}

#[test]
fn an_answer_may_be_short_and_disordered() {
    let slots: Vec<String> = (0..23).map(|index| format!(r#"{{"forecast":{}}}"#, 100 + index)).collect();
    let short = national(&slots.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(parse(&uk(), "national", &short).unwrap().slots().len(), 23);
    let swapped = r#"{"data":[
        {"from":"2018-01-20T12:30Z","to":"2018-01-20T13:00Z","intensity":{"forecast":2}},
        {"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z","intensity":{"forecast":1}}]}"#;
    let forecast = parse(&uk(), "national", swapped).unwrap();
    assert_eq!(shape(&forecast), ["12:00-12:30=1/very low", "12:30-13:00=2/very low"]);
}

#[test]
fn an_error_of_the_service_is_passed_on() {
    for (body, message) in [
        (r#"{"error":{"code":"400 Bad Request","message":"string"}}"#, "400 Bad Request: string"),
        (r#"{"error":{"code":500}}"#, "500"),
        (
            r#"{"error":{"message":"Requested resource not found."},"data":[]}"#,
            "Requested resource not found.",
        ),
        (r#"{"error":"out of order"}"#, "out of order"),
        (r#"{"error":["a"]}"#, r#"[\"a\"]"#),
    ] {
        for (adapter, name) in [
            (&uk() as &dyn Adapter, "uk-carbon-intensity"),
            (&LegacyForecast::new("http://x"), "legacy-forecast"),
        ] {
            let said = parse(adapter, "national", body).unwrap_err();
            assert_eq!(said, format!("{name} answered an error: {message}"));
        }
    }
    let fine = r#"{"error":null,"data":[{"from":"2018-01-20T12:00Z","intensity":{"forecast":5}}]}"#;
    assert!(parse(&uk(), "national", fine).is_ok());
}

#[test]
fn an_answer_that_is_none_says_what_it_is() {
    let html = "<!DOCTYPE html><html><body>Service Unavailable</body></html>";
    for (target, body, problem) in [
        ("national", "", "it is empty"),
        ("national", " \u{feff} ", "it is empty"),
        ("national", "\r\n ", "it is empty"),
        ("national", "null", "null stands at the top: expected an object"),
        ("national", "[]", "a list stands at the top: expected an object"),
        ("national", "{}", "/data: missing: expected the slots there"),
        ("national", r#"{"data":null}"#, "/data: null stands here: expected a list"),
        ("national", r#"{"data":{}}"#, "/data: an object stands here: expected a list"),
        ("national", r#"{"data":[5]}"#, "/data/0: a number stands here: expected an object"),
        ("national", r#"{"data":[{}]}"#, "/data/0/from: missing: expected a time such as 2018-01-20T12:00Z"),
        ("region:3", r#"{"data":{}}"#, "/data/data: missing: expected the slots there"),
        ("region:3", r#"{"data":{"data":5}}"#, "/data/data: a number stands here: expected a list"),
        ("region:3", r#"{"data":[{"data":"x"}]}"#, "/data/0/data: a string stands here: expected a list"),
        (
            "national",
            html,
            "expected value at line 1 column 1; it begins `<!DOCTYPE html><html><body>Service Unavailable</body></html>`",
        ),
        (
            "national",
            r#"{"data":[{"from":"20"#,
            r#"EOF while parsing a string at line 1 column 20; it begins `{\"data\":[{\"from\":\"20`"#,
        ),
        (
            "national",
            r#"{"data":[{"from":"2018-01-20T12:00Z","intensity":{"forecast":-5}}]}"#,
            "/data/0/intensity/forecast: -5 is not a carbon intensity: expected a number of gCO2eq/kWh in [0, 10000]",
        ),
    ] {
        let said = parse(&uk(), target, body).unwrap_err();
        assert_eq!(said, format!("the body is not the JSON of uk-carbon-intensity: {problem}"), "{body}");
    }
    let deep = "[".repeat(100_000);
    assert!(parse(&uk(), "national", &deep).unwrap_err().contains("recursion limit"));
}

#[test]
fn no_slot_with_a_value_is_an_empty_answer() {
    for (target, body) in [
        ("national", r#"{"data":[]}"#.to_owned()),
        ("region:3", r#"{"data":[]}"#.to_owned()),
        ("region:3", r#"{"data":{"data":[]}}"#.to_owned()),
        ("national", national(&[r#"{"forecast":null}"#, "null"])),
    ] {
        let answer = uk().parse(&CarbonTarget::from(target), body.as_bytes(), now());
        assert_eq!(answer, Err(BadAnswer::Empty { provider: "uk-carbon-intensity".into() }), "{body}");
    }
}

#[test]
fn the_legacy_endpoint_gives_this_half_hour_and_the_next() {
    let legacy = LegacyForecast::new("http://carbon.example/");
    for target in ["national", "300", "anything"] {
        assert_eq!(url(&legacy, target), Ok("http://carbon.example/forecast".into()));
    }
    let of_gb = legacy.clone().with_zone(Zone::new("GB").unwrap());
    assert_eq!(url(&of_gb, "national"), Ok("http://carbon.example/forecast".into()));
    assert_eq!(
        url(&of_gb, "region:13").unwrap_err(),
        "carbonTarget `region:13` is not one of legacy-forecast: expected `GB`, the one grid it knows"
    );
    for (body, expected) in [
        (r#"{"current":250,"next":300.5}"#, vec!["12:00-12:30=250/high", "12:30-13:00=300.5/very high"]),
        (
            r#"{"intensity_now":"250","intensity_next":" 90 "}"#,
            vec!["12:00-12:30=250/high", "12:30-13:00=90/low"],
        ),
        (r#"{"current":250,"next":null}"#, vec!["12:00-12:30=250/high"]),
        (r#"{"current":250}"#, vec!["12:00-12:30=250/high"]),
        (r#"{"current":null,"next":90}"#, vec!["12:30-13:00=90/low"]),
        (r#"{"current":-3,"next":90}"#, vec!["12:30-13:00=90/low"]),
        (r#"{"next":90,"extra":{}}"#, vec!["12:30-13:00=90/low"]),
        (r#"{"current":0,"next":0.0}"#, vec!["12:00-12:30=0/very low", "12:30-13:00=0/very low"]),
        (
            r#"{"data":[{"from":"2018-01-20T12:00Z","to":"2018-01-20T12:30Z","intensity":{"forecast":266,"index":"moderate"}}]}"#,
            vec!["12:00-12:30=266/moderate"],
        ),
    ] {
        let forecast = parse(&legacy, "national", body).unwrap();
        assert_eq!(shape(&forecast), expected, "{body}");
        assert_eq!(&*forecast.source, "legacy-forecast");
    }
}

#[test]
fn a_legacy_answer_without_a_value_says_why() {
    let legacy = LegacyForecast::new("http://carbon.example");
    let not_it = "the body is not the JSON of legacy-forecast: ";
    for (body, said) in [
        ("", format!("{not_it}it is empty")),
        (
            "{}",
            format!(
                "{not_it}it has neither `current` and `next`, nor `intensity_now` and `intensity_next`, nor `data`"
            ),
        ),
        (
            r#"{"current":"soon","next":null}"#,
            format!(
                "{not_it}/current: `soon` is not a carbon intensity: expected a number of gCO2eq/kWh in [0, 10000]"
            ),
        ),
        (r#"{"current":null,"next":null}"#, "legacy-forecast answered no slot with an intensity".into()),
    ] {
        assert_eq!(parse(&legacy, "national", body).unwrap_err(), said, "{body}");
    }
}

#[test]
fn a_fixed_intensity_is_known_for_48_hours() {
    let fixed = Fixed::new(CarbonIntensity::new(250.0).unwrap());
    let target = CarbonTarget::from("wherever");
    let Ok(Plan::Known(forecast)) = fixed.plan(&target, now()) else { panic!("nothing to ask for") };
    assert_eq!(&*forecast.source, "static");
    assert_eq!(forecast.slots().len(), 96);
    assert_eq!(forecast.slots()[0].from, at("2018-01-20T12:00:00Z"));
    assert_eq!(forecast.slots()[95].to, at("2018-01-22T12:00:00Z"));
    assert!(forecast.slots().windows(2).all(|pair| pair[0].to == pair[1].from));
    assert!(forecast.slots().iter().all(|slot| slot.forecast.get() == 250.0));
    assert_eq!(fixed.parse(&target, b"whatever", now()), Ok(forecast.into()));
    let marginal = fixed.with_signal(Signal::Marginal);
    assert_eq!((fixed.signal(), marginal.signal()), (Signal::Average, Signal::Marginal));
    assert_eq!(marginal.parse(&target, b"", now()).unwrap().forecast.signal, Signal::Marginal);
    for edge in [Timestamp::MIN, Timestamp::MAX] {
        assert!(fixed.plan(&target, edge).is_ok(), "{edge}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may be told where recorded data lie, and read them")]
fn recorded_answers_of_the_uk_api_are_read() {
    let Ok(folder) = std::env::var("TRACES_DIR") else {
        println!("skipped: TRACES_DIR names no folder with recorded answers");
        return;
    };
    let folder = std::path::Path::new(&folder).join("raw/uk_carbon_intensity_api");
    for (file, target, slots, first) in [
        ("national_fw48h_2023-12-03T1030Z.json", "national", 96, "10:30-11:00=211/high"),
        ("national_pt24h_2023-03-14T0331Z.json", "national", 48, "03:30-04:00=52/low"),
        ("regional_london_fw48h_2023-12-03T1030Z.json", "region:13", 96, "10:30-11:00=134/moderate"),
    ] {
        let Ok(body) = std::fs::read_to_string(folder.join(file)) else {
            println!("skipped: no {file} there");
            continue;
        };
        let end = at("2023-12-31T00:00:00Z");
        let answer = uk().parse(&CarbonTarget::from(target), body.as_bytes(), end).unwrap();
        let measured = answer.actuals.len();
        let forecast = answer.forecast;
        println!("{file}: {} slots, {measured} of them measured", forecast.slots().len());
        assert_eq!(measured > 0, target == "national", "{file}");
        assert_eq!(forecast.step(), Some(jiff::SignedDuration::from_mins(30)), "{file}");
        assert_eq!((forecast.slots().len(), shape(&forecast)[0].as_str()), (slots, first), "{file}");
        assert!(forecast.slots().iter().all(|slot| slot.forecast.get() > 0.0), "{file}");
    }
    if let Ok(body) = std::fs::read_to_string(folder.join("intensity_factors.json")) {
        assert!(parse(&uk(), "national", &body).is_err(), "factors are no forecast");
    }
}
