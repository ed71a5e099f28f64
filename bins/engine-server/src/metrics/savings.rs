//! The series of what was emitted and avoided. Those of grams and those of relative figures have different
//! names, so that nobody adds them up; a schedule has one kind at a time.

use engine::Emissions;
use models::SavingsReport;
use models::savings::HindsightReport;

use super::families::{Family, Samples};

/// What a schedule is compared with, as the label `against` says it.
const BEST: (&str, &str) = ("against", "best");
const CONSTANT_MIX: (&str, &str) = ("against", "constant-mix");

pub(super) static FAMILIES: [Family; 11] = [
    Family {
        name: "schedule_emitted_grams_total",
        kind: "counter",
        help: "gCO2eq that the requests reported emitted.",
        samples: |to| emitted(to, false),
    },
    Family {
        name: "schedule_counterfactual_grams_total",
        kind: "counter",
        help: "gCO2eq that the same requests would have emitted otherwise.",
        samples: |to| counterfactual(to, false),
    },
    Family {
        name: "schedule_avoided_grams",
        kind: "gauge",
        help: "gCO2eq that the same requests would have emitted otherwise, less what they did, since the start.",
        samples: |to| avoided(to, false),
    },
    Family {
        name: "schedule_regret_grams",
        kind: "gauge",
        help: "gCO2eq emitted in the last day beyond the optimum in hindsight.",
        samples: |to| regret(to, false),
    },
    Family {
        name: "schedule_emitted_relative_total",
        kind: "counter",
        help: "Intensity x requests, one at the best flavour being 1, where energies are not in Wh.",
        samples: |to| emitted(to, true),
    },
    Family {
        name: "schedule_counterfactual_relative_total",
        kind: "counter",
        help: "What the same requests would have come to otherwise, where energies are not in Wh.",
        samples: |to| counterfactual(to, true),
    },
    Family {
        name: "schedule_avoided_relative",
        kind: "gauge",
        help: "What the same requests would have come to otherwise, less what they did, where energies are not in Wh.",
        samples: |to| avoided(to, true),
    },
    Family {
        name: "schedule_regret_relative",
        kind: "gauge",
        help: "What the last day came to beyond the optimum in hindsight, where energies are not in Wh.",
        samples: |to| regret(to, true),
    },
    Family {
        name: "schedule_gain_captured",
        kind: "gauge",
        help: "Share of what could be gained over the constant mix in the last day.",
        samples: |to| {
            if let Some(share) = hindsight(to).and_then(|found| found.gain_captured) {
                to.schedule(&[], share);
            }
        },
    },
    Family {
        name: "schedule_hindsight_span_seconds",
        kind: "gauge",
        help: "How much of the last day regret and gain are of.",
        samples: |to| {
            if let Some(found) = hindsight(to) {
                to.schedule(&[], f64::from(found.span_seconds));
            }
        },
    },
    Family {
        name: "schedule_unpriced_requests",
        kind: "gauge",
        help: "Requests reported that are in none of the emissions: intensity or energy is not known.",
        samples: |to| {
            if let Some(savings) = savings(to) {
                to.schedule(&[], savings.since_start.unpriced_requests as f64);
            }
        },
    },
];

fn savings(to: &Samples<'_>) -> Option<SavingsReport> {
    to.published.schedule.savings
}

fn hindsight(to: &Samples<'_>) -> Option<HindsightReport> {
    savings(to)?.hindsight
}

fn counters(to: &Samples<'_>, relative: bool) -> Option<Emissions> {
    to.published.totals.emissions.filter(|emissions| emissions.relative == relative)
}

fn emitted(to: &mut Samples<'_>, relative: bool) {
    if let Some(emissions) = counters(to, relative) {
        to.schedule(&[], emissions.emitted);
    }
}

