//! Records what a carbon provider forecasts and measures, in the form that is replayed.

mod folder;
mod ink;
mod summary;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use models::CarbonTarget;
use providers::http::Client;
use providers::settings::{self, FILE};
use providers::trace::{CarbonTrace, Factors, TraceAdapter};
use providers::{Adapter, Fetch, FetchError, Refresher, Request, Wanted};

use crate::Ending;
use crate::args::{FetchArgs, ProviderArgs};
use crate::world::{file_bytes, file_shown};
use folder::Folder;
use summary::Summary;

/// A waiting recorder looks at the clock at least this often: clocks are set, and sleeps do not know.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Asks as often as was said, and writes down what is new.
///
/// # Errors
///
/// A file that cannot be read or written, or no forecast at all.
pub(crate) fn run(args: &FetchArgs) -> anyhow::Result<Ending> {
    let chain = settings::chain(&args.providers).unwrap_or_else(|wrong| ProviderArgs::refuse(&wrong));
    let target = CarbonTarget::from(args.providers.target());
    if let Err(unknown) = chain.check(&target) {
        ProviderArgs::refuse(&unknown);
    }
    let adapters = chain.adapters(recording)?;
    let signal = adapters.first().map(|adapter| adapter.signal()).unwrap_or_default();
    let mut folder = Folder::open(&args.out, &target, signal)?;
    for note in folder.notes() {
        writeln!(io::stderr(), "note: {note}").context("cannot write notes to standard error")?;
    }
    let mut summary = Summary::new(&target, signal);
    let enough = Enough { count: args.count(), until: args.lasting.map(|lasting| (Instant::now(), lasting)) };
    record(args, &target, adapters, &enough, &mut folder, &mut summary)?;
    if summary.answered == 0 {
        bail!("nothing was recorded: {}", summary.last_failure());
    }
    summary
        .write(args.format, &folder, &mut io::stdout().lock())
        .context("cannot write to standard output")?;
    Ok(Ending::Fine)
}

/// When to end.
struct Enough {
    count: Option<u64>,
    until: Option<(Instant, SignedDuration)>,
}

impl Enough {
    /// How much time is left, where that is bounded; `None` where it is over.
    fn left(&self, answered: u64) -> Option<Duration> {
        if self.count.is_some_and(|count| answered >= count) {
            return None;
        }
        match self.until {
            None => Some(LONGEST_WAIT),
            Some((since, lasting)) => lasting.unsigned_abs().checked_sub(since.elapsed()),
        }
    }
}

fn record(
    args: &FetchArgs,
    target: &CarbonTarget,
    adapters: Vec<Arc<dyn Adapter>>,
    enough: &Enough,
    folder: &mut Folder,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    let bar = Bar::new();
    let wanted = Wanted { ttl: args.every(), timeout: SignedDuration::from_secs(args.timeout) };
    let mut refresher = Refresher::new(adapters, 0);
    refresher.want(&BTreeMap::from([(target.clone(), wanted)]), now());
    let reader = Reader(Client::new());
    while let Some(left) = enough.left(summary.answered) {
        let Some(job) = refresher.take_due(now()) else {
            let due = refresher.next_due().map(|due| due.duration_since(now()).max(SignedDuration::ZERO));
            let wait = due.map_or(LONGEST_WAIT, |due| due.unsigned_abs().min(LONGEST_WAIT));
            match stop.recv_timeout(wait.min(left)) {
                Err(RecvTimeoutError::Timeout) => continue,
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        };
        bar.say(&format!("{target}: asking"));
        let outcome = job.run(&reader, now);
        let failed = outcome.as_ref().err().map(ToString::to_string);
        // Known from now on: never earlier than what the forecast says of its receipt.
        let received = now();
        if let Some(news) = refresher.finish(target, outcome, received) {
            let noted = folder.take(&news.forecast, &news.actuals, received)?;
            summary.answer(&news.forecast);
            if let Some(note) = noted {
                bar.note(&note)?;
            }
        }
        if let Some(problem) = failed {
            if !args.goes_on() {
                bail!("{problem}");
            }
            // The first failure of a row is worth a line; the others are counted.
            if summary.failure(problem.clone()) {
                bar.note(&problem)?;
            }
        }
        if stop.try_recv().is_ok() {
            break;
        }
        let next = refresher.next_due().map(|due| format!(", next at {due:.0}")).unwrap_or_default();
        bar.say(&format!(
            "{target}: {} answers, {} vintages new{next}",
            summary.answered,
            folder.new_vintages()
        ));
    }
    bar.0.finish_and_clear();
    Ok(())
}

/// Tells Ctrl-C and SIGTERM from now on.
fn stop_signal() -> anyhow::Result<Receiver<()>> {
    let (tell, told) = sync_channel(1);
    ctrlc::set_handler(move || {
        // One is enough.
        let _ = tell.try_send(());
    })
    .context("cannot listen for Ctrl-C")?;
    Ok(told)
}

/// The wall clock, to the millisecond above: what is known is never stamped too early.
fn now() -> Timestamp {
    let exact = Timestamp::now();
    let rounding = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Ceil);
    exact.round(rounding).unwrap_or(exact)
}

/// Reads a recording that is to be repeated around now.
fn recording(path: &Path) -> anyhow::Result<TraceAdapter> {
    let trace = CarbonTrace::read(&file_shown(path), &file_bytes(path)?, Factors::default())?;
    TraceAdapter::looped(&trace).with_context(|| format!("{}: cannot be repeated", file_shown(path)))
}

/// HTTP and HTTPS, and the file of a mounted ConfigMap.
struct Reader(Client);

impl Fetch for Reader {
    fn fetch(&self, request: &Request, timeout: Duration) -> Result<Vec<u8>, FetchError> {
        let Some(path) = request.url.strip_prefix(FILE) else { return self.0.fetch(request, timeout) };
        let broken =
            |error| FetchError::Connection { url: request.url.clone(), problem: format!("{error:#}") };
        file_bytes(Path::new(path)).map_err(broken)
    }
}

/// What goes on, on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn say(&self, text: &str) {
        self.0.set_message(text.to_owned());
        self.0.tick();
    }

    /// A line that stays.
    fn note(&self, text: &str) -> anyhow::Result<()> {
        self.0
            .suspend(|| writeln!(io::stderr(), "note: {text}"))
            .context("cannot write notes to standard error")
    }
}
