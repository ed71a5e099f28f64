//! Whatever is asked, the answer is one that is described, and never a fault of the server.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use crate::contract::{Contract, Operation};
use crate::server::Server;

/// Any text, often one that is looked for somewhere.
fn text() -> impl Strategy<Value = String> {
    let known = [
        "shop",
        "search",
        "default",
        "national",
        "average",
        "marginal",
        "0",
        "1",
        "1000",
        "1001",
        "-1",
        "now",
        "+5",
        "a/b",
        "default/default",
        "2026-01-05T00:00:00Z",
        "2026-01-05T00:00:00+25:00",
        "9999-12-31T23:59:59Z",
        ".",
        "..",
        "%",
        "%2F",
        "\u{0}",
    ];
    prop_oneof![3 => select(known.to_vec()).prop_map(String::from), 1 => "\\PC{1,12}", 1 => any::<String>()]
        .prop_filter("a path has no empty segment", |text| !text.is_empty() && text != "." && text != "..")
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-2.0..2.0).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let known = [
        "targetError",
        "policy",
        "validFor",
        "flavours",
        "strategies",
        "components",
        "scheduler",
        "name",
        "precision",
        "energyWh",
        "carbonIntensity",
        "enabled",
        "flavourWeights",
        "ttlSeconds",
        "flavour_counts",
        "window_seconds",
        "windowEnd",
        "source",
        "sequence",
        "total_requests",
        "large",
        "precision-100",
        "carbonTarget",
    ];
    prop_oneof![3 => select(known.to_vec()).prop_map(String::from), 1 => any::<String>()]
}

/// A body of the examples with one member of it replaced, or another document.
fn body(operation: &Operation) -> BoxedStrategy<String> {
    let examples = operation.json["requestBody"]["content"]["application/json"]["examples"].as_object();
    let examples: Vec<Value> =
        examples.into_iter().flatten().map(|(_, example)| example["value"].clone()).collect();
    if examples.is_empty() {
        return Just(String::new()).boxed();
    }
    let changed =
        (select(examples), any::<Index>(), key(), any_json()).prop_map(|(mut body, place, key, value)| {
            let members = body.as_object_mut().unwrap();
            let keys: Vec<String> = members.keys().cloned().chain([key]).collect();
            members.insert(place.get(&keys).clone(), value);
            body.to_string()
        });
    prop_oneof![
        6 => changed,
        2 => any_json().prop_map(|body| body.to_string()),
        1 => any::<String>(),
        1 => ("\\PC{0,20}", "[\\[{]{0,90}").prop_map(|(start, nested)| format!("{start}{nested}")),
    ]
    .boxed()
}

/// What is asked of an operation, in the form of `x-request`.
fn wanted(contract: &Contract, operation: &Operation) -> BoxedStrategy<Value> {
    let parameters = contract.parameters(operation).into_iter().map(|parameter| {
        let (name, place) =
            (parameter["name"].as_str().unwrap().to_owned(), parameter["in"].as_str().unwrap().to_owned());
        let value = prop_oneof![2 => Just(None), 1 => text().prop_map(Some)];
        value.prop_map(move |value| (place.clone(), name.clone(), value))
    });
    let kinds =
        ["application/json", "application/json; charset=utf-8", "text/plain", "", "application/x+json"];
    let kind = prop_oneof![5 => Just("application/json"), 1 => select(kinds.to_vec())];
    (parameters.collect::<Vec<_>>(), kind)
        .prop_map(|(parameters, kind)| {
            let mut wanted = json!({"path": {}, "query": {}, "headers": {"Content-Type": kind}});
            for (place, name, value) in parameters {
                if let Some(value) = value.filter(|_| place != "header") {
                    wanted[place][name] = json!(value);
                }
            }
            wanted
        })
        .boxed()
}

#[test]
fn whatever_is_asked_the_answer_is_described() {
    let (contract, server) = (Contract::read(), Server::start());
    let operations = contract.operations();
    let strategies: Vec<_> = operations
        .iter()
        .enumerate()
        .map(|(index, operation)| (Just(index), wanted(&contract, operation), body(operation)).boxed())
        .collect();
    let config = ProptestConfig {
        cases: ProptestConfig::default().cases.max(600),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let strategy = (0..strategies.len()).prop_flat_map(|index| strategies[index].clone());
    proptest!(config, |((index, wanted, body) in strategy)| {
        let operation = &operations[index];
        let mut request = contract.request(operation, &wanted, None);
        request.body = body;
        let answer = request.send(&server.client);
        prop_assert!(answer.status < 500 || answer.status == 503, "{:?}: {:?}", request, answer);
        prop_assert_eq!(contract.complaint(operation, &answer), None, "{:?}: {:?}", request, answer);
    });
}
