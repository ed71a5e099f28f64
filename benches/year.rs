//! What does a year cost, evaluated once a half-hour, and a fortnight of it minute by minute?

#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::sync::Arc;

use benches::{Question, forecast, overrides, start};
use engine::{Engine, EngineOptions, Spread};
use jiff::SignedDuration;
use models::{CarbonIntensity, CarbonTarget, Feedback, ScheduleId, Slot};
use policies::Registry;

const HALF_HOURS: u32 = 17_520;
const FORTNIGHT: u32 = 14 * 48;

fn main() {
    let question =
        Question::ask("What does a simulated year cost: 17 520 half-hours, each evaluated and fed back?");
    for name in Registry::builtin().names() {
        question.measure(&format!("a year of {name}"), || simulate(name, HALF_HOURS, 1));
    }
    let question = Question::ask("And a fortnight, evaluated and fed back each minute?");
    let minutes =
        question.measure("a fortnight of receding-horizon", || simulate("receding-horizon", FORTNIGHT, 30));
    benches::print(&format!("  -> a year of minutes takes {:.1} s\n", minutes * 365.0 / 14.0 / 1e9));
}

/// Half-hours in turns of equal length: a new two-day forecast twice a day, what each slot really was once it
/// is over, and requests that come by day and hardly by night.
fn simulate(policy: &str, half_hours: u32, turns: u32) {
    let id = ScheduleId::new("bench", "year").unwrap();
    let target = CarbonTarget::from("national");
    let half_hour = SignedDuration::from_mins(30);
    let turn = half_hour / i32::try_from(turns).unwrap();
    let options = EngineOptions {
        spread: Spread::None,
        slot_lead: SignedDuration::ZERO,
        max_planned_interval: turn,
        // As the simulator has it; the bench `evaluation` has them.
        documents: false,
        ..EngineOptions::default()
    };
    let mut engine = Engine::new(options, Registry::builtin());
    let mut now = start();
    engine.configure(&id, overrides(policy, 3, turn.as_secs_f64() / 0.8), now).unwrap();
    for index in 0..half_hours {
        if index % 24 == 0 {
            engine.observe_forecast(&target, Arc::new(forecast(now, 96)), now).unwrap();
        }
        // Numbers that go up and down with the hour and never the same way twice.
        let hour = f64::from(index % 48) / 2.0;
        let noise = f64::from(index.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
        let busy = 1.0 + (1.0 - hour / 12.0).abs() * 4.0 + noise;
        for _ in 0..turns {
            engine.tick(now);
            now += turn;
            let published = engine.published(&id).unwrap();
            let shares = published.schedule.flavours.iter();
            let requests = |weight: u8| (f64::from(weight) * busy * 10.0 / f64::from(turns)).round();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
            let counts =
                shares.map(|share| (share.name.to_string(), requests(share.weight) as u64)).collect();
            let feedback = Feedback {
                window_seconds: turn.as_secs_f64(),
                window_end: Some(now),
                counts,
                ..Feedback::default()
            };
            engine.feedback(&id, &feedback, now).unwrap();
        }
        let actual = CarbonIntensity::new(120.0 + 10.0 * hour + 60.0 * noise).unwrap();
        engine.observe_actual(&target, &Slot::new(now - half_hour, now, actual));
    }
}
