//! Lines of an export: read, restored and acted upon; whatever they say, the engine goes on.
#![no_main]

use std::sync::Arc;

use engine::journal::Line;
use engine::{AnyTarget, Engine, EngineOptions, Part};
use libfuzzer_sys::fuzz_target;
use policies::Registry;

/// Lines acted upon: a long file says no more than a short one.
const MOST: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut engine = Engine::new(EngineOptions::default(), Registry::builtin());
    let mut last = None;
    for line in text.lines().take(MOST) {
        match Line::from_text(line, 2) {
            Ok(Line::Part(_, part)) => match *part {
                Part::Engine(state) => {
                    engine = Engine::restore(&state, Registry::builtin(), Arc::new(AnyTarget));
                }
                part => drop(engine.restore_part(part)),
            },
            Ok(Line::Record(_, record)) => {
                engine.apply(&record);
                last = Some(record.at);
            }
            Ok(line) => drop(line.to_text()),
            Err(_) => continue,
        }
    }
    if let Some(at) = last.into_iter().chain(engine.next_due()).max() {
        engine.tick(at);
    }
});
