//! Errors as readers get them: `application/problem+json` (RFC 9457), with `error` as the origin names it
//! and every bad field by JSON pointer.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use engine::{ConfigureError, RequestError, UnknownSchedule};
use models::Problems;
use schemars::JsonSchema;
use serde::Serialize;

use crate::limit_args::refused;
use crate::store::Refused;

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Problems,
    /// One more header field, as the status asks for it.
    field: Option<(header::HeaderName, String)>,
}

/// A request that failed (RFC 9457).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Body<'a> {
    #[serde(rename = "type")]
    #[schemars(extend("const" = "about:blank"))]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status.
    status: u16,
    /// What was wrong, and what would be right.
    detail: &'a str,
    /// The same sentence, as the origin names it.
    error: &'a str,
    /// Every bad field at once; absent where the fault is no field's.
    #[serde(skip_serializing_if = "Problems::is_empty")]
    errors: &'a Problems,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Problems::new(), field: None }
    }

    /// 400: not JSON, or not an object.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 422: understood, but invalid.
    pub(crate) fn invalid(errors: Problems) -> Self {
        let detail = errors.to_string();
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// 401, saying by `challenge` how to authenticate (RFC 6750, 3).
    pub(crate) fn unauthorized(challenge: &str, detail: &str) -> Self {
        Self {
            field: Some((header::WWW_AUTHENTICATE, challenge.into())),
            ..Self::new(StatusCode::UNAUTHORIZED, detail)
        }
    }

    /// 403: the token is known, and not enough.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self {
            field: Some((header::WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\"".into())),
            ..Self::new(StatusCode::FORBIDDEN, detail)
        }
    }

    /// 405, naming what is allowed.
    pub(crate) fn not_allowed(method: &str, allowed: &str) -> Self {
        let detail = format!("{method} is not allowed here: expected {allowed}");
        Self {
            field: Some((header::ALLOW, allowed.into())),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
        }
    }

    /// 500: the engine answered something that was not asked.
    pub(crate) fn confused() -> Self {
        let detail = "the engine gave an answer to another question";
        tracing::error!(target: "engine_server::http", "{detail}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// The same, asking to come back later.
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.field = Some((header::RETRY_AFTER, seconds.to_string()));
        self
    }
}

impl Problem {
    /// What its reader gets.
    pub(crate) fn body(&self) -> Body<'_> {
        Body {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            error: &self.detail,
            errors: &self.errors,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if matches!(self.status, StatusCode::REQUEST_TIMEOUT | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE) {
            // What is left of a body would be read as the next request; and who sends such heads has said enough.
            response.force_close();
        }
        if let Some((name, value)) = &self.field {
            response.insert_header((name.clone(), value.as_str()));
        }
        response.body(serde_json::to_vec(&self.body()).unwrap_or_default())
    }
}

impl From<UnknownSchedule> for Problem {
    fn from(unknown: UnknownSchedule) -> Self {
        Self::new(StatusCode::NOT_FOUND, unknown.to_string())
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Unknown(unknown) => unknown.into(),
            RequestError::Invalid(problems) => Self::invalid(problems),
        }
    }
}

impl From<ConfigureError> for Problem {
    fn from(error: ConfigureError) -> Self {
        match error {
            ConfigureError::Invalid(problems) => Self::invalid(problems),
            ConfigureError::TooManySchedules { .. } => {
                refused("schedules");
                Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()).retry_after(60)
            }
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string()).retry_after(1)
    }
}
