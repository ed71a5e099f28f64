//! One simulation: the engine under virtual time, served and told about it as by a router.

use std::sync::Arc;

use anyhow::Context;
use engine::{Engine, EngineOptions, Published, Spread};
use jiff::SignedDuration;
use models::schedule::FlavourShare;
use models::{CarbonIntensity, CarbonTarget, Forecast, ScheduleId, Setting, Slot, Timestamp};
use policies::Registry;

use crate::account::{Account, Interval, Totals};
use crate::args::Reports;
use crate::feedback::Reporter;
use crate::guarantee::{Allowed, Guarantee, Verdict};
use crate::plan::{Plan, TARGET};
use crate::progress::Progress;
use crate::recording::{Recorder, Recording, Served};
use crate::serve::{Arrivals, Split};
use crate::world::{CarbonSlot, World};

/// The policy whose exact shares are served: it stands for what any mix could do.
const SERVED_EXACTLY: &str = "constant-mix";

/// What came of one policy.
pub(crate) struct Outcome {
    pub(crate) policy: String,
    pub(crate) totals: Totals,
    /// What the engine had to say about the configuration.
    pub(crate) warnings: Vec<String>,
    /// Every interval, where they are kept.
    pub(crate) intervals: Vec<Row>,
    /// Every slot, where they are kept.
    pub(crate) recording: Option<Recording>,
    /// Whether a promised budget was kept.
    pub(crate) verdict: Verdict,
}

impl Outcome {
    /// What no engine ran for: a baseline or an optimum.
    pub(crate) fn reference(name: &str, totals: Totals, recording: Option<Recording>) -> Self {
        Self {
            policy: name.to_owned(),
            totals,
            warnings: Vec::new(),
            intervals: Vec::new(),
            recording,
            verdict: Verdict::NotPromised,
        }
    }
}

/// One interval for the time series.
pub(crate) struct Row {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    pub(crate) intensity: f64,
    /// What the engine was told of this slot and of the next one.
    pub(crate) forecast: [Option<f64>; 2],
    pub(crate) shares: Vec<f64>,
    pub(crate) counts: Vec<u64>,
    pub(crate) emissions: f64,
    pub(crate) mean_error: f64,
    pub(crate) credit_balance: f64,
    pub(crate) throttle: f64,
}

/// Runs one policy over the world.
///
/// # Errors
///
/// The engine refuses the configuration or what was served.
pub(crate) fn simulate(
    world: &World,
    plan: &Plan,
    policy: &str,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let mut simulation = Simulation::new(world, plan, policy)?;
    for (slot, requests) in world.slots.iter().zip(&world.demand.requests) {
        let length = slot.seconds();
        simulation.slot(slot);
        for (start, end) in plan.intervals(slot) {
            let at = |offset| slot.from.checked_add(offset).unwrap_or(Timestamp::MAX);
            let part = end.saturating_sub(start).as_secs_f64() / length;
            simulation.interval(at(start), at(end), slot.intensity, requests * part)?;
            progress.step();
        }
    }
    simulation.end_unreported(world.span().1);
    let errors = simulation.account.errors();
    Ok(Outcome {
        policy: policy.to_owned(),
        recording: simulation.recorder.map(|recorder| recorder.finish(&errors)),
        verdict: simulation.guarantee.verdict(),
        totals: simulation.account.totals(),
        warnings: simulation.warnings,
        intervals: simulation.rows,
    })
}

/// A published error that nobody reports about.
struct Unreported {
    from: Timestamp,
    error: f64,
    allowed: Option<Allowed>,
}

struct Simulation<'a> {
    world: &'a World,
    plan: &'a Plan,
    engine: Engine,
    id: ScheduleId,
    target: CarbonTarget,
    told: Option<Arc<Forecast>>,
    /// The newest slot: next to be finished.
    finished: Option<CarbonSlot>,
    exact: bool,
    begun: bool,
    shares: Vec<f64>,
    counts: Vec<u64>,
    arrivals: Arrivals,
    split: Split,
    reporter: Reporter,
    account: Account,
    guarantee: Guarantee,
    /// What is published and never reported: in force until the next evaluation, also through a hole of the
    /// trace.
    unreported: Option<Unreported>,
    recorder: Option<Recorder>,
    errors: Vec<f64>,
    warnings: Vec<String>,
    rows: Vec<Row>,
}

impl<'a> Simulation<'a> {
    fn new(world: &'a World, plan: &'a Plan, policy: &str) -> anyhow::Result<Self> {
        let options = EngineOptions {
            seed: plan.seed,
            spread: Spread::None,
            // Virtual time is never late: a slot is decided for when it begins.
            slot_lead: SignedDuration::ZERO,
            max_planned_interval: plan.every,
            ends_at: plan.ends_at,
            // Shares are taken from the schedule itself.
            documents: false,
            ..EngineOptions::default()
        };
        let mut engine = Engine::new(options, Registry::builtin());
        let id = ScheduleId::new("simulation", "simulation").context("the name of the simulated schedule")?;
        let accepted = engine
            .configure(&id, plan.configuration(policy), world.span().0)
            .with_context(|| format!("policy {policy}"))?;
        let flavours = &world.flavours.set;
        let account = Account::new(&world.flavours.menu, flavours.len(), plan.budget(world));
        Ok(Self {
            world,
            plan,
            engine,
            id,
            target: CarbonTarget::from(TARGET),
            told: None,
            finished: None,
            exact: policy == SERVED_EXACTLY,
            begun: false,
            shares: Vec::new(),
            counts: Vec::new(),
            arrivals: Arrivals::default(),
            split: Split::default(),
            reporter: Reporter::new(plan.reports, flavours, plan.seed),
            guarantee: Guarantee::new(
                plan.number(Setting::TargetError),
                world.flavours.menu.baseline().error,
                plan.reports,
            ),
            unreported: None,
            recorder: plan.keep.recording.then(|| Recorder::new(policy, flavours)),
            errors: account.errors(),
            account,
            warnings: accepted.warnings,
            rows: Vec::new(),
        })
    }

