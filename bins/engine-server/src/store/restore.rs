//! How an engine comes back from the disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use engine::journal::{Input, Kept, Outcomes, Record, Store, StoreError, recover, recover_shown};
use engine::{Board, Engine, EngineOptions, Part, Publisher as _, StoredOptions};
use models::CarbonTarget;

use super::{Disk, Keeper, StoreSettings};
use crate::logging::EvaluationLog;
use crate::state::{State, now};

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
    settings: &StoreSettings,
) -> anyhow::Result<(Keeper, Input)> {
    let started = Instant::now();
    let path = settings.file();
    let recovered = recover_into(state, &mut disk, false).map_err(|problem| advice(&path, &problem))?;
    let Recovery { outcomes, next, records } = recovered;
    let seconds = started.elapsed().as_secs_f64();
    metrics::gauge!("state_restore_seconds").set(seconds);
    let schedules = state.engine().len();
    tracing::info!(target: "engine_server::store", path = %path.display(), schedules, records, seconds, "state restored");
    Ok((Keeper::new(Box::new(disk), outcomes, next, records), start_input(state)))
}

/// An engine that came back.
pub(crate) struct Recovery {
    pub(crate) outcomes: Arc<Outcomes>,
    /// Number of the next record.
    pub(crate) next: u64,
    /// Records that were acted upon again.
    pub(crate) records: u64,
}

/// Puts what `store` holds into `state`: where it is to `show` that, what the records published is shown, and nothing
/// else any more.
///
/// # Errors
///
/// The state cannot be read.
pub(crate) fn recover_into(state: &State, store: &mut dyn Store, show: bool) -> Result<Recovery, StoreError> {
    let options = &state.options;
    let shown = Arc::new(Board::default());
    let board = show.then_some(&shown);
    let recovered =
        recover_shown(store, &state.registry, &options.targets, board, &mut |kept, _| match kept {
            Kept::Part(_, Part::Archive(archive)) => state.vintages.restore(*archive),
            Kept::Record(_, record) => state.vintages.keep(&record),
            Kept::Part(..) => {}
        })?;
    let (engine, next, records) = match recovered {
        Some(recovered) => (recovered.engine, recovered.next, recovered.records),
        None => (Engine::new(options.clone(), state.registry.clone()), 0, 0),
    };
    let outcomes = Arc::new(Outcomes::default());
    let mut engine = engine
        .with_board(Arc::clone(&state.board))
        .with_publisher(Arc::new(EvaluationLog))
        .with_publisher(Arc::clone(&outcomes) as _);
    if let Some(changes) = &state.cluster {
        engine = engine.with_publisher(Arc::clone(changes) as _);
    }
    state.put_engine(engine);
    if show {
        show_the_rest(state, store, &shown)?;
        for (id, view) in shown.page(None, usize::MAX) {
            state.board.publish(&id, &view);
        }
        for (id, _) in state.board.page(None, usize::MAX) {
            if state.engine().target(&id).is_none() {
                state.board.withdraw(&id);
            }
        }
    }
    Ok(Recovery { outcomes, next, records })
}

/// What none of the records published is shown as it would be decided now, by an engine that nobody else has.
fn show_the_rest(state: &State, store: &mut dyn Store, shown: &Arc<Board>) -> Result<(), StoreError> {
    if state.engine().schedules().all(|id| shown.view(id).is_some()) {
        return Ok(());
    }
    let targets = &state.options.targets;
    let Some(recovered) = recover(store, &state.registry, targets, &mut |_, _| ())? else { return Ok(()) };
    let decided = Arc::new(Board::default());
    let mut engine = recovered.engine.with_board(Arc::clone(&decided));
    let options = Box::new(StoredOptions::from(engine.options()));
    engine.apply(&Record { at: now(), input: Input::Start { options, refused: BTreeMap::new() } });
    while engine.next_due().is_some_and(|due| due <= now()) && engine.tick(now()).evaluated > 0 {}
    for (id, view) in decided.page(None, usize::MAX) {
        if shown.view(&id).is_none() {
            shown.publish(&id, &view);
        }
    }
    Ok(())
}

/// What a process that decides begins with: its options.
pub(crate) fn start_input(state: &State) -> Input {
    let engine = state.engine();
    // Random streams go on as they began.
    let options = EngineOptions { seed: engine.seed(), ..state.options.clone() };
    let refused = refused(&engine, &options);
    Input::Start { options: Box::new(StoredOptions::from(&options)), refused }
}

/// Which of the schedules' carbon targets no provider has any more.
fn refused(engine: &Engine, options: &EngineOptions) -> BTreeMap<CarbonTarget, String> {
    let targets = engine.asked_targets(&options.defaults).into_iter();
    targets
        .filter_map(|target| options.targets.check(&target).err().map(|problem| (target, problem)))
        .collect()
}
