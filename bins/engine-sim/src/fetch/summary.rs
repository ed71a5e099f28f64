//! What came of a recording.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use models::{CarbonTarget, Forecast, Signal};
use serde_json::json;

use super::folder::Folder;
use crate::args::TextFormat;

/// Answers and failures so far.
pub(super) struct Summary {
    target: CarbonTarget,
    signal: Signal,
    sources: BTreeSet<Arc<str>>,
    pub(super) answered: u64,
    failed: u64,
    in_a_row: u64,
    last_failure: Option<String>,
}

impl Summary {
    pub(super) fn new(target: &CarbonTarget, signal: Signal) -> Self {
        Self {
            target: target.clone(),
            signal,
            sources: BTreeSet::new(),
            answered: 0,
            failed: 0,
            in_a_row: 0,
            last_failure: None,
        }
    }

    /// A forecast came.
    pub(super) fn answer(&mut self, forecast: &Forecast) {
        self.sources.insert(Arc::clone(&forecast.source));
        self.answered += 1;
        self.in_a_row = 0;
    }

    /// None came. Whether it is the first time since one did.
    pub(super) fn failure(&mut self, problem: String) -> bool {
        self.failed += 1;
        self.in_a_row += 1;
        self.last_failure = Some(problem);
        self.in_a_row == 1
    }

    pub(super) fn last_failure(&self) -> &str {
        self.last_failure.as_deref().unwrap_or("it was ended before the first answer")
    }

    /// Writes what there is now, and how it is replayed.
    pub(super) fn write(&self, format: TextFormat, folder: &Folder, out: &mut impl Write) -> io::Result<()> {
        let (vintages, actuals) = (folder.shown("vintages.csv"), folder.shown("actuals.csv"));
        // Without a measured value there is nothing to replay against but another recording of the grid.
        let carbon = if folder.actuals() > 0 { actuals.as_str() } else { "FILE" };
        let words = [
            "engine-sim",
            "compare",
            "--carbon",
            carbon,
            "--forecast",
            &vintages,
            "--forecast-mode",
            "vintages",
        ];
        if format == TextFormat::Json {
            let summary = json!({
                "target": self.target,
                "signal": self.signal,
                "sources": self.sources,
                "answers": self.answered,
                "failures": self.failed,
                "vintages": {"file": vintages, "new": folder.new_vintages(), "total": folder.vintages()},
                "actuals": {"file": actuals, "new": folder.new_actuals(), "total": folder.actuals()},
                "replay": words,
            });
            return writeln!(out, "{summary}");
        }
        let sources: Vec<&str> = self.sources.iter().map(|source| &**source).collect();
        writeln!(
            out,
            "{}, {}, from {}: {} answers, {} failures",
            self.target,
            self.signal,
            sources.join(", "),
            self.answered,
            self.failed
        )?;
        writeln!(out, "  {vintages}: {} vintages, {} of them new", folder.vintages(), folder.new_vintages())?;
        writeln!(
            out,
            "  {actuals}: {} measured values, {} written now",
            folder.actuals(),
            folder.new_actuals()
        )?;
        if folder.actuals() == 0 {
            writeln!(out, "  no value was measured so far: FILE is any trace of what the grid came to")?;
        }
        writeln!(out, "replay it with:\n  {}", words.join(" "))
    }
}
