//! All sessions, what they wait for, and what goes in and out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use ledger::{Bounds, PPM};
use models::schedule::Document;
use models::{
    CarbonTarget, Config, Feedback, Forecast, Manual, Overrides, Problems, ScheduleId, Setting, Slot,
    Timestamp,
};
use policies::{Menu, Registry};
use serde_json::{Map, Value};

use crate::answers::{Accepted, FeedbackReport, Holdings, Polled, Tick, WantedForecast};
use crate::base::Base;
use crate::board::{Board, Published, Publisher, Totals, View};
use crate::cadence::Cadence;
use crate::error::{ConfigureError, MixedSignals, RequestError, UnknownSchedule};
use crate::evaluate::{Scratch, inactive, menu_warnings};
use crate::forecasts::Forecasts;
use crate::layers::{Layer, Layers};
use crate::options::{EngineOptions, Spread};
use crate::reports::Polling;
use crate::session::{Session, Setup};
use crate::time::{earlier, later, seconds};

/// Most evaluations of one [`Engine::tick`]: whoever shares the engine never waits for more.
pub const MAX_EVALUATIONS_PER_TICK: usize = 256;
/// Most carbon targets followed at once. Each costs a forecast, an own forecast where a policy plans, and
/// upstream calls; a schedule that asks for one more follows the default target, and says so.
pub const MAX_CARBON_TARGETS: usize = 2_048;
/// Most sentences of whoever polls.
pub const MAX_NOTES: usize = 8;
/// A clock that went back further than this makes every schedule due at once.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(1);

/// The decision engine: told the time, the forecasts and what was served, it answers with schedules.
///
/// It owns every session and is the only writer; readers on any thread look at its [`Board`]. The same
/// inputs in the same order give the same schedules, byte for byte.
pub struct Engine {
    pub(crate) options: EngineOptions,
    registry: Registry,
    /// Boxed: a map's nodes are not full, and what is large is not to be moved about in them.
    pub(crate) sessions: BTreeMap<ScheduleId, Box<Session>>,
    pub(crate) due: BTreeSet<(Timestamp, ScheduleId)>,
    by_target: BTreeMap<CarbonTarget, BTreeSet<ScheduleId>>,
    pub(crate) forecasts: Forecasts,
    wanted_revision: u64,
    board: Arc<Board>,
    publishers: Vec<Arc<dyn Publisher>>,
    pub(crate) published: u64,
    scratch: Scratch,
    pub(crate) last_tick: Timestamp,
    /// The base that is being handed out.
    pub(crate) base: Option<Base>,
    /// Whether decisions are neither written as documents nor published, though all else is as if they were.
    pub(crate) is_quiet: bool,
}

impl Engine {
    /// An engine without schedules.
    pub fn new(options: EngineOptions, registry: Registry) -> Self {
        Self {
            options,
            registry,
            sessions: BTreeMap::new(),
            due: BTreeSet::new(),
            by_target: BTreeMap::new(),
            forecasts: Forecasts::default(),
            wanted_revision: 0,
            board: Arc::default(),
            publishers: Vec::new(),
            published: 0,
            scratch: Scratch::default(),
            last_tick: Timestamp::MIN,
            base: None,
            is_quiet: false,
        }
    }

    /// The same engine, handing every view to `publisher` too, besides its own board.
    #[must_use]
    pub fn with_publisher(mut self, publisher: Arc<dyn Publisher>) -> Self {
        self.publishers.push(publisher);
        self
    }

    /// The same engine, published on that board; what its own had is not taken along.
    #[must_use]
    pub fn with_board(mut self, board: Arc<Board>) -> Self {
        self.board = board;
        self
    }

    /// Root of every random stream.
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// How many schedules there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Which carbon targets the schedules would ask for if these were the defaults.
    pub fn asked_targets(&self, defaults: &Overrides) -> BTreeSet<CarbonTarget> {
        self.sessions.values().flat_map(|session| session.layers.targets(defaults)).collect()
    }

