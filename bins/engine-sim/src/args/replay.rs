//! What a replay is asked for.

use std::path::PathBuf;

use clap::Args;
use models::{ScheduleId, Timestamp};

use super::{Color, TextFormat, values};

pub(super) const TEACHING: &str = "\
FILE is what `engine-server state export` wrote (may be gzipped), - is standard input:

  engine-server state export --state-dir DIR --from 2026-11-24T00:00:00Z journal.jsonl
  engine-sim replay journal.jsonl
  engine-sim explain journal.jsonl --schedule shop/search --from 2026-11-24 --to 2026-11-25

Exit codes:
  0  done, and what was compared is the same to the last byte
  1  the export is bad, or something could not be read or written
  2  the command line is wrong
  3  something else is published now than was then: the first difference is shown";

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The export to replay, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Form of the report
    #[arg(long, help_heading = "Output", value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,
    /// Colour in text; auto is for terminals, and respects NO_COLOR
    #[arg(long, value_name = "WHEN", help_heading = "Output", value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The schedule to explain
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = schedule)]
    pub(crate) schedule: ScheduleId,
    /// First instant to show, RFC 3339 or a date [default: all of the export]
    #[arg(long, value_name = "INSTANT", value_parser = values::moment)]
    pub(crate) from: Option<Timestamp>,
    /// First instant not to show any more
    #[arg(long, value_name = "INSTANT", value_parser = values::moment)]
    pub(crate) to: Option<Timestamp>,
    /// Leave out decisions whose weights, policy and warnings are those of the one before, where nothing but
    /// feedback and forecasts came in
    #[arg(long)]
    pub(crate) only_changes: bool,
    #[command(flatten)]
    pub(crate) replay: ReplayArgs,
}

fn schedule(text: &str) -> Result<ScheduleId, String> {
    let Some((namespace, name)) = text.trim().split_once('/') else {
        return Err("expected NAMESPACE/NAME, e.g. shop/search".to_owned());
    };
    ScheduleId::new(namespace, name).map_err(|problems| problems.to_string())
}
