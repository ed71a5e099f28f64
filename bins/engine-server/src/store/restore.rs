//! How an engine comes back from the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use engine::journal::{Input, Kept, Outcomes, StoreError, recover};
use engine::{Engine, EngineOptions, Part, StoredOptions};
use models::CarbonTarget;
use policies::Registry;

use super::{Disk, Keeper, StoreSettings};
use crate::logging::EvaluationLog;
use crate::state::State;

/// Opens the store of that folder, made where there is none.
///
/// # Errors
///
/// What is wrong with it, and what to do.
pub(crate) fn open(settings: &StoreSettings) -> anyhow::Result<Disk> {
    let folder = settings.folder.display();
    fs::create_dir_all(&settings.folder).with_context(|| {
        format!("the state's folder {folder} cannot be made: choose another one with --state-dir")
    })?;
    let path = settings.file();
    Disk::at(&path, settings.retention).map_err(|problem| advice(&path, &problem))
}

/// What is wrong with the state in that file, and what to do.
pub(super) fn advice(path: &Path, problem: &StoreError) -> anyhow::Error {
    let advice = match problem {
        StoreError::Damaged(_) => {
            "nothing was changed in it; put a copy of it in its place, or move it aside and `engine-server state \
             import` an export, or start anew without it; see docs/operations.md"
        }
        StoreError::Version { .. } => "export it with the version that wrote it, and import it with this one",
        StoreError::InUse => "a folder is for one process",
        StoreError::Io(_) => "its folder has to be writable, with room on its disk",
    };
    anyhow::anyhow!("the state in {} cannot be used: {problem} ({advice})", path.display())
}

/// Puts what the disk holds into `state`, under the options of now. What is to be acted upon first is the
/// answer's second half.
///
/// # Errors
///
/// The state cannot be read.
pub(crate) fn restore(
    state: &State,
    mut disk: Disk,
    options: &EngineOptions,
    settings: &StoreSettings,
) -> anyhow::Result<(Keeper, Input)> {
    let started = Instant::now();
    let registry = Registry::builtin();
    let recovered = recover(&mut disk, &registry, &options.targets, &mut |kept, _| match kept {
        Kept::Part(_, Part::Archive(archive)) => state.vintages.restore(*archive),
        Kept::Record(_, record) => state.vintages.keep(&record),
        Kept::Part(..) => {}
    });
    let path = settings.file();
    let recovered = recovered.map_err(|problem| advice(&path, &problem))?;
    let (engine, next, records) = match recovered {
        Some(recovered) => (recovered.engine, recovered.next, recovered.records),
        None => (Engine::new(options.clone(), registry), 0, 0),
    };
    let outcomes = Arc::new(Outcomes::default());
    // Random streams go on as they began.
    let options = EngineOptions { seed: engine.seed(), ..options.clone() };
    let refused = refused(&engine, &options);
    let schedules = engine.len();
    let engine = engine
        .with_board(Arc::clone(&state.board))
        .with_publisher(Arc::new(EvaluationLog))
        .with_publisher(Arc::clone(&outcomes) as _);
    let engine = match &state.cluster {
        Some(changes) => engine.with_publisher(Arc::clone(changes) as _),
        None => engine,
    };
    state.put_engine(engine);
    let seconds = started.elapsed().as_secs_f64();
    metrics::gauge!("state_restore_seconds").set(seconds);
    tracing::info!(target: "engine_server::store", path = %path.display(), schedules, records, seconds, "state restored");
    let start = Input::Start { options: Box::new(StoredOptions::from(&options)), refused };
    Ok((Keeper::new(disk, outcomes, next, records), start))
}

/// Which of the schedules' carbon targets no provider has any more.
fn refused(engine: &Engine, options: &EngineOptions) -> BTreeMap<CarbonTarget, String> {
    let targets = engine.asked_targets(&options.defaults).into_iter();
    targets
        .filter_map(|target| options.targets.check(&target).err().map(|problem| (target, problem)))
        .collect()
}