    /// What readers look at.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// What it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The policies this engine knows.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether the defaults themselves can be put in force: what a process asks before it starts.
    ///
    /// # Errors
    ///
    /// [`Problems`], as a PUT would have them.
    pub fn check_defaults(&self) -> Result<Vec<String>, Problems> {
        let id = ScheduleId::new("check", "check")?;
        let target = Config::resolve(&self.options.defaults, &Overrides::default()).carbon_target().clone();
        self.options.targets.check(&target).map_err(|problem| Problems::one("/carbonTarget", problem))?;
        // As if a PUT had asked for them: what is inactive in them is worth a word, too.
        let put = Layer::new(self.options.defaults.clone(), None);
        let setup = self.setup(&id, Layers { put, cluster: None }, |_| Ok(()))?;
        Ok(setup.warnings.iter().chain(&setup.menu_warnings).map(ToString::to_string).collect())
    }

    /// Puts a configuration in force and evaluates at once.
    ///
    /// It is the whole desired configuration: what it leaves out falls back to the defaults, except the
    /// flavour list, which is kept. Ledger, demand and counts live on. One that is equal to what is in
    /// force changes nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigureError`]; nothing is changed then.
    pub fn configure(
        &mut self,
        id: &ScheduleId,
        overrides: Overrides,
        now: Timestamp,
    ) -> Result<Accepted, ConfigureError> {
        let refused = self.options.refused(&overrides);
        self.configure_checked(id, overrides, refused.as_deref(), now)
    }

    /// [`Engine::configure`] where it is known why no provider has the carbon target, if that is so.
    pub(crate) fn configure_checked(
        &mut self,
        id: &ScheduleId,
        mut overrides: Overrides,
        refused: Option<&str>,
        now: Timestamp,
    ) -> Result<Accepted, ConfigureError> {
        let mut layers = self.sessions.get(id).map(|session| session.layers.clone()).unwrap_or_default();
        overrides.keep_flavours_of(&layers.put.overrides);
        layers.put = Layer::new(overrides, refused);
        let overruled =
            layers.cluster.as_ref().map(|cluster| layers.put.overrides.overruled_by(&cluster.overrides));
        let mut accepted = self.put_in_force(id, layers, now)?;
        accepted.warnings.extend(
            overruled
                .into_iter()
                .flatten()
                .map(|key| format!("{key} is what the schedule's cluster says, which wins over this PUT")),
        );
        Ok(accepted)
    }

    /// A number in force for a schedule, in its unit.
    pub fn number(&self, id: &ScheduleId, setting: Setting) -> Option<f64> {
        self.sessions.get(id).map(|session| session.config.number(setting))
    }

    pub(crate) fn put_in_force(
        &mut self,
        id: &ScheduleId,
        layers: Layers,
        now: Timestamp,
    ) -> Result<Accepted, ConfigureError> {
        if !self.sessions.contains_key(id) && self.sessions.len() >= self.options.max_schedules {
            return Err(ConfigureError::TooManySchedules { limit: self.options.max_schedules });
        }
        let checked = layers.check_target();
        let setup = self.setup(id, layers, |_| checked.clone())?;
        self.touch(id);
        let said = |session: &Session| session.said().map(ToString::to_string).collect();
        let Some(session) = self.sessions.get_mut(id) else {
            let session = Session::new(setup);
            let accepted =
                Accepted { changed: true, warnings: said(&session), generation: session.generation };
            self.sessions.insert(id.clone(), Box::new(session));
            self.follow(id, None);
            self.evaluate(id, now);
            return Ok(accepted);
        };
        if session.config.same_values(&setup.config) {
            // Only where a value came from can differ.
            session.layers = setup.layers;
            session.config = setup.config;
            session.warnings = setup.warnings;
            return Ok(Accepted { changed: false, warnings: said(session), generation: session.generation });
        }
        let before = session.wanted();
        let ended = session.reconfigure(setup, now);
        let mut warnings: Vec<String> = said(session);
        if ended {
            warnings.push("the manual override was ended: it names a flavour that is gone".into());
        }
        let accepted = Accepted { changed: true, warnings, generation: session.generation };
        self.follow(id, Some(&before));
        self.evaluate(id, now);
        Ok(accepted)
    }

