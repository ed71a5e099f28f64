//! The published schedule, field by field, as its readers decode it.

use serde_json::{Value, json};

use crate::server::{Launch, Server};
use crate::upstream::{Reply, Upstream, hours};
use crate::{eventually, instant};

/// A schedule with everything in it: credit to spend, a forecast, components, a disabled flavour.
fn full() -> (Upstream, Server, Value) {
    let upstream = Upstream::start(|_| Reply::Json(hours(&[250.0, 300.0, 120.5])));
    let server = Launch::new().upstream(&upstream).start();
    server.configure("t/full", &json!({
        "validFor": 1, "targetError": 0.2, "policy": "forecast-aware",
        "components": {"router": {"minReplicas": 1, "maxReplicas": 15}},
        "flavours": [
            {"name": "large", "precision": 1, "carbonIntensity": 2, "energyWh": 1.5, "annotations": {"a": 1}},
            {"name": "small", "precision": 0.855, "carbonIntensity": 1},
            {"name": "off", "precision": 0.5, "enabled": false},
        ],
    }));
    let ready = |schedule: &Value| {
        schedule["forecast"]["now"] == 250.0 && schedule["credits"]["allowance"].as_f64() > Some(0.0)
    };
    let schedule = server.schedule_when("t/full", ready);
    (upstream, server, schedule)
}

#[test]
fn every_reader_finds_its_shape_and_all_agree() {
    let (_upstream, _server, schedule) = full();
    let weights = schedule["flavourWeights"].as_object().unwrap();
    assert_eq!(weights.keys().collect::<Vec<_>>(), ["large", "small"], "enabled ones only");
    assert_eq!(schedule["strategies"], schedule["flavours"]);
    let flavours = schedule["flavours"].as_array().unwrap();
    for (flavour, (name, precision, carbon, enabled)) in
        flavours.iter().zip([("large", 100, 2.0, true), ("small", 86, 1.0, true), ("off", 50, 0.0, false)])
    {
        let weight = weights.get(name).cloned().unwrap_or(json!(0));
        assert_eq!(
            flavour,
            &json!({"name": name, "precision": precision, "weight": weight, "carbonIntensity": carbon, "enabled": enabled})
        );
    }
    let rules: Vec<_> = flavours[..2]
        .iter()
        .map(|f| json!({"flavourName": f["name"], "precision": f["precision"], "weight": f["weight"]}))
        .collect();
    assert_eq!(schedule["flavourRules"], json!(rules));
    let per_mille = schedule["weightsPerMille"].as_object().unwrap();
    assert_eq!(per_mille.keys().collect::<Vec<_>>(), ["large", "small"]);
    for (name, weight) in weights {
        let (percent, mille) = (weight.as_f64().unwrap(), per_mille[name].as_f64().unwrap());
        assert!((percent - mille / 10.0).abs() < 1.1, "{name}");
    }
}

