//! The per-schedule series: names and labels are the origin's, where it has them.

use std::fmt::Write as _;

use engine::Published;
use jiff::SignedDuration;
use models::ScheduleId;

/// One metric family: what it is called, and its samples for one schedule.
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) help: &'static str,
    pub(super) samples: fn(&mut Samples<'_>),
}

/// Where the samples of one schedule go.
pub(super) struct Samples<'a> {
    pub(super) name: &'static str,
    pub(super) id: &'a ScheduleId,
    pub(super) published: &'a Published,
    pub(super) text: &'a mut String,
}

/// Horizons beyond the next slot: a bounded set of labels.
const HORIZONS: [(&str, i64); 5] = [("1h", 1), ("6h", 6), ("12h", 12), ("24h", 24), ("48h", 48)];

pub(super) static FAMILIES: [Family; 18] = [
    Family {
        name: "schedule_flavour_weight",
        kind: "gauge",
        help: "Share of traffic of a flavour, in percent.",
        samples: |to| {
            for share in to.published.schedule.flavours.iter().filter(|share| share.enabled) {
                to.schedule(&[("flavour", &share.name)], f64::from(share.weight));
            }
        },
    },
    Family {
        name: "schedule_valid_until",
        kind: "gauge",
        help: "End of the schedule's validity, UNIX seconds.",
        samples: |to| to.schedule(&[], to.published.schedule.valid_until.as_second() as f64),
    },
    Family {
        name: "scheduler_credit_balance",
        kind: "gauge",
        help: "Balance of the credit ledger.",
        samples: |to| to.policy(&[], to.published.schedule.credits.balance),
    },
    Family {
        name: "scheduler_credit_velocity",
        kind: "gauge",
        help: "Mean change of the credit balance per evaluation over the credit window.",
        samples: |to| to.policy(&[], to.published.schedule.credits.velocity),
    },
    Family {
        name: "scheduler_avg_precision",
        kind: "gauge",
        help: "Mean precision of the published weights.",
        samples: |to| to.policy(&[], to.published.schedule.avg_precision),
    },
    Family {
        name: "scheduler_processing_throttle",
        kind: "gauge",
        help: "Processing throttle, 1 is unthrottled.",
        samples: |to| to.policy(&[], to.published.schedule.processing.throttle),
    },
    Family {
        name: "scheduler_effective_replica_ceiling",
        kind: "gauge",
        help: "Most replicas of a component, as throttled.",
        samples: |to| {
            for (component, ceiling) in &to.published.schedule.processing.ceilings {
                to.schedule(&[("component", component)], f64::from(*ceiling));
            }
        },
    },
    Family {
        name: "scheduler_policy_choice_total",
        kind: "counter",
        help: "Sum of the shares a policy gave to a flavour, one evaluation adding one in all.",
        samples: |to| {
            let shares = to.published.schedule.flavours.iter().zip(&to.published.totals.choices);
            for (share, total) in shares.filter(|(share, _)| share.enabled) {
                to.policy(&[("strategy", &share.name)], *total);
            }
        },
    },
    Family {
        name: "scheduler_forecast_intensity",
        kind: "gauge",
        help: "Forecast carbon intensity, gCO2eq/kWh.",
        samples: |to| {
            let schedule = &to.published.schedule;
            for (horizon, intensity) in [("now", schedule.forecast.now), ("next", schedule.forecast.next)] {
                if let Some(intensity) = intensity {
                    to.policy(&[("horizon", horizon)], intensity);
                }
            }
            let Some(forecast) = &to.published.forecast else { return };
            for (horizon, hours) in HORIZONS {
                let then = schedule.evaluated_at.checked_add(SignedDuration::from_hours(hours));
                if let Some(slot) = then.ok().and_then(|then| forecast.at(then)) {
                    to.policy(&[("horizon", horizon)], slot.forecast.get());
                }
            }
        },
    },
    Family {
        name: "schedule_evaluations_total",
        kind: "counter",
        help: "Evaluations of a schedule.",
        samples: |to| to.schedule(&[], to.published.totals.evaluations as f64),
    },
    Family {
        name: "schedule_manual_override",
        kind: "gauge",
        help: "1 while a manual override is in force.",
        samples: |to| to.schedule(&[], if to.published.schedule.manual.is_some() { 1.0 } else { 0.0 }),
    },
    Family {
        name: "schedule_requests_total",
        kind: "counter",
        help: "Requests that feedback reported.",
        samples: |to| to.schedule(&[], to.published.totals.requests as f64),
    },
    Family {
        name: "schedule_realised_error",
        kind: "gauge",
        help: "Mean error of the requests that feedback reported, over a window.",
        samples: |to| {
            // As long as nobody reports, what the budget knows is what was planned.
            let budget = to.published.schedule.budget;
            let Some(budget) = budget.filter(|budget| budget.accounting == "requests") else { return };
            let means = budget.mean_error;
            for (window, error) in [
                ("sinceStart", means.since_start),
                ("1h", means.hour),
                ("24h", means.day),
                ("7d", means.week),
            ] {
                if let Some(error) = error {
                    to.schedule(&[("window", window)], error);
                }
            }
        },
    },
    Family {
        name: "schedule_target_error",
        kind: "gauge",
        help: "Mean error that is allowed.",
        samples: |to| to.policy(&[], to.published.schedule.credits.target),
    },
    Family {
        name: "schedule_error_budget_balance",
        kind: "gauge",
        help: "Balance of the error budget, requests x error (seconds x error while nobody reports requests).",
        samples: |to| {
            if let Some(budget) = &to.published.schedule.budget {
                to.schedule(&[("accounting", budget.accounting)], budget.balance);
            }
        },
    },
    Family {
        name: "schedule_error_budget_capacity",
        kind: "gauge",
        help: "Most that the error budget banks, in the unit of its balance.",
        samples: |to| {
            if let Some(budget) = &to.published.schedule.budget {
                to.schedule(&[("accounting", budget.accounting)], budget.capacity);
            }
        },
    },
    Family {
        name: "schedule_shadow_price",
        kind: "gauge",
        help: "Grams (relative where energy is) that one more request x error of credit would save, by the plan.",
        samples: |to| {
            if let Some(price) = to.published.schedule.plan.and_then(|plan| plan.shadow_price) {
                to.schedule(&[], price);
            }
        },
    },
    Family {
        name: "schedule_demand_requests_per_second",
        kind: "gauge",
        help: "Demand, smoothed from feedback.",
        samples: |to| {
            if let Some(rate) = to.published.totals.demand {
                to.schedule(&[], rate);
            }
        },
    },
];

