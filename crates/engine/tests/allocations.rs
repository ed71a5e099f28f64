//! A request allocates nothing: counted, not reckoned.

use std::time::Duration;

use engine::routing::{Driver, Key};
use engine::{Engine, EngineOptions};
use models::{Precision, ScheduleId, Timestamp};
use policies::Registry;
use serde_json::json;

#[test]
fn picking_and_recording_allocate_nothing_whatever_changes() {
    let mut now: Timestamp = "2026-11-23T15:00:00Z".parse().unwrap();
    let id = ScheduleId::new("shop", "search").unwrap();
    let mut driver =
        Driver::new(Engine::new(EngineOptions::default(), Registry::builtin())).checking_credit();
    let handle = driver.handle(&id, now);
    // Few flavours, then more than a lane has room for in place.
    for count in [3, 20, 64] {
        let flavours: Vec<_> = (0..count)
            .map(|index| json!({"name": format!("f{index}"), "precision": 1.0 - 0.01 * f64::from(index)}))
            .collect();
        let body = json!({"policy": "round-robin", "targetError": 0.3, "flavours": flavours});
        let wanted = models::Overrides::from_json(body.as_object().unwrap()).unwrap().overrides;
        driver.update(now, |engine, now| engine.configure(&id, wanted, now)).unwrap();
        handle.record("f0", 1_000, None).unwrap();
        now += Duration::from_mins(1);
        driver.tick(now);
        let counted = allocation_counter::measure(|| {
            for request in 0..1_000_u64 {
                handle.pick().unwrap().record();
                handle
                    .pick_random(request.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                    .unwrap()
                    .record_precision(Precision::BEST);
                handle.pick_for(Key::new(request.to_le_bytes())).unwrap().record();
                drop(handle.pick());
            }
        });
        assert_eq!((counted.count_total, counted.bytes_total), (0, 0), "{count} flavours");
    }
}