    /// Frees a schedule.
    ///
    /// # Errors
    ///
    /// [`UnknownSchedule`], the only way to fail.
    pub fn remove(&mut self, id: &ScheduleId) -> Result<(), UnknownSchedule> {
        self.touch(id);
        let session = self.sessions.remove(id).ok_or_else(|| UnknownSchedule(id.clone()))?;
        if let Some(due) = session.due {
            self.due.remove(&(due, id.clone()));
        }
        self.unfollow(id, &session.target);
        self.board.withdraw(id);
        for publisher in &self.publishers {
            publisher.withdraw(id);
        }
        Ok(())
    }

    /// Puts a schedule back to the defaults, and to what its cluster asks for, with a fresh ledger.
    ///
    /// # Errors
    ///
    /// [`ConfigureError`], where the defaults themselves cannot be put in force.
    pub fn reset(&mut self, id: &ScheduleId, now: Timestamp) -> Result<(), ConfigureError> {
        // The default target is checked before an engine starts.
        let cluster = self.sessions.get(id).and_then(|session| session.layers.cluster.clone());
        let layers = Layers { put: Layer::default(), cluster };
        let checked = layers.check_target();
        let setup = self.setup(id, layers, |_| checked.clone())?;
        self.touch(id);
        if let Some(session) = self.sessions.get_mut(id) {
            let before = session.wanted();
            let generation = session.generation + 1;
            let due = session.due;
            **session = Session { generation, due, ..Session::new(setup) };
            self.follow(id, Some(&before));
            self.evaluate(id, now);
            return Ok(());
        }
        self.configure(id, Overrides::default(), now).map(|_| ())
    }

    /// Publishes an override's weights from now on, for one validity window or its own lifetime. Answers
    /// when it ends.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; nothing is changed then.
    pub fn set_manual(
        &mut self,
        id: &ScheduleId,
        manual: Manual,
        now: Timestamp,
    ) -> Result<Timestamp, RequestError> {
        let until = self.session(id)?.set_manual(manual, now)?;
        self.evaluate(id, now);
        Ok(until)
    }

    /// Ends an override early. Answers whether there was one.
    ///
    /// # Errors
    ///
    /// [`UnknownSchedule`], the only way to fail.
    pub fn clear_manual(&mut self, id: &ScheduleId, now: Timestamp) -> Result<bool, UnknownSchedule> {
        let cleared = self.session(id)?.manual.take().is_some();
        if cleared {
            self.evaluate(id, now);
        }
        Ok(cleared)
    }

    /// Counts what was served, once however often a numbered post comes.
    ///
    /// # Errors
    ///
    /// [`RequestError`]; nothing is counted then.
    pub fn feedback(
        &mut self,
        id: &ScheduleId,
        feedback: &Feedback,
        now: Timestamp,
    ) -> Result<FeedbackReport, RequestError> {
        let session = self.session(id)?;
        let (served, duplicate) = session.record(feedback, now)?;
        Ok(FeedbackReport {
            realized_precision: served.mean_error().map(|error| 1.0 - error),
            credit_balance: session.ledger.balance(),
            credit_velocity: session.ledger.velocity(now),
            total_requests: feedback.total(),
            duplicate,
        })
    }

    /// Whether a schedule may be polled at `now`, and what of the past nobody has told about.
    ///
    /// # Errors
    ///
    /// [`UnknownSchedule`], the only way to fail.
    pub fn polling(&self, id: &ScheduleId, now: Timestamp) -> Result<Polling, UnknownSchedule> {
        let session = self.sessions.get(id).ok_or_else(|| UnknownSchedule(id.clone()))?;
        Ok(session.reports.polling(now))
    }

    /// Counts what a poll of the routers' own counters found between two instants, as [`Engine::polling`]
    /// allows it: nothing of it is counted where a router has posted meanwhile, or where a part of the window
    /// was counted before. Flavours that are not the schedule's are answered, and never counted.
    ///
    /// # Errors
    ///
    /// [`UnknownSchedule`], the only way to fail.
    pub fn poll(
        &mut self,
        id: &ScheduleId,
        window: (Timestamp, Timestamp),
        counts: &[(String, u64)],
        now: Timestamp,
    ) -> Result<Polled, UnknownSchedule> {
        let unknown = self.session(id)?.record_poll(window, counts, now);
        Ok(unknown.map_or(Polled::Refused, |unknown| Polled::Counted { unknown }))
    }

