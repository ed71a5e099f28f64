//! How good the own forecasts are: replays recorded grids, forecast vintages and demand, and prints mean
//! absolute errors by lead.
//!
//! `TRACES_DIR=.. cargo run --release -p providers --example skill -- [WHAT [percent|relative]]`
//!
//! WHAT is `carbon` (own forecast alone, ten grids), `vintages` (13 regions with the vintages of their
//! forecast), `biased` (the same vintages 20 % too high), `dead` (the same, silent from October on),
//! `demand`, or `all`. Errors are in per cent of what was (`percent`) or of the trace's mean (`relative`).
//! Nothing is told to a learner before it was known.

#![expect(clippy::disallowed_methods, reason = "an example is a world of its own")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use jiff::SignedDuration;
use models::{CarbonIntensity, Forecast, Slot, Timestamp};
use providers::own::{CarbonLearner, DemandLearner};
use providers::trace::{CarbonTrace, DemandTrace, Factors, Vintages};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Upper ends of the buckets of lead, in hours.
const BUCKETS: [f64; 6] = [1.0, 3.0, 6.0, 12.0, 24.0, 48.0];
const HORIZON: SignedDuration = SignedDuration::from_hours(48);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Measured from here on: January, or where a trace begins earlier all of it, is there to learn from.
const SINCE: &str = "2023-02-01T00:00:00Z";
/// The same for the vintages, which begin with July.
const VINTAGES_SINCE: &str = "2021-07-08T00:00:00Z";
/// When a dead provider dies.
const DIES: &str = "2021-10-01T00:00:00Z";

const GRIDS: [&str; 11] = [
    "gb_electricitymaps_2021-2023_60min",
    "gb_neso_api_2023_30min",
    "de-lu_electricitymaps_2021-2023_60min",
    "us-cal-ciso_electricitymaps_2021-2023_60min",
    "fr_electricitymaps_2023_60min",
    "es_electricitymaps_2022-2023_60min",
    "us-tex-erco_electricitymaps_2022-2023_60min",
    "au-nsw_electricitymaps_2022-2023_60min",
    "ca-on_electricitymaps_2022-2023_60min",
    "us-ny-nyis_electricitymaps_2022-2023_60min",
    "us-mida-pjm_electricitymaps_2022-2023_60min",
];
const REGIONS: [&str; 13] =
    ["aus_qld", "bpat", "ciso", "de", "erco", "es", "fpl", "isne", "nl", "nyiso", "pjm", "pl", "se"];
const DEMANDS: [&str; 11] = [
    "nyc_taxi_2014_30min",
    "wikipedia_apac_2022_60min",
    "wikipedia_eu_central_2022_60min",
    "wikipedia_eu_west_2022_60min",
    "wikipedia_us_east_2022_60min",
    "wikipedia_us_west_2022_60min",
    "worldcup98_10min",
    "nasa_http_1995-07_5min",
    "aws_elb_2014_5min",
    "servegen_m-large_10min",
    "servegen_m-small_10min",
];

/// What an error is a share of.
#[derive(Clone, Copy)]
enum Measure {
    Percent,
    Relative,
}

/// Mean absolute errors by method and lead.
struct Table {
    measure: Measure,
    /// Mean of what was, for [`Measure::Relative`].
    mean: f64,
    cells: BTreeMap<&'static str, [(f64, f64); BUCKETS.len()]>,
}

impl Table {
    fn new(measure: Measure, mean: f64) -> Self {
        Self { measure, mean, cells: BTreeMap::new() }
    }

    fn add(&mut self, method: &'static str, lead_hours: f64, forecast: f64, actual: f64) {
        let Some(bucket) = BUCKETS.iter().position(|end| lead_hours < *end) else { return };
        let whole = match self.measure {
            Measure::Percent => actual.max(1.0),
            Measure::Relative => self.mean,
        };
        self.put(method, bucket, 100.0 * (forecast - actual).abs() / whole);
    }

    fn put(&mut self, method: &'static str, bucket: usize, error: f64) {
        let (sum, count) = &mut self.cells.entry(method).or_default()[bucket];
        *sum += error;
        *count += 1.0;
    }

    /// Adds the means of another table.
    fn merge(&mut self, other: &Self) {
        for (method, buckets) in &other.cells {
            for (bucket, (sum, count)) in buckets.iter().enumerate() {
                self.put(method, bucket, sum / count);
            }
        }
    }

