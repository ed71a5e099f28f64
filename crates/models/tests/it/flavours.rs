//! Lists of flavours: names, precisions, energy figures.

use crate::{pointers, told};
use models::flavour::{MAX_FLAVOUR_NAME, MAX_FLAVOURS};
use models::{Flavour, FlavourSet, Precision, Problems};
use serde_json::{Value, json};

fn read(list: &Value) -> Result<(FlavourSet, Vec<String>), Problems> {
    let mut ignored = Vec::new();
    FlavourSet::from_json(list, "/flavours", &mut ignored).map(|set| (set, ignored))
}

fn taken(list: &Value) -> FlavourSet {
    read(list).unwrap_or_else(|problems| unreachable!("{list} was refused: {problems}")).0
}

fn refused(list: &Value) -> Problems {
    match read(list) {
        Ok(set) => unreachable!("{list} was taken for {set:?}"),
        Err(problems) => problems,
    }
}

#[test]
fn a_missing_name_is_the_precision_in_percent_half_to_even() {
    for (precision, name) in [
        (json!(1), "precision-100"),
        (json!(1.0), "precision-100"),
        (json!(0.85), "precision-85"),
        (json!(85), "precision-85"),
        (json!("85"), "precision-85"),
        (json!(0.125), "precision-12"),
        (json!(0.135), "precision-14"),
        (json!(0.145), "precision-14"),
        (json!(0.005), "precision-0"),
        (json!(0.025), "precision-2"),
        (json!(1.5), "precision-2"),
        (json!(2), "precision-2"),
        (json!(99.5), "precision-100"),
        (json!(0.001), "precision-0"),
    ] {
        assert_eq!(&*taken(&json!([{"precision": precision}]))[0].name, name, "{precision}");
    }
    assert_eq!(&*taken(&json!([{"name": "mine", "precision": 0.5}]))[0].name, "mine");
    assert_eq!(&*taken(&json!([{"name": null, "precision": 0.5}]))[0].name, "precision-50");
}

#[test]
fn up_to_one_is_a_fraction_and_above_a_percentage() {
    for (wire, fraction) in
        [(1.0, 1.0), (0.3, 0.3), (1.5, 0.015), (30.0, 0.3), (100.0, 1.0), (1e-300, 1e-300)]
    {
        let set = taken(&json!([{"precision": wire}]));
        assert_eq!(set[0].precision, Precision::new(fraction).unwrap(), "{wire}");
    }
    for wrong in [
        json!(0),
        json!(-0.0),
        json!(-5),
        json!(100.1),
        json!(1e9),
        json!("nan"),
        json!("abc"),
        json!([1]),
        json!(true),
    ] {
        assert_eq!(pointers(&refused(&json!([{"precision": wrong}]))), ["/flavours/0/precision"], "{wrong}");
    }
    assert_eq!(pointers(&refused(&json!([{"precision": null}]))), ["/flavours/0/precision"]);
}

#[test]
fn the_other_fields() {
    let (set, ignored) = read(&json!([
        {"precision": 0.9, "carbonIntensity": 0, "energyWh": "2.5", "enabled": " False ", "annotations": {"a": 1, "b": null}, "colour": "red"},
        {"precision": 0.8, "carbon_intensity": 0.3, "enabled": true},
        {"precision": 0.7, "carbonIntensity": 0.4, "carbon_intensity": 9, "enabled": null, "carbonstat": 1},
        {"precision": 0.6, "carbonIntensity": null, "carbon_intensity": 0.2},
    ]))
    .unwrap();
    let figures: Vec<_> = set.iter().map(|f| (f.carbon_intensity, f.energy_wh, f.enabled)).collect();
    assert_eq!(
        figures,
        [
            (Some(0.0), Some(2.5), false),
            (Some(0.3), None, true),
            (Some(0.4), None, true),
            (Some(0.2), None, true)
        ]
    );
    assert_eq!(Value::Object(set[0].annotations.clone()), json!({"a": 1, "b": null}));
    assert_eq!(ignored, ["flavours/0/colour", "flavours/2/carbon_intensity", "flavours/2/carbonstat"]);
    assert_eq!(set.enabled().count(), 3);
    assert_eq!(set.named("precision-70"), Some(&set[2]));
    assert_eq!(set.named("precision-71"), None);
}