    /// What whoever polls has to say: published among the warnings from the next evaluation on, until it says
    /// something else. At most [`MAX_NOTES`].
    ///
    /// # Errors
    ///
    /// [`UnknownSchedule`], the only way to fail.
    pub fn note(&mut self, id: &ScheduleId, mut notes: Vec<Arc<str>>) -> Result<(), UnknownSchedule> {
        notes.truncate(MAX_NOTES);
        self.session(id)?.notes = notes;
        Ok(())
    }

    /// Whether nobody has asked anything of a schedule: it is as the defaults have it.
    pub fn is_untouched(&self, id: &ScheduleId) -> bool {
        self.sessions.get(id).is_some_and(|session| session.layers == Layers::default())
    }

    /// Takes a forecast in. Where it says anything new, the schedules that follow it become due. One for a
    /// target that nobody follows is dropped.
    ///
    /// # Errors
    ///
    /// [`MixedSignals`], where it is of another signal than the forecasts of `target` before it: the newest
    /// of those stays, and nothing is learned from this one. A target that nobody follows any more is
    /// forgotten, its signal too.
    pub fn observe_forecast(
        &mut self,
        target: &CarbonTarget,
        forecast: Arc<Forecast>,
        now: Timestamp,
    ) -> Result<(), MixedSignals> {
        let Some(followers) = self.by_target.get(target).cloned() else {
            return Ok(());
        };
        if !self.forecasts.observe(target, forecast, now)? {
            return Ok(());
        }
        for id in &followers {
            self.touch(id);
            if let Some(session) = self.sessions.get_mut(id)
                && let Some(due) = session.due
            {
                let sooner = due.min(later(now, session.cadence.reaction()));
                requeue(&mut self.due, id, session, sooner);
            }
        }
        Ok(())
    }

    /// Takes in what the intensity of a slot really was, as soon as that is known: what own forecasts learn
    /// from; of the signal that the forecasts of `target` have. Without any, the provider's word for a slot that has passed stands for it.
    pub fn observe_actual(&mut self, target: &CarbonTarget, slot: &Slot) {
        if self.by_target.contains_key(target) {
            self.forecasts.observe_actual(target, slot);
        }
    }

    /// Evaluates what is due, at most [`MAX_EVALUATIONS_PER_TICK`] schedules.
    pub fn tick(&mut self, now: Timestamp) -> Tick {
        if now < earlier(self.last_tick, CLOCK_STEP) {
            // The clock was set back: what was due later by the old one is due now.
            let waiting: Vec<ScheduleId> = self.due.iter().map(|(_, id)| id.clone()).collect();
            for id in &waiting {
                self.touch(id);
                if let Some(session) = self.sessions.get_mut(id) {
                    requeue(&mut self.due, id, session, now);
                }
            }
        }
        self.last_tick = now;
        let mut evaluated = 0;
        while evaluated < MAX_EVALUATIONS_PER_TICK
            && let Some((due, id)) = self.due.first()
            && *due <= now
        {
            let id = id.clone();
            self.touch(&id);
            self.look_back(&id, now);
            self.evaluate(&id, now);
            evaluated += 1;
        }
        Tick { evaluated, next_due: self.next_due() }
    }

    /// How many evaluations are due at `now`, counted up to `most`.
    pub fn due(&self, now: Timestamp, most: usize) -> usize {
        self.due.iter().take(most).take_while(|(due, _)| *due <= now).count()
    }

    /// When the next evaluation is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The newest schedule.
    pub fn published(&self, id: &ScheduleId) -> Option<Arc<Published>> {
        self.board.view(id).and_then(|view| view.published().cloned())
    }

    /// Every effective value with where it came from, and the generation.
    pub fn config(&self, id: &ScheduleId) -> Option<(Map<String, Value>, u64)> {
        self.sessions.get(id).map(|session| (session.config.to_json(), session.generation))
    }

