//! A disk that does not answer, under everything that is above it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::journal::{Answer, Input, Kept, Store as _};
use engine::{Engine, EngineOptions};
use jiff::SignedDuration;
use models::{Overrides, ScheduleId};
use policies::Registry;
use providers::archive::Bounds;
use serde_json::json;

use super::faulty::Medium;
use super::{Disk, Queue, Retention, StoreSettings, restore, start};
use crate::state::{State, now};
use crate::vintages::Vintages;

fn evaluations(state: &State, id: &ScheduleId) -> u64 {
    state.board.view(id).unwrap().published().unwrap().totals.evaluations
}

fn configure(state: &State, id: &ScheduleId, target_error: f64) -> Answer {
    let body = json!({"validFor": 1, "targetError": target_error});
    let overrides = Overrides::from_json(body.as_object().unwrap()).unwrap().overrides;
    state.act_and_wait(Input::Configure { id: id.clone(), overrides, refused: None }).unwrap()
}

#[test]
fn a_disk_that_hangs_stops_no_evaluation() {
    let (medium, id) = (Medium::default(), ScheduleId::new("shop", "search").unwrap());
    let retention = Retention { reach: SignedDuration::MAX, bytes: u64::MAX };
    let settings = StoreSettings { folder: "nowhere".into(), retention };
    let options = EngineOptions::default();
    let engine = Engine::new(options.clone(), Registry::builtin());
    let vintages = Vintages::new(Bounds::default());
    let state = Arc::new(State::new(engine, vintages, id.clone(), 0, true, Some(Queue::default())));
    let disk = Disk::open(medium.opener(), retention).unwrap();
    let (keeper, input) = restore(&state, disk, &settings).unwrap();
    start(&state, keeper).unwrap();
    state.act_and_wait(input).unwrap();
    configure(&state, &id, 0.1);

    let hung = medium.hang();
    let before = evaluations(&state, &id);
    let deadline = Instant::now() + Duration::from_secs(30);
    while evaluations(&state, &id) < before + 2 {
        // As the server's loop does it.
        state.tick(now());
        assert!(Instant::now() < deadline, "the disk holds up evaluations");
        std::thread::yield_now();
    }
    // Taken while it still hangs: the base that follows may be there before this thread goes on.
    let mended = now();
    drop(hung);

    assert!(matches!(configure(&state, &id, 0.2), Answer::Configured(Ok(accepted)) if accepted.changed));
    // What a replay can begin with comes after what was not written down.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(state.queue.as_ref().unwrap().stop());
    let mut disk = Disk::open(medium.opener(), retention).unwrap();
    assert!(disk.replay_from().unwrap() >= mended);
    let mut since = 0;
    disk.load(&mut |kept| {
        since += u64::from(matches!(kept, Kept::Record(..)));
        Ok(())
    })
    .unwrap();
    assert_eq!(since, 0, "a stop leaves a base with nothing after it");
}