fn counterfactual(to: &mut Samples<'_>, relative: bool) {
    if let Some(emissions) = counters(to, relative) {
        to.schedule(&[BEST], emissions.at_best);
        to.schedule(&[CONSTANT_MIX], emissions.at_constant_mix);
    }
}

fn avoided(to: &mut Samples<'_>, relative: bool) {
    if let Some(savings) = savings(to).filter(|savings| savings.relative == relative) {
        to.schedule(&[BEST], savings.since_start.avoided_vs_best);
        to.schedule(&[CONSTANT_MIX], savings.since_start.avoided_vs_constant_mix);
    }
}

fn regret(to: &mut Samples<'_>, relative: bool) {
    if let Some(savings) = savings(to).filter(|savings| savings.relative == relative)
        && let Some(found) = savings.hindsight
    {
        to.schedule(&[], found.regret);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{Engine, EngineOptions, Spread};
    use jiff::SignedDuration;
    use models::{CarbonIntensity, CarbonTarget, Feedback, Forecast, Overrides, ScheduleId, Slot, Timestamp};
    use policies::Registry;
    use serde_json::json;

    use super::*;

    /// A schedule that served half and half for two hours, the second one twice as dirty.
    fn served() -> (ScheduleId, Engine) {
        let start: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
        let options = EngineOptions { spread: Spread::None, ..EngineOptions::default() };
        let mut engine = Engine::new(options, Registry::builtin());
        let id = ScheduleId::new("t", "saved").unwrap();
        let body = json!({"flavours": [{"name": "large", "precision": 1, "energyWh": 2.0},
            {"name": "small", "precision": 0.9, "energyWh": 0.5}]});
        let overrides = Overrides::from_json(body.as_object().unwrap()).unwrap().overrides;
        engine.configure(&id, overrides, start).unwrap();
        let slot = |hour: i64, grams: f64| {
            let from = start + SignedDuration::from_hours(hour);
            Slot::new(from, from + SignedDuration::from_hours(1), CarbonIntensity::new(grams).unwrap())
        };
        let slots = vec![slot(0, 100.0), slot(1, 200.0), slot(2, 100.0)];
        let forecast = Forecast::new("test", None, start, slots).unwrap();
        engine.observe_forecast(&CarbonTarget::from("national"), Arc::new(forecast), start).unwrap();
        for minute in 1..=126 {
            let now = start + SignedDuration::from_mins(minute);
            let feedback = Feedback {
                window_seconds: 60.0,
                counts: vec![("large".into(), 50), ("small".into(), 50)],
                ..Feedback::default()
            };
            engine.feedback(&id, &feedback, now).unwrap();
            engine.tick(now);
        }
        (id, engine)
    }

    #[test]
    fn regret_and_gain_are_exported_once_they_are_known() {
        let (id, engine) = served();
        let published = engine.published(&id).unwrap();
        let found = published.schedule.savings.and_then(|savings| savings.hindsight).unwrap();
        assert!(
            found.regret > 0.0 && found.gain_captured.is_some_and(|share| share.abs() < 1e-9),
            "{found:?}"
        );
        let mut lines = Vec::new();
        for family in &FAMILIES {
            let mut text = String::new();
            (family.samples)(&mut Samples {
                name: family.name,
                id: &id,
                published: &published,
                text: &mut text,
            });
            lines.extend(text.lines().map(str::to_owned));
        }
        let has = |name: &str, value: f64| {
            let line = format!(r#"{name}{{namespace="t",schedule="saved"}} {value}"#);
            assert!(lines.contains(&line), "{line} in {lines:#?}");
        };
        has("schedule_regret_grams", found.regret);
        has("schedule_gain_captured", found.gain_captured.unwrap());
        has("schedule_hindsight_span_seconds", 7200.0);
        has("schedule_unpriced_requests", 0.0);
        assert!(!lines.iter().any(|line| line.contains("relative")), "{lines:#?}");
        assert_eq!(lines.len(), 9, "{lines:#?}");
    }
}
