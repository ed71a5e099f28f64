//! What is published of a schedule in its object's status.

use engine::View;
use models::schedule::{FlavourShare, Schedule};
use models::{Forecast, Timestamp};

use super::crd::{Condition, FlavourDecision, FlavourRule, ForecastSlot, TrafficScheduleStatus};
use super::objects::Outcome;

/// Most slots of the forecast in a status: it is written for every object each time, and the API has the rest.
const SLOTS: usize = 12;
/// Longest sentence in a condition, in bytes; Kubernetes takes 32 kB.
const LONGEST_MESSAGE: usize = 4_096;

/// What a status is made of.
pub(super) struct Facts<'a> {
    /// What is published; none where the spec never was good.
    pub(super) view: Option<&'a View>,
    pub(super) outcome: &'a Outcome,
    /// Labels of Deployments that say nothing.
    pub(super) flavour_problems: &'a [String],
    pub(super) evaluator: &'static str,
    /// Conditions as they stand in the status now.
    pub(super) before: &'a [Condition],
    pub(super) now: Timestamp,
}

/// A condition's status, with a word and a sentence for why.
type Finding = (bool, &'static str, String);

impl Facts<'_> {
    /// The status.
    pub(super) fn status(&self) -> TrafficScheduleStatus {
        let mut status = match self.view.and_then(View::published) {
            Some(published) => of_schedule(&published.schedule, published.forecast.as_deref()),
            // What the definition requires has to be there all the same.
            None => TrafficScheduleStatus {
                active_policy: "none".into(),
                valid_until: instant(self.now),
                ..TrafficScheduleStatus::default()
            },
        };
        status.routing_evaluator = Some(self.evaluator.into());
        status.observed_generation = self.outcome.generation;
        status.conditions =
            vec![self.condition("Ready", self.ready()), self.condition("Degraded", self.degraded())];
        status
    }

    fn ready(&self) -> Finding {
        match self.view {
            Some(View::Schedule(published)) => (true, "Scheduled", published.schedule.reason.clone()),
            Some(View::Pending(reason)) => (false, "Pending", reason.to_string()),
            None => (false, "NotConfigured", "no spec of this object could be put in force yet".into()),
        }
    }

    fn degraded(&self) -> Finding {
        let schedule = self.view.and_then(View::published).map(|published| &published.schedule);
        if let Some(problem) = &self.outcome.problem {
            let kept = if self.view.is_some() { "; what was in force before stays" } else { "" };
            let reason = if self.outcome.is_one_too_many { "TooManySchedules" } else { "InvalidSpec" };
            (true, reason, format!("{problem}{kept}"))
        } else if !self.flavour_problems.is_empty() {
            (true, "InvalidFlavours", self.flavour_problems.join("; "))
        } else if schedule.is_some_and(|schedule| schedule.forecast.now.is_none()) {
            (true, "NoForecast", "no carbon forecast covers the present".into())
        } else {
            (false, "AsAsked", "everything that was asked for is in force".into())
        }
    }

    fn condition(&self, kind: &str, (holds, reason, mut message): Finding) -> Condition {
        let status = if holds { "True" } else { "False" };
        let same = |condition: &&Condition| condition.kind == kind && condition.status == status;
        let since = self.before.iter().find(same).map(|condition| condition.last_transition_time.clone());
        if message.len() > LONGEST_MESSAGE {
            message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
            message.push_str("..");
        }
        Condition {
            kind: kind.into(),
            status: status.into(),
            reason: reason.into(),
            message,
            last_transition_time: since.unwrap_or_else(|| instant(self.now)),
            observed_generation: self.outcome.generation,
        }
    }
}

fn of_schedule(schedule: &Schedule, forecast: Option<&Forecast>) -> TrafficScheduleStatus {
    let mut shares: Vec<&FlavourShare> = schedule.flavours.iter().collect();
    // The origin's operator writes them in this order; where both of us write, neither is to undo the other.
    shares.sort_by_key(|share| share.precision.percent());
    let decision = |share: &&FlavourShare| FlavourDecision {
        precision: share.precision.percent().into(),
        weight: share.weight.into(),
        emissions: Some(number(share.carbon_intensity.unwrap_or_default())),
    };
    let rule = |share: &&FlavourShare| FlavourRule {
        flavour_name: share.name.to_string(),
        precision: share.precision.percent().into(),
        weight: share.weight.into(),
    };
    let flavours: Vec<_> = shares.iter().map(decision).collect();
    let slots = forecast.map_or(&[][..], |forecast| forecast.from_instant(schedule.evaluated_at));
    let ceilings = schedule.processing.ceilings.iter();
    TrafficScheduleStatus {
        strategies: flavours.clone(),
        flavours,
        flavour_rules: shares.iter().map(rule).collect(),
        active_policy: schedule.policy.to_string(),
        valid_until: instant(schedule.valid_until),
        credit_balance: Some(number(schedule.credits.balance)),
        credit_velocity: Some(number(schedule.credits.velocity)),
        credit_target: Some(number(schedule.credits.target)),
        credit_min: Some(number(schedule.credits.min)),
        credit_max: Some(number(schedule.credits.max)),
        processing_throttle: Some(number(schedule.processing.throttle)),
        effective_replica_ceilings: ceilings
            .map(|(component, most)| (component.to_string(), i32::try_from(*most).unwrap_or(i32::MAX)))
            .collect(),
        carbon_index: schedule.forecast.index.map(|index| index.as_str().into()),
        carbon_forecast_now: schedule.forecast.now.map(number),
        carbon_forecast_next: schedule.forecast.next.map(number),
        forecast_schedule: slots
            .iter()
            .take(SLOTS)
            .map(|slot| ForecastSlot {
                from: instant(slot.from),
                to: instant(slot.to),
                forecast: number(slot.forecast.get()),
                index: Some(slot.index.as_str().into()),
            })
            .collect(),
        diagnostics: schedule
            .diagnostics
            .iter()
            .map(|(key, value)| (key.to_string(), number(*value)))
            .collect(),
        ..TrafficScheduleStatus::default()
    }
}