#[test]
fn numbers_are_of_the_kind_their_readers_decode() {
    let (_upstream, server, schedule) = full();
    for list in ["flavours", "strategies", "flavourRules"] {
        for flavour in schedule[list].as_array().unwrap() {
            assert!(flavour["precision"].is_u64() && flavour["weight"].is_u64(), "{flavour}");
        }
    }
    let sum = |key: &str| {
        schedule[key].as_object().unwrap().values().map(|weight| weight.as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!((sum("flavourWeights"), sum("weightsPerMille")), (100, 1000));
    assert!(schedule["processing"]["ceilings"]["router"].is_u64());
    assert!(schedule["generation"].is_u64());
    let diagnostics = schedule["diagnostics"].as_object().unwrap();
    for key in ["credit_balance", "allowance", "avg_precision"] {
        assert!(diagnostics[key].is_number(), "{key}");
    }
    assert!(diagnostics.values().all(Value::is_number), "{diagnostics:?}");
    for list in ["warnings", "reason"] {
        assert!(!schedule[list].is_null(), "{list}");
    }
    // What is not known is left out.
    assert!(!server.get("/schedule/t/full").text().contains("null"));
    assert!(!Server::without_forecasts().get("/schedule").text().contains("null"));
}

#[test]
fn the_decision_and_what_it_rests_on_are_told() {
    let (_upstream, _server, schedule) = full();
    let credits = &schedule["credits"];
    assert_eq!(
        (&credits["target"], &credits["min"], &credits["max"]),
        (&json!(0.2), &json!(-0.5), &json!(0.5))
    );
    assert!(credits["balance"].as_f64().unwrap() <= 0.5 && credits["velocity"].is_f64());
    assert_eq!(schedule["policy"], json!({"name": "forecast-aware"}));
    let mean: f64 = [("large", 1.0), ("small", 0.855)]
        .iter()
        .map(|(name, precision)| schedule["flavourWeights"][name].as_f64().unwrap() * precision / 100.0)
        .sum();
    assert!((schedule["avgPrecision"].as_f64().unwrap() - mean).abs() < 1e-12);
    let processing = &schedule["processing"];
    // 300 between a floor of 150 and a ceiling of 350; the peak of now and next counts.
    assert_eq!(processing["intensityRatio"], 0.25);
    assert_eq!(
        processing["throttle"].as_f64().unwrap(),
        processing["creditsRatio"].as_f64().unwrap().min(0.25)
    );
    assert_eq!(processing["ceilings"], json!({"router": 4}));
    assert!(schedule["reason"].as_str().unwrap().len() > 10);
    assert!(instant(&schedule["evaluatedAt"]) < instant(&schedule["validUntil"]));
    assert_eq!(schedule["validUntil"].as_str().unwrap().len(), "2026-11-23T15:17:06Z".len());
}

#[test]
fn the_forecast_is_told_as_the_operator_decodes_it() {
    let (_upstream, _server, schedule) = full();
    let forecast = &schedule["forecast"];
    assert_eq!((&forecast["now"], &forecast["next"]), (&json!(250.0), &json!(300.0)));
    assert_eq!(
        (&forecast["index"], &forecast["source"]),
        (&json!("moderate"), &json!("uk-carbon-intensity"))
    );
    assert!(instant(&forecast["retrievedAt"]) <= instant(&schedule["evaluatedAt"]));
    assert!(forecast.get("issuedAt").is_none() && forecast.get("stale").is_none(), "{forecast}");
    let slots = forecast["schedule"].as_array().unwrap();
    assert_eq!(
        slots.iter().map(|slot| slot["forecast"].as_f64().unwrap()).collect::<Vec<_>>(),
        [250.0, 300.0, 120.5]
    );
    for slot in slots {
        assert!(instant(&slot["from"]) < instant(&slot["to"]) && slot["index"].is_string(), "{slot}");
        assert_eq!(slot.as_object().unwrap().len(), 4);
    }
}

#[test]
fn at_most_96_slots_are_told() {
    let upstream = Upstream::start(|_| Reply::Json(hours(&[200.0; 200])));
    let server = Launch::new().upstream(&upstream).start();
    let schedule = server.schedule_when("default/default", |schedule| schedule["forecast"]["now"] == 200.0);
    assert_eq!(schedule["forecast"]["schedule"].as_array().unwrap().len(), 96);
}

#[test]
fn without_any_forecast_there_is_a_schedule_and_a_warning() {
    let server = Server::without_forecasts();
    let schedule = server.schedule("default/default");
    assert_eq!(schedule["forecast"], json!({"schedule": []}));
    assert_eq!(schedule["processing"]["intensityRatio"], 1.0);
    assert_eq!(
        schedule["warnings"],
        json!(["no carbon forecast for `national` has arrived yet: decided without one"])
    );
}

#[test]
fn what_a_flavour_costs_is_said_where_it_is_guessed() {
    let server = Server::start();
    // The operator sends 0 where the label is missing.
    let answer = server.configure("t/energy", &json!({"flavours": [{"precision": 1, "carbonIntensity": 1}, {"precision": 0.5, "carbonIntensity": 0}]}));
    assert!(crate::lines(&answer["warnings"]).contains("proportional to precision"), "{answer}");
    let answer = server.configure(
        "t/energy",
        &json!({"flavours": [{"precision": 1, "energyWh": 1}, {"precision": 0.5, "energyWh": 0.3}]}),
    );
    assert_eq!(answer["warnings"], json!([]));
    eventually("the schedule says the same", || {
        server.schedule("t/energy")["warnings"].as_array()?.is_empty().then_some(())
    });
}