    /// A slot begins: what the one before it came to is known now.
    fn slot(&mut self, slot: &CarbonSlot) {
        let finished = self.finished.replace(*slot).filter(|_| self.world.feed.tells_actuals());
        if let Some(finished) = finished
            && let Ok(actual) = CarbonIntensity::new(finished.intensity)
        {
            self.engine.observe_actual(&self.target, &Slot::new(finished.from, finished.to, actual));
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.slot(slot.from, slot.intensity);
        }
    }

    /// From one evaluation to the next: tell, decide, serve, report.
    fn interval(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        intensity: f64,
        expected: f64,
    ) -> anyhow::Result<()> {
        self.tell(from)?;
        let evaluated = self.engine.tick(from).evaluated > 0;
        let published = self.engine.published(&self.id).context("the engine published nothing")?;
        self.take(&published);
        // To be configured is to be evaluated: the first interval may begin with that alone.
        if evaluated || !self.begun {
            self.account.published(&self.shares);
            self.begun = true;
        }
        let requests = self.arrivals.take(expected);
        self.split.divide(requests, &self.shares, &mut self.counts);
        let interval = Interval { from, to, intensity, counts: &self.counts };
        let (emissions, error) = self.account.served(&interval);
        let schedule = &published.schedule;
        if let Some(recorder) = &mut self.recorder {
            recorder.served(&Served {
                seconds: to.duration_since(from).as_secs_f64(),
                shares: &self.shares,
                requests: requests as f64,
                error,
                emissions,
                credit: schedule.credits.balance,
                // As the engine keeps it, by the demand it has seen; until it counts requests, as it was.
                budget: schedule
                    .budget
                    .as_ref()
                    .filter(|budget| budget.accounting == "requests")
                    .map_or_else(|| self.account.budget().standing(), |kept| (kept.balance, kept.capacity)),
            });
        }
        if self.plan.keep.intervals {
            self.rows.push(Row {
                from,
                to,
                intensity,
                forecast: [schedule.forecast.now, schedule.forecast.next],
                shares: self.shares.clone(),
                counts: self.counts.clone(),
                emissions,
                mean_error: if requests > 0 { error / requests as f64 } else { 0.0 },
                credit_balance: schedule.credits.balance,
                throttle: schedule.processing.throttle,
            });
        }
        let reported = self.report(from, to)?;
        self.watch(&published, reported, from, (requests, error));
        Ok(())
    }

    /// Judges whether the policy keeps what it promises; what was served is requests and sum of errors.
    fn watch(&mut self, published: &Published, reported: bool, from: Timestamp, served: (u64, f64)) {
        let number = |setting| self.plan.number(setting);
        let allowed = Allowed::of(
            published,
            number(Setting::TargetError),
            number(Setting::BudgetOverdraft),
            self.plan.reports,
        );
        let error = self.shares.iter().zip(&self.errors).map(|(share, error)| share * error).sum();
        match self.plan.reports {
            Reports::None => {
                self.end_unreported(from);
                self.unreported = Some(Unreported { from, error, allowed });
            }
            _ => {
                let reported = reported || !matches!(self.plan.reports, Reports::Lost(_));
                self.guarantee.served(allowed, error, (served.0 as f64, served.1), reported);
            }
        }
    }

    /// What is published and not reported ends at `to`: without reports the promise is about time.
    fn end_unreported(&mut self, to: Timestamp) {
        if let Some(ended) = self.unreported.take() {
            let seconds = to.duration_since(ended.from).as_secs_f64();
            self.guarantee.served(ended.allowed, ended.error, (seconds, seconds * ended.error), true);
        }
    }

    /// Hands the engine what has been issued since it was last told.
    fn tell(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let Some(newest) = self.world.feed.as_of(now) else {
            return Ok(());
        };
        if self.told.as_ref().is_none_or(|told| !Arc::ptr_eq(told, newest)) {
            self.engine.observe_forecast(&self.target, Arc::clone(newest), now)?;
            self.told = Some(Arc::clone(newest));
        }
        Ok(())
    }

    /// Takes up the published weights: whole percent, as routers do, or exact shares.
    fn take(&mut self, published: &Published) {
        let share = |flavour: &FlavourShare| {
            if self.exact { flavour.share } else { f64::from(flavour.weight) / 100.0 }
        };
        self.shares.clear();
        self.shares.extend(published.schedule.flavours.iter().map(share));
    }

    /// Posts what was served, as far as it gets through. Answers whether anything did.
    fn report(&mut self, from: Timestamp, to: Timestamp) -> anyhow::Result<bool> {
        let arriving = self.reporter.served(from, to, &self.counts);
        for post in arriving {
            self.engine.feedback(&self.id, post, to).context("the engine refused the feedback")?;
        }
        Ok(!arriving.is_empty())
    }
}