#[test]
fn refusals_are_sentences() {
    let problems = refused(&json!([
        {"name": "", "precision": 0.5},
        {"name": 5, "precision": 0.5, "carbonIntensity": "x"},
        {"precision": 0.5, "enabled": "maybe", "annotations": "a"},
        {"name": "a\nb", "energyWh": -1},
    ]));
    insta::assert_snapshot!(told(&problems), @r#"
    /flavours/0/name: `` is not a flavour name: expected 1 to 253 bytes without control characters
    /flavours/1/carbonIntensity: `x` is not a flavour carbon intensity: expected a number >= 0
    /flavours/1/name: a number is not a flavour name: expected a string
    /flavours/2/annotations: a string stands here: expected an object
    /flavours/2/enabled: a string is not a truth value: expected true or false
    /flavours/3/energyWh: -1 is not an energy per request: expected a number of Wh >= 0
    /flavours/3/name: `a\nb` is not a flavour name: expected 1 to 253 bytes without control characters
    /flavours/3/precision: missing: expected a number in (0, 100], e.g. 0.85
    "#);
    for (list, at) in [
        (json!({"a": 1}), "/flavours"),
        (json!("x"), "/flavours"),
        (json!([]), "/flavours"),
        (json!([1]), "/flavours/0"),
        (json!([null]), "/flavours/0"),
        (json!([{"name": "x".repeat(MAX_FLAVOUR_NAME + 1), "precision": 1}]), "/flavours/0/name"),
    ] {
        assert_eq!(pointers(&refused(&list)), [at], "{list}");
    }
}

#[test]
fn names_differ() {
    let problems = refused(
        &json!([{"precision": 0.851}, {"precision": 1}, {"precision": 0.849}, {"name": "precision-100", "precision": 0.1}]),
    );
    insta::assert_snapshot!(told(&problems), @r#"
    /flavours/2/name: `precision-85` is the name of flavour 0 too: expected names that differ (a missing name is precision-NN)
    /flavours/3/name: `precision-100` is the name of flavour 1 too: expected names that differ (a missing name is precision-NN)
    "#);
    taken(&json!([{"precision": 0.85}, {"name": "other", "precision": 0.85}]));
}

#[test]
fn from_one_to_the_most_there_may_be() {
    let list = |count: usize| {
        (0..count).map(|i| json!({"name": format!("f{i}"), "precision": 0.5})).collect::<Value>()
    };
    assert_eq!(taken(&list(1)).len(), 1);
    assert_eq!(taken(&list(MAX_FLAVOURS)).len(), MAX_FLAVOURS);
    insta::assert_snapshot!(told(&refused(&list(MAX_FLAVOURS + 1))), @r#"/flavours: 65 flavours: expected 1 to 64"#);
}

#[test]
fn a_set_made_in_code_is_held_to_the_same() {
    let half = || Flavour::new(Precision::new(0.5).unwrap());
    assert!(FlavourSet::new(vec![half(), half().named("other")]).is_ok());
    let problems =
        FlavourSet::new(vec![half(), half(), half().named("c").with_carbon_intensity(f64::NAN)]).unwrap_err();
    assert_eq!(pointers(&problems), ["/1/name", "/2/carbonIntensity"]);
    assert_eq!(pointers(&FlavourSet::new(vec![]).unwrap_err()), [""]);
    assert_eq!(pointers(&FlavourSet::new(vec![half(); MAX_FLAVOURS + 1]).unwrap_err()), [""]);
}

#[test]
fn the_defaults_are_the_origins() {
    let set = FlavourSet::builtin();
    let shape: Vec<_> =
        set.iter().map(|f| (&*f.name, f.precision.get(), f.carbon_intensity, f.enabled)).collect();
    assert_eq!(
        shape,
        [
            ("precision-100", 1.0, Some(1.0), true),
            ("precision-85", 0.85, Some(0.7), true),
            ("precision-70", 0.7, Some(0.4), true)
        ]
    );
}
