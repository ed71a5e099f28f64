//! How an engine comes back from the disk.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use engine::journal::{Input, Kept, Outcomes, StoreError, recover};
use engine::{Engine, EngineOptions, Part, StoredOptions};
use models::CarbonTarget;
use policies::Registry;

use super::{Disk, FILE, Keeper, StoreSettings};
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
    let path = settings.folder.join(FILE);
    Disk::at(&path, settings.retention).map_err(|problem| {
        let path = path.display();
        let advice = match &problem {
            StoreError::Damaged(_) => format!(
                "move it aside and start anew, restore a copy of it, or `engine-server state import` an export; \
                 see docs/operations.md. Nothing was changed in {path}"
            ),
            StoreError::Version { .. } => "start the version that wrote it, `engine-server state export` there, and import it here".into(),
            StoreError::InUse => "a folder is for one process".into(),
            StoreError::Io(_) => format!("the folder {folder} has to be writable, with room on its disk"),
        };
        anyhow::anyhow!("the state in {path} cannot be used: {problem} ({advice})")
    })
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
        Kept::Record(_, record) => {
            if let Input::Forecast { target, forecast, actuals } = &record.input {
                state.vintages.record(target, forecast, actuals, record.at);
            }
        }
        Kept::Part(..) => {}
    });
    let path = settings.folder.join(FILE);
    let recovered = recovered.map_err(|problem| {
        anyhow::anyhow!(
            "the state in {} cannot be used: {problem} (restore a copy of it, or `engine-server state import` an \
             export; see docs/operations.md)",
            path.display()
        )
    })?;
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
    state.put_engine(engine);
    let seconds = started.elapsed().as_secs_f64();
    metrics::gauge!("state_restore_seconds").set(seconds);
    tracing::info!(target: "engine_server::store", path = %path.display(), schedules, records, seconds, "state restored");
    let start = Input::Start { options: Box::new(StoredOptions::from(&options)), refused };
    Ok((Keeper::new(disk, outcomes, next), start))
}

/// Which of the schedules' carbon targets no provider has any more.
fn refused(engine: &Engine, options: &EngineOptions) -> BTreeMap<CarbonTarget, String> {
    let targets = engine.asked_targets(&options.defaults).into_iter();
    targets.filter_map(|target| options.targets.check(&target).err().map(|problem| (target, problem))).collect()
}