    /// Which carbon target's forecast a schedule follows: the one asked for, or the default's in its stead.
    pub fn target(&self, id: &ScheduleId) -> Option<&CarbonTarget> {
        self.sessions.get(id).map(|session| &session.target)
    }

    /// What of a schedule's error budget is held back for what was not reported yet, and what is left to spend.
    pub fn holdings(&self, id: &ScheduleId) -> Option<Holdings> {
        let budget = &self.sessions.get(id)?.budget;
        Some(Holdings { held: budget.held(), spendable: budget.spendable() })
    }

    /// What has been counted of a schedule so far, what is not published yet included.
    pub fn totals(&self, id: &ScheduleId) -> Option<&Totals> {
        self.sessions.get(id).map(|session| &session.totals)
    }

    /// What a schedule's error budget has above its floor, in ppm x requests.
    pub(crate) fn credit(&self, id: &ScheduleId) -> Option<i64> {
        // A quarter of all there is leaves room to add and to take.
        let (least, most) = (i64::MIN / 4, i64::MAX / 4);
        self.sessions.get(id).map(|session| session.budget.above_floor_ppm().clamp(least, most))
    }

    /// When a schedule is evaluated next.
    pub(crate) fn due_at(&self, id: &ScheduleId) -> Option<Timestamp> {
        self.sessions.get(id)?.due
    }

    /// What a request of a flavour takes of that, at most, ppm.
    pub(crate) fn cost(&self, id: &ScheduleId, flavour: &str) -> u32 {
        self.sessions.get(id).map_or(PPM, |session| session.cost(flavour))
    }

    /// Every schedule, in order of their names.
    pub fn schedules(&self) -> impl Iterator<Item = &ScheduleId> {
        self.sessions.keys()
    }

    /// Which forecasts are asked for, and how often. Looks at every schedule: ask when
    /// [`Engine::wanted_revision`] has changed.
    pub fn wanted(&self) -> BTreeMap<CarbonTarget, WantedForecast> {
        let mut wanted: BTreeMap<CarbonTarget, WantedForecast> = BTreeMap::new();
        for session in self.sessions.values() {
            let (target, own) = session.wanted();
            wanted
                .entry(target)
                .and_modify(|all| {
                    *all =
                        WantedForecast { ttl: all.ttl.min(own.ttl), timeout: all.timeout.max(own.timeout) };
                })
                .or_insert(own);
        }
        wanted
    }

    /// Changes whenever [`Engine::wanted`] may have.
    pub fn wanted_revision(&self) -> u64 {
        self.wanted_revision
    }

    fn session(&mut self, id: &ScheduleId) -> Result<&mut Session, UnknownSchedule> {
        self.touch(id);
        self.sessions.get_mut(id).map(Box::as_mut).ok_or_else(|| UnknownSchedule(id.clone()))
    }

    /// Checks a configuration and makes ready what it comes to.
    pub(crate) fn setup(
        &self,
        id: &ScheduleId,
        layers: Layers,
        check: impl Fn(&CarbonTarget) -> Result<(), String>,
    ) -> Result<Setup, Problems> {
        let defaults = &self.options.defaults;
        let config = layers.config(defaults);
        let created = self
            .registry
            .create(config.policy(), self.seed_of(id))
            .map_err(|unknown| Problems::one("/policy", unknown))?;
        let (min, max) = (config.number(Setting::CreditMin), config.number(Setting::CreditMax));
        let bounds = Bounds::new(min, max).map_err(|wrong| Problems::one("/creditMin", wrong))?;
        let asked = |setting: Setting| layers.put.overrides.number(setting).is_some();
        let mut warnings = if layers.cluster.is_none() { inactive(asked) } else { Vec::new() };
        warnings.extend(created.warning.map(Into::into));
        let menu = Menu::new(config.flavours());
        let menu_warnings = menu_warnings(menu.as_ref(), created.policy.looks_ahead());
        let mut target = config.carbon_target().clone();
        let room = self.by_target.len() < MAX_CARBON_TARGETS || self.by_target.contains_key(&target);
        let checked = check(&target).and_then(|()| {
            room.then_some(()).ok_or_else(|| {
                format!("carbonTarget `{target}` is one too many: {MAX_CARBON_TARGETS} are followed already")
            })
        });
        if let Err(problem) = checked {
            let default = Config::resolve(defaults, &Overrides::default()).carbon_target().clone();
            warnings.push(format!("{problem}; following `{default}` instead").into());
            target = default;
        }
        let cadence = Cadence {
            valid_for: seconds(config.number(Setting::ValidFor)),
            longest: created.policy.looks_ahead().then_some(self.options.max_planned_interval),
            slot_lead: self.options.slot_lead,
            spread: match self.options.spread {
                Spread::ByName => id.spread(),
                Spread::None => 0.0,
            },
        };
        let policy = created.policy;
        Ok(Setup { layers, config, menu, policy, bounds, target, cadence, warnings, menu_warnings })
    }

