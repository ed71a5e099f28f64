//! One blocking GET over HTTP or HTTPS.

use core::time::Duration;
use std::io::Read;

use jiff::SignedDuration;
use jiff::fmt::rfc2822;
use models::json::excerpt;
use ureq::config::Config;
use ureq::http::{HeaderMap, Uri};
use ureq::{Agent, Body, Proxy};

use crate::adapter::{HARMLESS, Request};
use crate::fetch::{Fetch, FetchError};

/// Most bytes of a body, after decompression.
pub const MAX_BODY: u64 = 4 * 1024 * 1024;
/// Most redirects that are followed.
pub const MAX_REDIRECTS: u32 = 3;
/// How the client introduces itself.
pub const USER_AGENT: &str = concat!("carbon-decision-engine/", env!("CARGO_PKG_VERSION"));

/// Bytes of an error's body that are read for its excerpt.
const EXCERPT_BYTES: u64 = 400;

/// A client with its connections: ureq, TLS by rustls with the roots compiled in. Cheap to clone, shared by
/// threads; every call blocks its own.
///
/// Redirects are followed only for requests that carry no header field but `Accept`, so that a key never
/// reaches a host it was not meant for. The environment's proxy variables are not read: hand the proxy in.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
}

/// A proxy URL that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a proxy URL: expected one such as http://user:password@proxy.example:3128")]
pub struct BadProxy;

impl Client {
    /// Without a proxy.
    pub fn new() -> Self {
        Self::with(None)
    }

    /// Everything goes through the proxy at `url`, by CONNECT.
    ///
    /// # Errors
    ///
    /// [`BadProxy`] if `url` is not the URL of one.
    pub fn with_proxy(url: &str) -> Result<Self, BadProxy> {
        let proxy = Proxy::new(url).map_err(|_| BadProxy)?;
        Ok(Self::with(Some(proxy)))
    }

    fn with(proxy: Option<Proxy>) -> Self {
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(MAX_REDIRECTS)
            .user_agent(USER_AGENT)
            .proxy(proxy)
            .build();
        Self { agent: config.new_agent() }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Fetch for Client {
    fn fetch(&self, request: &Request, timeout: Duration) -> Result<Vec<u8>, FetchError> {
        let asked = Asked { request, timeout };
        check_url(&request.url)
            .map_err(|bad| FetchError::BadRequest { url: request.shown_url(), problem: bad.to_string() })?;
        let follow = request.headers.iter().all(|(name, _)| name.eq_ignore_ascii_case(HARMLESS));
        let redirects = if follow { MAX_REDIRECTS } else { 0 };
        let get = self.agent.get(&request.url).config();
        let mut get = get.timeout_global(Some(timeout)).max_redirects(redirects).build();
        for (name, value) in &request.headers {
            get = get.header(name.as_ref(), value);
        }
        let (head, body) = get.call().map_err(|error| asked.failed(&error))?.into_parts();
        if head.status.is_success() {
            asked.whole(body)
        } else {
            Err(FetchError::Status {
                url: request.shown_url(),
                status: head.status.as_u16(),
                retry_after: retry_after(&head.headers),
                excerpt: asked.beginning(body),
            })
        }
    }
}

/// A request on its way, for what is said about it.
struct Asked<'r> {
    request: &'r Request,
    timeout: Duration,
}

impl Asked<'_> {
    fn whole(&self, body: Body) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        match body.into_with_config().limit(MAX_BODY).reader().read_to_end(&mut bytes) {
            Ok(_) => Ok(self.request.redacted(bytes)),
            Err(error) => Err(self.failed(&error.into())),
        }
    }

    /// What a person needs to see of an error's body; what of it cannot be read is left out.
    fn beginning(&self, body: Body) -> String {
        if self.request.has_password() {
            return "withheld, since the request holds a password".to_owned();
        }
        let mut bytes = Vec::new();
        let read = body.into_reader().take(EXCERPT_BYTES).read_to_end(&mut bytes);
        if read.is_err() && bytes.is_empty() {
            return String::new();
        }
        excerpt(String::from_utf8_lossy(&self.request.shown(bytes)).trim())
    }

    fn failed(&self, error: &ureq::Error) -> FetchError {
        let url = self.request.shown_url();
        let not_sent = |problem: &str| FetchError::BadRequest {
            url: self.request.shown_url(),
            problem: problem.to_owned(),
        };
        match error {
            ureq::Error::Timeout(_) => FetchError::TimedOut { url, timeout: self.timeout },
            ureq::Error::BodyExceedsLimit(limit) => FetchError::TooLarge { url, limit: *limit },
            // These quote what was given, which may hold a password.
            ureq::Error::BadUri(_) => not_sent("expected an absolute http or https URL"),
            ureq::Error::Http(_) => not_sent("the URL or a header field has a character that none may have"),
            ureq::Error::TooManyRedirects => {
                FetchError::Connection { url, problem: format!("more than {MAX_REDIRECTS} redirects") }
            }
            other => {
                let words = self.request.shown(other.to_string().into_bytes());
                FetchError::Connection { url, problem: excerpt(&String::from_utf8_lossy(&words)) }
            }
        }
    }
}

/// A URL that nothing can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadUrl {
    /// It is no absolute http or https URL.
    #[error("expected an absolute http or https URL, as in https://carbon.example/api")]
    NotAbsolute,
    /// Its port is none.
    #[error("expected a port in 1 to 65535, or none")]
    Port,
}

/// Whether `url` is one that [`Client`] can ask for.
///
/// # Errors
///
/// [`BadUrl`], the only way to fail; it does not repeat the URL, which may hold a password.
pub fn check_url(url: &str) -> Result<(), BadUrl> {
    let uri: Uri = url.parse().map_err(|_| BadUrl::NotAbsolute)?;
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().filter(|authority| http && !authority.host().is_empty());
    let authority = authority.ok_or(BadUrl::NotAbsolute)?;
    let text = authority.as_str();
    let host_and_port = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    // A port beyond the range would be taken for none, and the default port be asked instead.
    let port = host_and_port.strip_prefix(authority.host()).unwrap_or_default();
    let sound = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok_and(|port| port > 0));
    if sound { Ok(()) } else { Err(BadUrl::Port) }
}

/// `Retry-After`: seconds, or a date, which counts from the answer's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<SignedDuration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let wait = text("retry-after")?;
    if let Ok(seconds) = wait.parse::<u32>() {
        return Some(SignedDuration::from_secs(i64::from(seconds)));
    }
    let date = |text: &str| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp());
    let pause = date(wait)?.duration_since(date(text("date")?)?);
    Some(pause.max(SignedDuration::ZERO))
}