impl Samples<'_> {
    /// A sample labelled with the schedule and `more`.
    pub(super) fn schedule(&mut self, more: &[(&str, &str)], value: f64) {
        self.sample(None, more, value);
    }

    /// A sample labelled with the schedule, its policy and `more`.
    fn policy(&mut self, more: &[(&str, &str)], value: f64) {
        self.sample(Some(&self.published.schedule.policy), more, value);
    }

    fn sample(&mut self, policy: Option<&str>, more: &[(&str, &str)], value: f64) {
        // A scrape has a third of a million of these: no formatting where there is nothing to format. Namespace and
        // name are DNS names, nothing in them to escape.
        let text = &mut *self.text;
        for part in [self.name, "{namespace=\"", self.id.namespace(), "\",schedule=\"", self.id.name(), "\""]
        {
            text.push_str(part);
        }
        for (label, value) in policy.iter().map(|policy| ("policy", *policy)).chain(more.iter().copied()) {
            for part in [",", label, "=\""] {
                text.push_str(part);
            }
            escape(value, text);
            text.push('"');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "}} {value}");
    }
}

/// Escapes a label's value as the text format asks.
pub(super) fn escape(value: &str, text: &mut String) {
    if !value.contains(['\\', '"', '\n']) {
        text.push_str(value);
        return;
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}