    /// A stream of its own for every schedule, the same on every run.
    fn seed_of(&self, id: &ScheduleId) -> u64 {
        self.options.seed ^ id.spread().to_bits()
    }

    /// Notes which forecast a schedule follows now, after what it wanted before.
    pub(crate) fn follow(&mut self, id: &ScheduleId, before: Option<&(CarbonTarget, WantedForecast)>) {
        let Some(wanted) = self.sessions.get(id).map(|session| session.wanted()) else {
            return;
        };
        if before == Some(&wanted) {
            return;
        }
        self.wanted_revision += 1;
        let (target, _) = wanted;
        if let Some((before, _)) = before.filter(|(before, _)| *before != target) {
            self.unfollow(id, before);
        }
        self.by_target.entry(target).or_default().insert(id.clone());
    }

    fn unfollow(&mut self, id: &ScheduleId, target: &CarbonTarget) {
        self.wanted_revision += 1;
        if let Some(followers) = self.by_target.get_mut(target) {
            followers.remove(id);
            if followers.is_empty() {
                self.by_target.remove(target);
                self.forecasts.forget(target);
            }
        }
    }

    /// Compares a schedule's last day with the optimum in hindsight, where it is time. Neither a PUT nor a
    /// post waits for that.
    fn look_back(&mut self, id: &ScheduleId, now: Timestamp) {
        if let Some(session) = self.sessions.get_mut(id).filter(|_| self.options.documents) {
            session.look_back(self.forecasts.known(&session.target).prices(now), now);
        }
    }

    /// One turn of the loop for one schedule: decide, publish, queue the next.
    fn evaluate(&mut self, id: &ScheduleId, now: Timestamp) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if let Some(due) = session.due.take() {
            self.due.remove(&(due, id.clone()));
        }
        let forecast = self.forecasts.latest(&session.target).cloned();
        let known = self.forecasts.known(&session.target);
        let view =
            match session.evaluate(now, forecast.as_ref(), known, self.options.ends_at, &mut self.scratch) {
                None => View::Pending(session.pending_reason()),
                Some(mut schedule) => {
                    let document = if self.options.documents {
                        schedule.savings = session.savings(known.prices(now), now);
                        if self.is_quiet {
                            Document::default()
                        } else {
                            schedule.document(self.forecasts.published_slots(&session.target, now))
                        }
                    } else {
                        Document::default()
                    };
                    self.published += 1;
                    View::Schedule(Arc::new(Published {
                        schedule,
                        document,
                        sequence: self.published,
                        forecast,
                        totals: session.totals.clone(),
                    }))
                }
            };
        if let Some(due) = session.due {
            self.due.insert((due, id.clone()));
        }
        if self.is_quiet {
            return;
        }
        self.board.publish(id, &view);
        for publisher in &self.publishers {
            publisher.publish(id, &view);
        }
    }
}

/// Moves a session's next evaluation.
pub(crate) fn requeue(
    queue: &mut BTreeSet<(Timestamp, ScheduleId)>,
    id: &ScheduleId,
    session: &mut Session,
    due: Timestamp,
) {
    if let Some(before) = session.due.replace(due) {
        queue.remove(&(before, id.clone()));
    }
    queue.insert((due, id.clone()));
}
