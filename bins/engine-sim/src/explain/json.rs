//! For programs: one document, a decision to a line.

use std::io::{self, Write};
use std::sync::Arc;

use models::{ScheduleId, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::since::Since;
use super::{End, Row, Teller};
use crate::args::ExplainArgs;
use crate::replay::Decision;

pub(super) struct Json<'a, W: Write> {
    schedule: &'a ScheduleId,
    file: String,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    has_rows: bool,
    out: &'a mut W,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    #[serde(flatten)]
    decision: &'a Decision,
    /// Made before the span, and in force when that begins.
    in_force_before: bool,
    left_out_before: u64,
    since: &'a Since,
    new_warnings: &'a [Arc<str>],
    gone_warnings: &'a [Arc<str>],
}

impl<'a, W: Write> Json<'a, W> {
    pub(super) fn new(args: &'a ExplainArgs, file: &str, out: &'a mut W) -> Self {
        Self {
            schedule: &args.schedule,
            file: file.to_owned(),
            from: args.from,
            to: args.to,
            has_rows: false,
            out,
        }
    }
}

impl<W: Write> Teller for Json<'_, W> {
    fn begin(&mut self) -> io::Result<()> {
        let (schedule, file) = (json!(self.schedule.to_string()), json!(self.file));
        let (from, to) = (json!(self.from), json!(self.to));
        write!(
            self.out,
            "{{\"command\":\"explain\",\"file\":{file},\"schedule\":{schedule},\"from\":{from},\"to\":{to},\"decisions\":["
        )
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        writeln!(self.out, "{}", if self.has_rows { "," } else { "" })?;
        self.has_rows = true;
        let shown = Shown {
            decision: &row.decision,
            in_force_before: row.is_before,
            left_out_before: row.left_out,
            since: &row.since,
            new_warnings: &row.new_warnings,
            gone_warnings: &row.gone_warnings,
        };
        Ok(serde_json::to_writer(&mut *self.out, &shown)?)
    }

    fn end(&mut self, end: &End) -> io::Result<()> {
        let different = end.different.as_ref().map(
            |(at, record, schedule)| json!({"at": at, "record": record, "schedule": schedule.to_string()}),
        );
        let rest = [
            ("since", json!(end.since)),
            ("decided", json!(end.decisions)),
            ("leftOut", json!(end.decisions - end.shown)),
            ("unrecordedFrom", json!(end.unrecorded)),
            ("difference", json!(different)),
        ];
        write!(self.out, "\n]")?;
        for (key, value) in rest {
            write!(self.out, ",\"{key}\":{value}")?;
        }
        writeln!(self.out, "}}")
    }
}