/// The shortest decimals that are this number, never with an exponent: as the origin's operator has them.
fn number(value: f64) -> String {
    // Of zeros there is one.
    (value + 0.0).to_string()
}

/// In whole seconds, as Kubernetes has its times.
fn instant(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{Engine, EngineOptions};
    use models::{Overrides, ScheduleId};
    use policies::Registry;
    use serde_json::json;

    use super::*;

    fn view(body: &serde_json::Value) -> Arc<View> {
        let id = ScheduleId::new("shop", "search").unwrap();
        let wanted = Overrides::from_json(body.as_object().unwrap()).unwrap().overrides;
        let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
        engine.configure_in_cluster(&id, wanted, Timestamp::from_second(1_800_000_000).unwrap()).unwrap();
        engine.board().view(&id).unwrap()
    }

    fn facts<'a>(view: Option<&'a View>, outcome: &'a Outcome) -> Facts<'a> {
        let now = Timestamp::from_second(1_800_000_001).unwrap();
        Facts { view, outcome, flavour_problems: &[], evaluator: "router", before: &[], now }
    }

    fn found(status: &TrafficScheduleStatus) -> Vec<(String, String)> {
        status
            .conditions
            .iter()
            .map(|one| (format!("{}={}", one.kind, one.status), one.reason.clone()))
            .collect()
    }

    #[test]
    fn a_status_has_the_shapes_of_both_origins() {
        let view = view(&json!({
            "flavours": [{"precision": 1.0, "carbonIntensity": 1.2}, {"precision": 0.5}],
            "components": {"router": {"maxReplicas": 10}},
        }));
        let outcome = Outcome { generation: Some(3), ..Outcome::default() };
        let status = serde_json::to_value(facts(Some(&view), &outcome).status()).unwrap();
        assert_eq!(
            status["flavours"],
            json!([
                {"precision": 50, "weight": 0, "emissions": "0"},
                {"precision": 100, "weight": 100, "emissions": "1.2"}
            ])
        );
        assert_eq!(status["strategies"], status["flavours"]);
        assert_eq!(
            status["flavourRules"],
            json!([
                {"flavourName": "precision-50", "precision": 50, "weight": 0},
                {"flavourName": "precision-100", "precision": 100, "weight": 100}
            ])
        );
        assert_eq!(status["validUntil"], "2027-01-15T08:01:00Z");
        assert_eq!(status["creditTarget"], "0.05");
        assert_eq!(status["observedGeneration"], 3);
        assert!(status["effectiveReplicaCeilings"]["router"].is_i64());
        for words in
            [&status["creditBalance"], &status["processingThrottle"], &status["diagnostics"]["avg_precision"]]
        {
            assert!(words.as_str().unwrap().parse::<f64>().is_ok(), "{words}");
        }
    }

    #[test]
    fn conditions_say_what_is_in_force_and_what_is_not() {
        let good = view(&json!({}));
        let pending = view(&json!({"flavours": [{"precision": 1, "enabled": false}]}));
        let fine = Outcome { generation: Some(1), ..Outcome::default() };
        let bad = Outcome {
            generation: Some(2),
            problem: Some("spec.scheduler.policy: unknown".into()),
            ..Outcome::default()
        };
        let labels = ["Deployment a, label b: c".to_owned()];
        let cases = [
            (facts(Some(&good), &fine), ("Ready=True", "Scheduled"), ("Degraded=True", "NoForecast")),
            (facts(Some(&good), &bad), ("Ready=True", "Scheduled"), ("Degraded=True", "InvalidSpec")),
            (facts(None, &bad), ("Ready=False", "NotConfigured"), ("Degraded=True", "InvalidSpec")),
            (facts(Some(&pending), &fine), ("Ready=False", "Pending"), ("Degraded=False", "AsAsked")),
            (
                Facts { flavour_problems: &labels, ..facts(Some(&good), &fine) },
                ("Ready=True", "Scheduled"),
                ("Degraded=True", "InvalidFlavours"),
            ),
        ];
        for (facts, ready, degraded) in cases {
            let status = facts.status();
            let expected = [ready, degraded].map(|(one, other)| (one.to_owned(), other.to_owned()));
            assert_eq!(found(&status), expected);
            assert!(!status.active_policy.is_empty() && status.valid_until.ends_with('Z'));
        }
    }

    #[test]
    fn a_condition_keeps_the_time_since_when_it_holds() {
        let (view, outcome) = (view(&json!({})), Outcome::default());
        let mut first = facts(Some(&view), &outcome).status();
        first.conditions[0].last_transition_time = "2020-01-01T00:00:00Z".into();
        first.conditions[1].status = "False".into();
        let later = Facts { before: &first.conditions, ..facts(Some(&view), &outcome) }.status();
        assert_eq!(later.conditions[0].last_transition_time, "2020-01-01T00:00:00Z");
        assert_eq!(later.conditions[1].last_transition_time, "2027-01-15T08:00:01Z");
    }

    #[test]
    fn numbers_are_decimals_without_an_exponent() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (0.05, "0.05"),
            (100.0, "100"),
            (1e-7, "0.0000001"),
            (1e21, "1000000000000000000000"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
