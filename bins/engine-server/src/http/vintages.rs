//! What was forecast when, and what was measured, as the CSV that the simulator replays.

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_util::stream;
use models::{CarbonTarget, Problems, Signal, Timestamp, json};
use providers::archive::{Archive, Page, Span, actuals_header, vintages_header};
use serde::Deserialize;

use super::problem::Problem;
use crate::state::State;

/// Targets that a message names.
const NAMED: usize = 5;

#[derive(Deserialize)]
pub(crate) struct ExportQuery {
    from: Option<String>,
    to: Option<String>,
    signal: Option<String>,
}

/// Writes one page of an export.
type Turn = fn(&Archive, &CarbonTarget, Signal, Span, Option<Timestamp>) -> Page;

/// GET `/forecasts/{target}/vintages?from=&to=&signal=`.
pub(crate) async fn vintages(
    target: web::Path<String>,
    query: web::Query<ExportQuery>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    export(&target, &query, state, vintages_header, Archive::vintages_csv)
}

/// GET `/forecasts/{target}/actuals?from=&to=&signal=`.
pub(crate) async fn actuals(
    target: web::Path<String>,
    query: web::Query<ExportQuery>,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    export(&target, &query, state, actuals_header, Archive::actuals_csv)
}

/// Answers page by page: a slow reader holds a cursor, neither the lock nor the rest of the archive.
fn export(
    target: &str,
    query: &ExportQuery,
    state: web::Data<State>,
    header: fn(Signal) -> &'static str,
    turn: Turn,
) -> Result<HttpResponse, Problem> {
    let target = CarbonTarget::from(target);
    let (span, signal) = query.read()?;
    let recorded = state.vintages.lock().signal(&target);
    let signal =
        signal.or(recorded).filter(|_| recorded.is_some()).ok_or_else(|| unknown(&target, &state))?;
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((header::CACHE_CONTROL, "no-cache"));
    let begin = Some((None, Some(header(signal))));
    let pages = stream::unfold(begin, move |cursor| {
        let page = cursor.map(|(after, columns)| {
            let Page { text, next } = turn(&state.vintages.lock(), &target, signal, span, after);
            let text = [columns.unwrap_or_default(), &text].concat();
            (Ok::<_, actix_web::Error>(Bytes::from(text)), next.map(|next| (Some(next), None)))
        });
        std::future::ready(page)
    });
    Ok(response.streaming(pages))
}

impl ExportQuery {
    /// What was meant.
    fn read(&self) -> Result<(Span, Option<Signal>), Problem> {
        let mut problems = Problems::new();
        let mut instant = |pointer: &str, text: Option<&str>| {
            let text = text.filter(|text| !text.is_empty())?;
            let instant = text.parse::<Timestamp>().ok();
            if instant.is_none() {
                let given = json::excerpt(text);
                problems.push(
                    pointer,
                    format_args!("`{given}`: expected an RFC 3339 instant such as 2026-01-05T00:00:00Z"),
                );
            }
            instant
        };
        let span =
            Span { from: instant("/from", self.from.as_deref()), to: instant("/to", self.to.as_deref()) };
        if let Span { from: Some(from), to: Some(to) } = span
            && from >= to
        {
            problems.push("/to", format_args!("{to} is not after {from}: expected `from` < `to`"));
        }
        let word = self.signal.as_deref().filter(|word| !word.is_empty());
        let signal = word.and_then(Signal::parse);
        if let Some(word) = word.filter(|_| signal.is_none()) {
            problems.push("/signal", format_args!("`{}`: expected average or marginal", json::excerpt(word)));
        }
        problems.or((span, signal)).map_err(Problem::invalid)
    }
}

/// 404, naming what there is.
fn unknown(target: &CarbonTarget, state: &State) -> Problem {
    let archive = state.vintages.lock();
    let count = archive.targets().count();
    let named: Vec<String> = archive.targets().take(NAMED).map(|target| format!("`{target}`")).collect();
    let kept = match (count, count.saturating_sub(NAMED)) {
        (0, _) => "none yet".to_owned(),
        (_, 0) => named.join(", "),
        (_, more) => format!("{} and {more} more", named.join(", ")),
    };
    let given = json::excerpt(target.as_str());
    let detail =
        format!("no forecast of carbon target `{given}` is kept: expected one of those received: {kept}");
    Problem::new(StatusCode::NOT_FOUND, detail)
}
