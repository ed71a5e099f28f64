//! What do ten thousand schedules cost a minute, and how much memory?

#![expect(clippy::unwrap_used, reason = "constants in range; a bench may stop where one is not")]

use std::sync::Arc;

use benches::{Question, forecast, overrides, start};
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{CarbonTarget, ScheduleId};
use policies::Registry;

fn main() {
    let question = Question::ask("What do ten thousand schedules cost at validFor 60?");
    let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
    let mut now = start();
    let before = resident();
    for index in 0..10_000 {
        let id = ScheduleId::new("bench", &format!("schedule-{index}")).unwrap();
        engine.configure(&id, overrides("credit-greedy", 3, 60.0), now).unwrap();
    }
    engine.observe_forecast(&CarbonTarget::from("national"), Arc::new(forecast(now, 96)), now).unwrap();
    let end = start() + SignedDuration::from_hours(40);
    let minute = question.measure("one minute of evaluations, all schedules", || {
        let until = if now + SignedDuration::from_secs(60) < end {
            now + SignedDuration::from_secs(60)
        } else {
            start()
        };
        now = until.min(now.max(start()));
        while let Some(due) = engine.next_due().filter(|due| *due <= until) {
            now = now.max(due);
            engine.tick(now);
        }
        now = until;
    });
    benches::print(&format!("  -> {:.2} % of one core\n", minute / 60e9 * 100.0));
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = (after - before) / 10_000.0 * 1024.0;
        benches::print(&format!(
            "  -> {:.1} MB resident more than before, {each:.1} kB a schedule\n",
            after - before
        ));
    }
}

/// Resident memory in MB, where the system says.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0)
}
