//! Flavours by what runs: Deployments that say by their labels how good their answers are.

use std::collections::{BTreeMap, BTreeSet};

use models::flavour::MAX_FLAVOURS;
use models::{Flavour, FlavourSet, Precision, json, ranges};
use serde_json::Value;

/// Its precision, as a fraction or as a percentage; without it a Deployment is no flavour.
pub(super) const PRECISION: &str = "carbonstat.precision";
/// Its relative energy per request.
const EMISSIONS: &str = "carbonstat.emissions";
/// Its name; without it, it is named after its precision.
const STRATEGY: &str = "carbonstat.strategy";
/// What the labels that are carried along begin with.
const OURS: &str = "carbonstat.";

/// A Deployment's labels.
pub(super) type Labels = BTreeMap<String, String>;

/// What was found in one namespace.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Discovered {
    /// The most precise first; none where nothing is labelled, or nothing well.
    pub(super) flavours: Option<FlavourSet>,
    /// Labels that say nothing, each with its Deployment.
    pub(super) problems: Vec<String>,
}

impl Discovered {
    /// Of the Deployments by their names.
    pub(super) fn of(deployments: &BTreeMap<String, Labels>) -> Self {
        let mut problems = Vec::new();
        let mut flavours: Vec<Flavour> = Vec::new();
        let mut names = BTreeSet::new();
        for (deployment, labels) in deployments {
            let Some(flavour) = flavour(deployment, labels, &mut problems) else { continue };
            if !names.insert(flavour.name.clone()) {
                problems.push(format!(
                    "Deployment {deployment}: another one is the flavour `{}`: expected another precision, or a name of its own in the label {STRATEGY}",
                    flavour.name
                ));
                continue;
            }
            flavours.push(flavour);
        }
        // A stable sort: of equally precise ones the first by name stays the first.
        flavours.sort_by(|one, other| other.precision.get().total_cmp(&one.precision.get()));
        if flavours.len() > MAX_FLAVOURS {
            problems.push(format!(
                "{} Deployments are labelled: only the {MAX_FLAVOURS} most precise ones are flavours",
                flavours.len()
            ));
            flavours.truncate(MAX_FLAVOURS);
        }
        let flavours = if flavours.is_empty() { None } else { FlavourSet::new(flavours).ok() };
        Self { flavours, problems }
    }
}

fn flavour(deployment: &str, labels: &Labels, problems: &mut Vec<String>) -> Option<Flavour> {
    let mut wrong = |label: &str, problem: &dyn std::fmt::Display| {
        problems.push(format!("Deployment {deployment}, label {label}: {problem}"));
    };
    let text = labels.get(PRECISION)?;
    let precision = match json::number_text(text, &ranges::WIRE_PRECISION) {
        Ok(number) => Precision::from_wire(number).map_err(|problem| wrong(PRECISION, &problem)).ok()?,
        Err(problem) => {
            wrong(PRECISION, &problem);
            return None;
        }
    };
    let mut flavour = Flavour::new(precision);
    if let Some(name) = labels.get(STRATEGY).filter(|name| !name.is_empty()) {
        flavour = flavour.named(name);
    }
    if let Some(text) = labels.get(EMISSIONS).filter(|text| !text.is_empty()) {
        match json::number_text(text, &ranges::FLAVOUR_CARBON) {
            Ok(number) => flavour = flavour.with_carbon_intensity(number),
            Err(problem) => wrong(EMISSIONS, &problem),
        }
    }
    let carried = labels.iter().filter(|(label, _)| label.starts_with(OURS));
    flavour.annotations =
        carried.map(|(label, value)| (label.clone(), Value::from(value.as_str()))).collect();
    flavour.annotations.insert("deployment".into(), deployment.into());
    Some(flavour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discovered(deployments: &[(&str, &[(&str, &str)])]) -> Discovered {
        let labels = |labels: &[(&str, &str)]| {
            labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
        };
        Discovered::of(&deployments.iter().map(|(name, given)| ((*name).into(), labels(given))).collect())
    }

    fn names(found: &Discovered) -> Vec<String> {
        found.flavours.iter().flat_map(|set| set.iter()).map(|flavour| flavour.name.to_string()).collect()
    }

    #[test]
    fn labels_make_flavours_the_most_precise_first() {
        let found = discovered(&[
            ("low", &[(PRECISION, "30"), (EMISSIONS, "0.2"), ("app", "x")]),
            ("high", &[(PRECISION, "1.0"), (EMISSIONS, "1")]),
            ("mid", &[(PRECISION, "0.85"), (STRATEGY, "medium")]),
            ("other", &[("app", "x")]),
        ]);
        assert_eq!(names(&found), ["precision-100", "medium", "precision-30"]);
        assert_eq!(found.problems, Vec::<String>::new());
        let flavours = found.flavours.unwrap();
        assert_eq!(flavours[0].carbon_intensity, Some(1.0));
        assert_eq!(flavours[1].carbon_intensity, None);
        let annotations = serde_json::to_value(&flavours[2].annotations).unwrap();
        assert_eq!(
            annotations,
            serde_json::json!({"carbonstat.precision": "30", "carbonstat.emissions": "0.2", "deployment": "low"})
        );
    }

    #[test]
    fn a_label_that_says_nothing_is_named_and_costs_nobody_else() {
        let found = discovered(&[
            ("a", &[(PRECISION, "0.9")]),
            ("b", &[(PRECISION, "90")]),
            ("c", &[(PRECISION, "best")]),
            ("d", &[(PRECISION, "0")]),
            ("e", &[(PRECISION, "0.5"), (EMISSIONS, "-1")]),
        ]);
        assert_eq!(names(&found), ["precision-90", "precision-50"]);
        let named: Vec<_> = found.problems.iter().map(|problem| problem.split(':').next().unwrap()).collect();
        assert_eq!(
            named,
            [
                "Deployment b",
                "Deployment c, label carbonstat.precision",
                "Deployment d, label carbonstat.precision",
                "Deployment e, label carbonstat.emissions"
            ]
        );
        assert_eq!(discovered(&[]), Discovered::default());
    }

    #[test]
    fn more_than_there_may_be_are_cut() {
        let many: BTreeMap<String, Labels> = (1..=MAX_FLAVOURS + 3)
            .map(|n| {
                (
                    format!("d{n:03}"),
                    Labels::from([
                        (PRECISION.into(), format!("{}", n as f64 / 100.0)),
                        (STRATEGY.into(), format!("s{n}")),
                    ]),
                )
            })
            .collect();
        let found = Discovered::of(&many);
        assert_eq!(found.flavours.unwrap().len(), MAX_FLAVOURS);
        assert_eq!(found.problems.len(), 1);
    }
}
