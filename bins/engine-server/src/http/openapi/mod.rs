//! What the API is, told to programs: OpenAPI 3.1, made from the code that serves it.
//!
//! Schemas come from the types that are written and the tables that read; examples are what the code answers, and
//! each is a test. Examples of one name belong together: a body and its answer. Where an answer needs another
//! request than the parameters' own examples make, `x-request` beside it says which.

mod document;
mod examples;
mod paths;

use std::io::Write as _;
use std::sync::LazyLock;

use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use clap::Command;

use super::schedule::matches;

/// The document with its entity tag, made once.
static DESCRIPTION: LazyLock<(Bytes, String)> = LazyLock::new(|| {
    let bytes = text().into_bytes();
    let tag = format!("\"{:x}\"", crc32fast::hash(&bytes));
    (bytes.into(), tag)
});

/// GET `/openapi.json`.
pub(crate) async fn get(request: HttpRequest) -> HttpResponse {
    let (bytes, tag) = &*DESCRIPTION;
    let seen = request.headers().get_all(header::IF_NONE_MATCH).any(|value| matches(value, tag));
    let mut response = HttpResponse::build(if seen { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.insert_header((header::ETAG, tag.as_str())).insert_header((header::CACHE_CONTROL, "no-cache"));
    if seen {
        return response.finish();
    }
    response.content_type("application/json").body(bytes.clone())
}

/// The command that prints it.
pub(crate) fn command() -> Command {
    Command::new("openapi").about("Print the description of the API, as GET /openapi.json answers it")
}

/// Prints it.
///
/// # Errors
///
/// Nobody reads.
pub(crate) fn print() -> anyhow::Result<()> {
    Ok(std::io::stdout().lock().write_all(text().as_bytes())?)
}

/// The document as text; the keys of every object are in order.
fn text() -> String {
    format!("{:#}\n", document::document())
}
