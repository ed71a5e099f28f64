//! What is built in keeps what the kit for everybody asks of a policy, a store and a publisher; and the kit finds
//! what does not.

mod wrong_policies;
mod wrong_publishers;
mod wrong_stores;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use engine::journal::{Changes, Kept, Memory, Store, StoreError};
use engine::testing::{self, Invariant, Recorder};
use engine::{Board, Publisher, View};
use models::ScheduleId;
use policies::Registry;

use crate::world::{World, secs};
use serde_json::json;

#[test]
fn every_built_in_policy_keeps_what_every_policy_keeps() {
    for name in Registry::builtin().names() {
        let (registry, name) = (Registry::builtin(), name.to_owned());
        let asked = name.clone();
        let tried = testing::policy(move |seed| registry.create(&asked, seed).unwrap().policy);
        tried.unwrap_or_else(|violation| panic!("{name}: {violation}"));
    }
}

/// What lasts as long as somebody has it: opened anew, it is the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<Memory>>);

impl Store for Shared {
    fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.0.lock().unwrap().commit(changes)
    }

    fn heal(&mut self, from: u64) -> Result<(), StoreError> {
        self.0.lock().unwrap().heal(from)
    }

    fn load(&mut self, take: &mut dyn FnMut(Kept) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.0.lock().unwrap().load(take)
    }
}

#[test]
fn what_is_in_memory_keeps_what_every_store_keeps() {
    testing::store(|| Ok(Memory::default()), Ok).unwrap();
    testing::store(|| Ok(Shared::default()), |store| Ok(store.clone())).unwrap();
}

/// What a schedule's document is, or the reason why there is none.
fn shown(_: &ScheduleId, view: Option<&View>) -> Option<Vec<u8>> {
    view.map(|view| match view {
        View::Schedule(published) => published.document.to_bytes(),
        View::Pending(reason) => reason.as_bytes().to_vec(),
    })
}

#[test]
fn a_board_shows_the_newest_views() {
    let board = Arc::new(Board::default());
    let publisher = Arc::clone(&board) as Arc<dyn Publisher>;
    testing::publisher(&publisher, |id| shown(id, board.view(id).as_deref()), shown).unwrap();
}

#[test]
fn a_recorder_remembers_every_view_until_it_is_asked() {
    let recorder = Arc::new(Recorder::default());
    let mut world = World::new();
    world.engine = world.engine.with_publisher(Arc::clone(&recorder) as _);
    world.put(json!({"validFor": 60}));
    world.pass(secs(300));
    world.engine.remove(&world.id).unwrap();
    let seen = recorder.take();
    let sequence = |seen: &testing::Seen| Some(seen.view.as_ref()?.published().unwrap().sequence);
    let found: Vec<_> = seen.iter().map(sequence).collect();
    let views = found.len() as u64 - 1;
    assert!(views > 4, "{found:?}");
    assert_eq!(found, (1..=views).map(Some).chain([None]).collect::<Vec<_>>());
    assert!(recorder.take().is_empty());
}

#[test]
fn invariants_are_told_apart_and_in_the_guide() {
    let sentences: BTreeSet<_> = Invariant::ALL.iter().map(|invariant| invariant.as_str()).collect();
    assert_eq!(sentences.len(), Invariant::ALL.len());
    assert!(Invariant::ALL.is_sorted());
    let guide = include_str!("../../../../../docs/guides/ports.md");
    for invariant in Invariant::ALL {
        assert!(guide.contains(&format!("\n- {invariant}\n")), "docs/guides/ports.md tells of: {invariant}");
    }
}
