//! A base: all that an engine is at one moment, handed out part by part while the engine goes on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use models::{CarbonTarget, ScheduleId, Timestamp};
use policies::Registry;

use crate::engine::{Engine, requeue};
use crate::error::ConfigureError;
use crate::forecasts::Known;
use crate::options::TargetCheck;
use crate::session::Session;
use crate::stored::{BadState, EngineState, Part, StoredOptions};

/// A base that is being handed out.
///
/// Parts that are small in number are copied at its beginning. Schedules are copied when their turn comes, or
/// just before something changes them.
#[derive(Debug, Default)]
pub(crate) struct Base {
    ready: VecDeque<Part>,
    /// Schedules up to this one had their turn.
    done: Option<ScheduleId>,
    /// Schedules further on that were copied early, or did not exist yet.
    early: BTreeSet<ScheduleId>,
}

impl Engine {
    /// Begins a base: what [`Engine::base_parts`] hands out is what this engine is now, whatever happens
    /// meanwhile. One that was not handed out to its end is given up.
    pub fn begin_base(&mut self) {
        let mut ready = VecDeque::from([Part::Engine(Box::new(EngineState {
            options: StoredOptions::from(&self.options),
            published: self.published,
            last_tick: self.last_tick,
        }))]);
        let targets = self.forecasts.iter();
        ready.extend(targets.map(|(target, known)| Part::Target(target.clone(), Box::new(known.save()))));
        self.base = Some(Base { ready, ..Base::default() });
    }

    /// The next parts of the base that was begun, about `most` of them; none where it is whole.
    pub fn base_parts(&mut self, most: usize) -> Vec<Part> {
        let Some(base) = &mut self.base else { return Vec::new() };
        let early = base.ready.len().min(most);
        let mut parts: Vec<Part> = base.ready.drain(..early).collect();
        let from = base.done.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut sessions = self.sessions.range::<ScheduleId, _>((from, Bound::Unbounded));
        let mut done = base.done.clone();
        while parts.len() < most
            && let Some((id, session)) = sessions.next()
        {
            if !base.early.remove(id) {
                parts.push(Part::Schedule(id.clone(), Box::new(session.save())));
            }
            done = Some(id.clone());
        }
        base.done = done;
        if parts.is_empty() {
            self.base = None;
        }
        parts
    }

    /// To be called before a schedule is changed, made or removed.
    pub(crate) fn touch(&mut self, id: &ScheduleId) {
        if let Some(base) = &mut self.base
            && base.done.as_ref().is_none_or(|done| id > done)
            && base.early.insert(id.clone())
            && let Some(session) = self.sessions.get(id)
        {
            base.ready.push_back(Part::Schedule(id.clone(), Box::new(session.save())));
        }
    }

    /// An engine of the options that were written down, without schedules yet.
    pub fn restore(state: &EngineState, registry: Registry, targets: Arc<dyn TargetCheck>) -> Self {
        let mut engine = Self::new(state.options.options(targets), registry);
        engine.published = state.published;
        engine.last_tick = state.last_tick;
        engine
    }

    /// Takes up a part of a base: what is known of a carbon target, or a schedule, which is published with its
    /// next evaluation.
    ///
    /// # Errors
    ///
    /// [`BadState`]: no engine can have had that part, or this one has it already.
    pub fn restore_part(&mut self, part: Part) -> Result<(), BadState> {
        match part {
            Part::Archive(_) => Ok(()),
            Part::Engine(_) => Err(BadState::new(&"the engine", "it stands twice")),
            Part::Target(target, state) => {
                let known = Known::restore(&target, *state)?;
                self.forecasts.restore(target, known);
                Ok(())
            }
            Part::Schedule(id, state) => {
                if self.sessions.contains_key(&id) {
                    return Err(BadState::new(&id, "it stands twice"));
                }
                let setup = self.setup(&id, state.layers(), |_| Ok(()));
                let setup = setup.map_err(|problems| BadState::new(&id, &problems))?;
                let session = Session::restore(&id, *state, setup)?;
                if let Some(due) = session.due {
                    self.due.insert((due, id.clone()));
                }
                self.sessions.insert(id.clone(), Box::new(session));
                self.follow(&id, None);
                Ok(())
            }
        }
    }

    /// A process begins: other options may be in force, and everything is to be evaluated again.
    pub(crate) fn start(
        &mut self,
        options: &StoredOptions,
        refused: &BTreeMap<CarbonTarget, String>,
        now: Timestamp,
    ) -> Vec<ConfigureError> {
        let same_options = StoredOptions::from(&self.options) == *options;
        self.options = options.options(Arc::clone(&self.options.targets));
        let ids: Vec<ScheduleId> = self.sessions.keys().cloned().collect();
        let mut problems = Vec::new();
        for id in &ids {
            self.touch(id);
            let Some(session) = self.sessions.get(id) else { continue };
            let asked = session.config.carbon_target();
            // Otherwise nothing that a configuration is made of has changed.
            if !same_options || *asked != session.target || refused.contains_key(asked) {
                let check = |target: &CarbonTarget| refused.get(target).cloned().map_or(Ok(()), Err);
                let mut layers = session.layers.clone();
                layers.refuse(&self.options.defaults, |target| refused.get(target).cloned());
                match self.setup(id, layers, check) {
                    Ok(setup) => {
                        let before = session.wanted();
                        let Some(session) = self.sessions.get_mut(id) else { continue };
                        session.restart(setup, now);
                        self.follow(id, Some(&before));
                    }
                    Err(wrong) => problems.push(wrong.into()),
                }
            }
            if let Some(session) = self.sessions.get_mut(id) {
                requeue(&mut self.due, id, session, now);
            }
        }
        problems
    }
}
