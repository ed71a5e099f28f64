//! How good the own forecasts are, on recorded grids and recorded demand.
//!
//! `TRACES_DIR=.. cargo run --release -p providers --example skill [carbon|vintages|biased|demand]`

use std::collections::BTreeMap;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use jiff::SignedDuration;
use models::{CarbonIntensity, Forecast, Slot, Timestamp};
use providers::own::{CarbonLearner, DemandLearner};
use providers::trace::{CarbonTrace, DemandTrace, Factors, Vintages};

/// Upper ends of the buckets of lead, in hours.
const BUCKETS: [f64; 6] = [1.0, 3.0, 6.0, 12.0, 24.0, 48.0];
const GRIDS: [&str; 10] = [
    "gb_electricitymaps_2021-2023_60min",
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
const REGIONS: [&str; 13] = [
    "aus_qld", "bpat", "ciso", "de", "erco", "es", "fpl", "isne", "nl", "nyiso", "pjm", "pl", "se",
];

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

/// Mean absolute errors in per cent of what was, by method and lead.
#[derive(Default)]
struct Table {
    sums: BTreeMap<&'static str, [(f64, f64); BUCKETS.len()]>,
}

impl Table {
    fn add(&mut self, method: &'static str, lead_hours: f64, forecast: f64, actual: f64) {
        let Some(bucket) = BUCKETS.iter().position(|end| lead_hours < *end) else { return };
        let (sum, count) = &mut self.sums.entry(method).or_default()[bucket];
        *sum += if std::env::args().nth(2).is_some() { (forecast - actual).abs() / 3.0 } else { 100.0 * (forecast - actual).abs() / actual.max(1.0) };
        *count += 1.0;
    }

    fn print(&self, name: &str, out: &mut impl Write) {
        for (method, buckets) in &self.sums {
            let _ = write!(out, "{name:<28} {method:<14}");
            for (sum, count) in buckets {
                let _ = write!(out, " {:>6.2}", sum / count);
            }
            let _ = writeln!(out);
        }
    }

    fn merge(&mut self, other: &Self) {
        for (method, buckets) in &other.sums {
            let mine = self.sums.entry(method).or_default();
            for (mine, (sum, count)) in mine.iter_mut().zip(buckets) {
                mine.0 += sum / count;
                mine.1 += 1.0;
            }
        }
    }
}

fn read(path: &Path) -> Vec<u8> {
    let mut gz = path.as_os_str().to_owned();
    gz.push(".gz");
    let mut bytes = Vec::new();
    match std::fs::read(path) {
        Ok(plain) => plain,
        Err(_) => {
            let packed = std::fs::read(&gz).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("gzip");
            bytes
        }
    }
}

fn carbon_trace(dir: &Path, name: &str) -> Vec<Slot> {
    let bytes = read(&dir.join("carbon").join(format!("{name}.csv")));
    let trace = CarbonTrace::read(name, &bytes, Factors::Lifecycle).expect("a trace");
    trace.slots().iter().map(|slot| Slot::new(slot.from, slot.to, slot.actual)).collect()
}

fn hours(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() / 3600.0
}

fn own_only(slots: &[Slot], since: Timestamp) -> Table {
    let mut table = Table::default();
    let truth: BTreeMap<Timestamp, f64> = slots.iter().map(|s| (s.from, s.forecast.get())).collect();
    let mut learner = CarbonLearner::default();
    let mut profile: BTreeMap<i64, f64> = BTreeMap::new();
    let mut out = Vec::new();
    let day = SignedDuration::from_hours(24);
    let mut previous = None;
    for slot in slots {
        learner.observe_actual(slot);
        let of_day = |at: Timestamp| at.as_second().rem_euclid(86_400);
        let mean = profile.entry(of_day(slot.from)).or_insert(slot.forecast.get());
        *mean += 0.1 * (slot.forecast.get() - *mean);
        let now = slot.to;
        if now < since || previous == Some(now) {
            continue;
        }
        previous = Some(now);
        learner.blend(None, now, SignedDuration::from_hours(48), &mut out);
        for estimate in &out {
            let Some(actual) = truth.get(&estimate.from) else { continue };
            let lead = hours(now, estimate.from);
            table.add("own", lead, estimate.intensity, *actual);
            let mut before = estimate.from - day;
            if before >= now {
                before -= day;
            }
            if let Some(yesterday) = truth.get(&before) {
                table.add("yesterday", lead, *yesterday, *actual);
            }
            table.add("profile", lead, profile.get(&of_day(estimate.from)).copied().unwrap_or(0.0), *actual);
        }
    }
    table
}

/// Runs vintages against actual values; `bias` multiplies what the provider says.
fn with_provider(slots: &[Slot], vintages: &Vintages, bias: f64, since: Timestamp) -> Table {
    let mut table = Table::default();
    let truth: BTreeMap<Timestamp, f64> = slots.iter().map(|s| (s.from, s.forecast.get())).collect();
    let issues: Vec<Arc<Forecast>> = vintages.issues().iter().map(|issue| Arc::new(biased(issue, bias))).collect();
    let (mut blended, mut alone) = (CarbonLearner::default(), CarbonLearner::default());
    let (mut out, mut own) = (Vec::new(), Vec::new());
    let mut next = 0;
    let mut current: Option<Arc<Forecast>> = None;
    for slot in slots {
        let now = slot.from;
        while next < issues.len() && issues[next].retrieved_at <= now {
            blended.observe_vintage(&issues[next], now);
            current = Some(Arc::clone(&issues[next]));
            next += 1;
        }
        blended.blend(current.as_deref(), now, SignedDuration::from_hours(48), &mut out);
        alone.blend(None, now, SignedDuration::from_hours(48), &mut own);
        if now >= since && let Some(current) = &current {
            for estimate in &out {
                let (Some(actual), Some(raw)) = (truth.get(&estimate.from), current.at(estimate.from)) else {
                    continue;
                };
                let lead = hours(now, estimate.from);
                table.add("provider", lead, raw.forecast.get(), *actual);
                table.add("blended", lead, estimate.intensity, *actual);
                if let Some(own) = own.iter().find(|own| own.from == estimate.from) {
                    table.add("own", lead, own.intensity, *actual);
                }
            }
        }
        blended.observe_actual(slot);
        alone.observe_actual(slot);
    }
    table
}

/// Tells a learner each slot when it is over; errors are relative to the mean of what is to come, for
/// single slots may be empty.
fn demand(trace: &DemandTrace) -> Table {
    let mut table = Table::default();
    let slots = trace.slots();
    let mean = trace.mean_rate() * trace.step().as_secs_f64();
    let truth: BTreeMap<Timestamp, f64> = slots.iter().map(|slot| (slot.from, slot.requests)).collect();
    let day = SignedDuration::from_hours(24);
    let mut learner = DemandLearner::default();
    let mut flat = slots[0].requests;
    let fade = trace.step().as_secs_f64() / day.as_secs_f64();
    for (index, slot) in slots.iter().enumerate() {
        let now = slot.to;
        learner.observe(now, slot.to.duration_since(slot.from).as_secs_f64(), slot.requests);
        flat += fade * (slot.requests - flat);
        if hours(slots[0].from, now) < 72.0 {
            continue;
        }
        let ahead = slots[index + 1..].iter().take_while(|ahead| hours(now, ahead.from) < 48.0);
        for ahead in ahead {
            let lead = hours(now, ahead.from);
            let scale = |forecast: f64| mean + forecast - ahead.requests;
            table.add("own", lead, scale(learner.expect(ahead.from, ahead.to, now)), mean);
            table.add("flat", lead, scale(flat), mean);
            table.add("last", lead, scale(slot.requests), mean);
            for (method, period) in [("yesterday", day), ("last week", day * 7)] {
                let mut before = ahead.from - period;
                if before >= now {
                    before -= period;
                }
                if let Some(before) = truth.get(&before) {
                    table.add(method, lead, scale(*before), mean);
                }
            }
        }
    }
    table
}

fn biased(forecast: &Forecast, bias: f64) -> Forecast {
    let slots = forecast.slots().iter().map(|slot| {
        let grams = CarbonIntensity::new(slot.forecast.get() * bias).expect("in range");
        Slot::new(slot.from, slot.to, grams)
    });
    Forecast::new(forecast.source.clone(), forecast.issued_at, forecast.retrieved_at, slots.collect())
        .expect("as many slots as before")
}

fn main() {
    #[expect(clippy::disallowed_methods, reason = "an example is a world of its own")]
    let dir = PathBuf::from(std::env::var_os("TRACES_DIR").expect("TRACES_DIR: the folder of traces"));
    let wanted = std::env::args().nth(1).unwrap_or_else(|| "all".into());
    let wants = |what: &str| wanted == what || wanted == "all";
    let mut out = std::io::stdout().lock();
    let at = |text: &str| -> Timestamp { text.parse().expect("an instant") };
    let _ = writeln!(out, "{:<43} {}", "MAPE in % by lead", "  0-1h   1-3h   3-6h  6-12h 12-24h 24-48h");
    if wants("carbon") {
        let mut all = Table::default();
        for name in GRIDS {
            let slots = carbon_trace(&dir, name);
            let table = own_only(&slots, at("2023-02-01T00:00:00Z"));
            table.print(name.split('_').next().unwrap_or(name), &mut out);
            all.merge(&table);
        }
        all.print("MEAN", &mut out);
    }
    if wants("carbon30") {
        let slots = carbon_trace(&dir, "gb_neso_api_2023_30min");
        own_only(&slots, at("2023-02-01T00:00:00Z")).print("gb 30min", &mut out);
    }
    for (kind, bias) in [("vintages", 1.0), ("biased", 1.2)] {
        if !wants(kind) {
            continue;
        }
        let mut all = Table::default();
        for region in REGIONS {
            let slots = carbon_trace(&dir, &format!("{region}_carboncast_2021H2_60min"));
            let name = format!("{region}_carboncast_96h_2021H2");
            let bytes = read(&dir.join("forecasts").join(format!("{name}.csv")));
            let vintages = Vintages::read(&name, &bytes).expect("vintages");
            let table = with_provider(&slots, &vintages, bias, at("2021-07-08T00:00:00Z"));
            table.print(&format!("{region} x{bias}"), &mut out);
            all.merge(&table);
        }
        all.print("MEAN", &mut out);
    }
    if wants("demand") {
        let mut all = Table::default();
        for name in DEMANDS {
            let bytes = read(&dir.join("demand").join(format!("{name}.csv")));
            let table = demand(&DemandTrace::read(name, &bytes).expect("a trace"));
            table.print(name, &mut out);
            all.merge(&table);
        }
        all.print("MEAN", &mut out);
    }
}
