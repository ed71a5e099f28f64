//! Publishers that each do one thing wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use engine::testing::{self, Invariant};
use engine::{Publisher, View};
use models::ScheduleId;

/// Shows the evaluation that each schedule had last.
#[derive(Default)]
struct Latest {
    shown: Mutex<BTreeMap<ScheduleId, u64>>,
    keeps_the_first: bool,
    keeps_what_is_gone: bool,
    panics: bool,
}

fn sequence(_: &ScheduleId, view: Option<&View>) -> Option<u64> {
    Some(view?.published().map_or(0, |published| published.sequence))
}

impl Publisher for Latest {
    fn publish(&self, id: &ScheduleId, view: &View) {
        assert!(!self.panics || view.published().is_some(), "a schedule");
        let mut shown = self.shown.lock().unwrap();
        if !self.keeps_the_first || !shown.contains_key(id) {
            shown.insert(id.clone(), sequence(id, Some(view)).unwrap());
        }
    }

    fn withdraw(&self, id: &ScheduleId) {
        if !self.keeps_what_is_gone {
            self.shown.lock().unwrap().remove(id);
        }
    }
}

fn tried(latest: Latest) -> Result<(), testing::Violation> {
    let latest = Arc::new(latest);
    let publisher = Arc::clone(&latest) as Arc<dyn Publisher>;
    testing::publisher(&publisher, |id| latest.shown.lock().unwrap().get(id).copied(), sequence)
}

#[test]
fn what_a_publisher_does_wrong_is_found_and_named() {
    tried(Latest::default()).unwrap();
    let mut messages = String::new();
    for (what, latest) in [
        ("the first view for ever", Latest { keeps_the_first: true, ..Latest::default() }),
        ("schedules that are gone", Latest { keeps_what_is_gone: true, ..Latest::default() }),
        ("a schedule taken for granted", Latest { panics: true, ..Latest::default() }),
    ] {
        let violation = tried(latest).expect_err(what);
        assert_eq!(violation.invariant, Invariant::NewestViewIsShown, "{what}");
        writeln!(messages, "{what}\n  {violation}").unwrap();
    }
    insta::assert_snapshot!(messages);
}
