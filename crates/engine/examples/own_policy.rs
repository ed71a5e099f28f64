//! A policy of one's own: with a memory, registered by name, tried by the kit, and a day in its life.
//!
//! `cargo run -p engine --example own_policy`; `cargo test -p engine --example own_policy` tries it.

use std::error::Error;
use std::f64::consts::TAU;
use std::io::Write as _;
use std::sync::Arc;

use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Forecast, Overrides, ScheduleId, Slot, Timestamp};
use policies::{Decision, Policy, Reason, Registry, Situation};
use serde_json::json;

/// Spends the allowed error while the grid is cleaner than it used to be of late, and saves it otherwise.
#[derive(Debug, Default)]
struct BelowUsual {
    /// The carbon intensity of late, gCO2eq/kWh: what it has to remember.
    usual: Option<f64>,
}

/// How much one decision changes what is usual.
const PACE: f64 = 0.05;

impl Policy for BelowUsual {
    fn name(&self) -> &'static str {
        "below-usual"
    }

    // Words of its own, so that a restart with a state goes on as if there had been none.
    fn memory(&self) -> Vec<u64> {
        [self.usual.map_or(u64::MAX, f64::to_bits)].into()
    }

    // A state may come from anywhere: what cannot have been said leaves everything as it is.
    fn recall(&mut self, memory: &[u64]) {
        match *memory {
            [u64::MAX] => self.usual = None,
            [word] if f64::from_bits(word).is_finite() => self.usual = Some(f64::from_bits(word)),
            _ => {}
        }
    }

    fn decide(&mut self, situation: &Situation<'_>, decision: &mut Decision) {
        decision.begin(situation.menu); // forgets the last one, of whichever schedule that was
        let hull = situation.menu.hull();
        let (best, target) = (situation.menu.baseline().error, situation.target_error);
        let (error, why) = match (situation.now, self.usual) {
            (None, _) => (target, "no forecast: the allowed error is spent as it comes"),
            (Some(now), Some(usual)) if now > usual => (best, "dirtier than usual: the best flavour"),
            // What was banked meanwhile is spent, too.
            _ => (target + situation.balance.max(0.0), "cleaner than usual: credit is spent"),
        };
        // The cheapest mix of flavours with that mean error, or as near as there is one.
        for (entry, share) in hull.mix(error).parts {
            decision.shares[entry] += share;
        }
        decision.finish(situation.menu); // shares that sum to 1, and their mean precision
        if let Some(now) = situation.now {
            let usual = self.usual.unwrap_or(now);
            self.usual = Some(usual + PACE * (now - usual));
            decision.note("usual_intensity", usual);
        }
        decision.reason = Reason::Other(why.into());
    }
}

fn registry() -> Result<Registry, Box<dyn Error>> {
    let mut registry = Registry::builtin();
    // A seed per schedule is handed in, for policies that draw.
    registry.register("below-usual", |_seed| Box::new(BelowUsual::default()))?;
    Ok(registry)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut engine = Engine::new(EngineOptions::default(), registry()?);
    let start: Timestamp = "2026-11-23T00:00:00Z".parse()?;
    let mut now = start;
    let id = ScheduleId::new("shop", "search")?;
    let body = json!({
        "policy": "below-usual", "targetError": 0.05,
        "flavours": [{"name": "large", "precision": 1.0, "energyWh": 2.9},
                     {"name": "small", "precision": 0.8, "energyWh": 0.7}],
    });
    let wanted = Overrides::from_json(body.as_object().ok_or("not an object")?)?;
    engine.configure(&id, wanted.overrides, now)?;

    // A day whose noon is dirty, told at once.
    let slots = (0..48).map(|slot| {
        let from = start + SignedDuration::from_mins(30) * slot;
        let grams = 200.0 - 120.0 * (TAU * f64::from(slot) / 48.0).cos();
        Ok(Slot::new(from, from + SignedDuration::from_mins(30), CarbonIntensity::new(grams)?))
    });
    let slots = slots.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let forecast = Arc::new(Forecast::new("a day", None, now, slots)?);
    engine.observe_forecast(&CarbonTarget::from("national"), forecast, now)?;

    let mut out = std::io::stdout().lock();
    let mut said = String::new();
    while let Some(due) = engine.next_due().filter(|due| *due < start + SignedDuration::from_hours(24)) {
        now = due;
        engine.tick(now);
        let published = engine.published(&id).ok_or("it was configured above")?;
        let schedule = &published.schedule;
        if schedule.reason != said {
            let weights: Vec<_> = schedule.flavours.iter().map(|share| share.weight).collect();
            writeln!(out, "{now:.0} {weights:?} {}", schedule.reason)?;
            said.clone_from(&schedule.reason);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_every_policy_keeps() {
        engine::testing::policy(|_seed| Box::new(BelowUsual::default())).unwrap();
    }

    #[test]
    fn it_runs() {
        main().unwrap();
    }
}