    fn print(&self, name: &str, out: &mut impl Write) -> io::Result<()> {
        for (method, buckets) in &self.cells {
            write!(out, "{name:<44} {method:<9}")?;
            for (sum, count) in buckets {
                write!(out, " {:>6.2}", sum / count)?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn main() -> Fallible<()> {
    let dir = std::env::var_os("TRACES_DIR").ok_or("TRACES_DIR is not set: expected the folder of traces")?;
    let dir = PathBuf::from(dir);
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "all".into());
    let wants = |what: &str| wanted == what || wanted == "all";
    let measure = match std::env::args().nth(2).as_deref() {
        Some("relative") => Measure::Relative,
        _ => Measure::Percent,
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{:<54}   0-1h   1-3h   3-6h  6-12h 12-24h 24-48h", "mean absolute error in % by lead")?;
    if wants("carbon") {
        each(&GRIDS, &mut out, |name| own_only(&carbon(&dir, name)?, measure))?;
    }
    for (kind, bias, until) in [
        ("vintages", 1.0, Timestamp::MAX),
        ("biased", 1.2, Timestamp::MAX),
        ("dead", 1.0, DIES.parse::<Timestamp>()?),
    ] {
        if wants(kind) {
            each(&REGIONS, &mut out, |region| {
                let slots = carbon(&dir, &format!("{region}_carboncast_2021H2_60min"))?;
                let name = format!("{region}_carboncast_96h_2021H2");
                let vintages = Vintages::read(&name, &read(&dir.join("forecasts"), &name)?)?;
                let issues = vintages.issues().iter().filter(|issue| issue.retrieved_at < until);
                let issues = issues.map(|issue| scaled(issue, bias)).collect::<Fallible<Vec<_>>>()?;
                with_provider(&slots, &issues, until, measure)
            })?;
        }
    }
    if wants("demand") {
        each(&DEMANDS, &mut out, |name| {
            Ok(demand(&DemandTrace::read(name, &read(&dir.join("demand"), name)?)?))
        })?;
    }
    Ok(())
}

/// Prints a table for each name, and their mean.
fn each(names: &[&str], out: &mut impl Write, table: impl Fn(&str) -> Fallible<Table>) -> Fallible<()> {
    let mut all = Table::new(Measure::Percent, 1.0);
    for name in names {
        let table = table(name)?;
        table.print(name, out)?;
        all.merge(&table);
    }
    all.print("mean of all", out)?;
    Ok(())
}

fn read(dir: &Path, name: &str) -> Fallible<Vec<u8>> {
    let plain = dir.join(format!("{name}.csv"));
    if plain.exists() {
        return Ok(std::fs::read(plain)?);
    }
    let packed = dir.join(format!("{name}.csv.gz"));
    let file = std::fs::File::open(&packed).map_err(|error| format!("{}: {error}", packed.display()))?;
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn carbon(dir: &Path, name: &str) -> Fallible<Vec<Slot>> {
    let trace = CarbonTrace::read(name, &read(&dir.join("carbon"), name)?, Factors::Lifecycle)?;
    Ok(trace.slots().iter().map(|slot| Slot::new(slot.from, slot.to, slot.actual)).collect())
}

fn hours(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() / 3_600.0
}

fn truth(slots: &[Slot]) -> (BTreeMap<Timestamp, f64>, f64) {
    let truth: BTreeMap<Timestamp, f64> = slots.iter().map(|s| (s.from, s.forecast.get())).collect();
    let mean = truth.values().sum::<f64>() / truth.len() as f64;
    (truth, mean)
}

/// The value at the same time on the last day that is known at `now`.
fn day_before(truth: &BTreeMap<Timestamp, f64>, target: Timestamp, now: Timestamp) -> Option<f64> {
    let before = target - DAY;
    truth.get(&if before >= now { before - DAY } else { before }).copied()
}

/// Without a provider, against yesterday and against what is usual.
fn own_only(slots: &[Slot], measure: Measure) -> Fallible<Table> {
    let since: Timestamp = SINCE.parse()?;
    let (truth, mean) = truth(slots);
    let mut table = Table::new(measure, mean);
    let mut learner = CarbonLearner::default();
    let mut usual: BTreeMap<i64, f64> = BTreeMap::new();
    let mut ahead = Vec::new();
    let of_day = |at: Timestamp| at.as_second().rem_euclid(86_400);
    for slot in slots {
        learner.observe_actual(slot);
        let grams = slot.forecast.get();
        let mean = usual.entry(of_day(slot.from)).or_insert(grams);
        *mean += 0.1 * (grams - *mean);
        let now = slot.to;
        if now < since {
            continue;
        }
        learner.blend(None, now, HORIZON, &mut ahead);
        for estimate in &ahead {
            let Some(actual) = truth.get(&estimate.from) else { continue };
            let lead = hours(now, estimate.from);
            table.add("own", lead, estimate.intensity, *actual);
            if let Some(yesterday) = day_before(&truth, estimate.from, now) {
                table.add("yesterday", lead, yesterday, *actual);
            }
            if let Some(usual) = usual.get(&of_day(estimate.from)) {
                table.add("usual", lead, *usual, *actual);
            }
        }
    }
    Ok(table)
}

/// With a provider; where it dies, only what comes after is measured.
fn with_provider(
    slots: &[Slot],
    issues: &[Arc<Forecast>],
    dies: Timestamp,
    measure: Measure,
) -> Fallible<Table> {
    let mortal = dies < Timestamp::MAX;
    let since: Timestamp = if mortal { dies } else { VINTAGES_SINCE.parse()? };
    let (truth, mean) = truth(slots);
    let mut table = Table::new(measure, mean);
    let (mut blended, mut alone) = (CarbonLearner::default(), CarbonLearner::default());
    let (mut both, mut own) = (Vec::new(), Vec::new());
    let mut issues = issues.iter().peekable();
    let mut current: Option<&Arc<Forecast>> = None;
    for slot in slots {
        let now = slot.from;
        while let Some(issue) = issues.next_if(|issue| issue.retrieved_at <= now) {
            blended.observe_vintage(issue, now);
            current = Some(issue);
        }
        if now >= since {
            blended.blend(current.map(Arc::as_ref), now, HORIZON, &mut both);
            alone.blend(None, now, HORIZON, &mut own);
            for (estimate, own) in both.iter().zip(&own) {
                let said = current.and_then(|current| current.at(estimate.from));
                let Some(actual) = truth.get(&estimate.from) else { continue };
                let lead = hours(now, estimate.from);
                if mortal || said.is_some() {
                    table.add("blended", lead, estimate.intensity, *actual);
                    table.add("own", lead, own.intensity, *actual);
                }
                if let Some(said) = said {
                    table.add("provider", lead, said.forecast.get(), *actual);
                }
            }
        }
        blended.observe_actual(slot);
        alone.observe_actual(slot);
    }
    Ok(table)
}

fn scaled(forecast: &Forecast, factor: f64) -> Fallible<Arc<Forecast>> {
    let slots = forecast.slots().iter().map(|slot| {
        let grams = CarbonIntensity::new(slot.forecast.get() * factor)?;
        Ok(Slot::new(slot.from, slot.to, grams))
    });
    let slots = slots.collect::<Fallible<Vec<Slot>>>()?;
    Ok(Arc::new(Forecast::new(forecast.source.clone(), forecast.issued_at, forecast.retrieved_at, slots)?))
}

/// Tells a learner each slot when it is over. Errors are relative to the mean: single slots may be empty.
fn demand(trace: &DemandTrace) -> Table {
    let slots = trace.slots();
    let step = trace.step().as_secs_f64();
    let truth: BTreeMap<Timestamp, f64> = slots.iter().map(|slot| (slot.from, slot.requests)).collect();
    let mut table = Table::new(Measure::Relative, trace.mean_rate() * step);
    let mut learner = DemandLearner::default();
    let mut flat = None;
    for (index, slot) in slots.iter().enumerate() {
        let now = slot.to;
        learner.observe(now, hours(slot.from, slot.to) * 3_600.0, slot.requests);
        let mean = flat.get_or_insert(slot.requests);
        *mean += step / DAY.as_secs_f64() * (slot.requests - *mean);
        let mean = *mean;
        if hours(slots[0].from, now) < 72.0 {
            continue;
        }
        for ahead in slots[index + 1..].iter().take_while(|ahead| hours(now, ahead.from) < 48.0) {
            let lead = hours(now, ahead.from);
            table.add("own", lead, learner.expect(ahead.from, ahead.to, now), ahead.requests);
            table.add("flat", lead, mean, ahead.requests);
            table.add("last", lead, slot.requests, ahead.requests);
            if let Some(yesterday) = day_before(&truth, ahead.from, now) {
                table.add("yesterday", lead, yesterday, ahead.requests);
            }
            if let Some(last_week) = truth.get(&(ahead.from - DAY * 7)) {
                table.add("last week", lead, *last_week, ahead.requests);
            }
        }
    }
    table
}
