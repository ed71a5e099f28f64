//! Who may do what. It is decided here, around every route there is, by method: a handler that is added later is
//! guarded without knowing it.
//!
//! With tokens every request but a probe needs one, also from this machine, and is judged before anything of its
//! body is read or anything said of what there is. Without tokens reading is free, and only this machine may
//! write, unless the operator decided otherwise.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_http::{HttpMessage as _, Request};
use actix_web::http::{Method, StatusCode, header};
use models::json;

use super::measure::pattern;
use super::problem::Problem;
use crate::security::{MAX_TOKEN, Role, Tokens};
use crate::state::State;

/// What may be asked by anybody: an orchestrator has no token.
pub(crate) const PROBES: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// The rule that is in force on a port.
#[derive(Clone)]
pub(crate) struct Access(Arc<InForce>);

enum InForce {
    /// Reading is free, writing is for this machine.
    LoopbackWrites,
    Anybody,
    Tokens {
        tokens: Arc<Tokens>,
        default_namespace: Box<str>,
    },
}

impl Access {
    /// The rule of the API.
    pub(crate) fn of_api(state: &State, tokens: Option<&Arc<Tokens>>) -> Self {
        match tokens {
            None if state.anonymous_writes => Self(Arc::new(InForce::Anybody)),
            None => Self(Arc::new(InForce::LoopbackWrites)),
            Some(tokens) => Self::with(tokens, state),
        }
    }

    /// The rule of the metrics port, where nothing can be written.
    pub(crate) fn of_metrics(state: &State, tokens: Option<&Arc<Tokens>>) -> Self {
        tokens.map_or_else(|| Self(Arc::new(InForce::Anybody)), |tokens| Self::with(tokens, state))
    }

    fn with(tokens: &Arc<Tokens>, state: &State) -> Self {
        let default_namespace = state.default_id.namespace().into();
        Self(Arc::new(InForce::Tokens { tokens: Arc::clone(tokens), default_namespace }))
    }

    /// Lets a request pass.
    ///
    /// # Errors
    ///
    /// 401 without a token that is known, 403 where its role or the place the request comes from does not do.
    pub(crate) fn judge(&self, request: &Request) -> Result<(), Problem> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        match &*self.0 {
            InForce::Anybody => Ok(()),
            InForce::LoopbackWrites if reads || request.peer_addr().is_some_and(is_local) => Ok(()),
            InForce::LoopbackWrites => Err(denied(
                "not_local",
                Problem::new(
                    StatusCode::FORBIDDEN,
                    "anonymous writes are accepted from loopback only: start the server with --tokens, or with --allow-anonymous-writes to lift this",
                ),
            )),
            InForce::Tokens { .. } if reads && PROBES.contains(&request.path()) => Ok(()),
            InForce::Tokens { tokens, default_namespace } => {
                let role = role(request, tokens)?;
                if reads { Ok(()) } else { may_write(&role, request, default_namespace) }
            }
        }
    }
}

/// What the token that comes with `request` lets its holder do.
fn role(request: &Request, tokens: &Tokens) -> Result<Arc<Role>, Problem> {
    let mut fields = request.headers().get_all(header::AUTHORIZATION);
    let (Some(field), more) = (fields.next(), fields.next()) else {
        let detail = "a token is needed: expected the header field `Authorization: Bearer TOKEN`";
        return Err(denied("no_token", Problem::unauthorized("Bearer", detail)));
    };
    let presented = bearer(field.as_bytes()).filter(|token| more.is_none() && token.len() <= MAX_TOKEN);
    presented.and_then(|token| tokens.role(token)).ok_or_else(|| {
        let detail = "the token is not one of those known here: expected one `Authorization: Bearer TOKEN` with a token in force";
        denied("wrong_token", Problem::unauthorized("Bearer error=\"invalid_token\"", detail))
    })
}

/// The token of a header field `Bearer TOKEN`; the word in any case (RFC 9110, 11.1).
fn bearer(field: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = field.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii()).filter(|token| !token.is_empty())
}

fn may_write(role: &Role, request: &Request, default_namespace: &str) -> Result<(), Problem> {
    let namespaces = match role {
        Role::Write => return Ok(()),
        Role::Read => {
            let detail = "this token may read only: expected one with the role write";
            return Err(denied("role", Problem::forbidden(detail)));
        }
        Role::WriteIn(namespaces) => namespaces,
    };
    let detail = match namespace(request, default_namespace) {
        Some(namespace) if namespaces.iter().any(|one| **one == *namespace) => return Ok(()),
        Some(namespace) => {
            let given = json::excerpt(namespace);
            format!(
                "this token may not change anything in namespace `{given}`: expected one with the role write, or write:{given}"
            )
        }
        None => "this token may change schedules of some namespaces only: expected one with the role write"
            .to_owned(),
    };
    Err(denied("namespace", Problem::forbidden(detail)))
}

/// The namespace that a write is about, as it stands in the path; none where nothing is served that has one. Names have
/// nothing that needs to be encoded: who encodes one all the same has another name here.
fn namespace<'a>(request: &'a Request, default_namespace: &'a str) -> Option<&'a str> {
    let path = request.path();
    if path == "/setschedule" {
        return Some(default_namespace);
    }
    let mut segments = pattern(path).split('/').zip(path.split('/'));
    segments.find(|(word, _)| *word == "{namespace}").map(|(_, namespace)| namespace)
}

/// Counts what was denied, and why.
fn denied(reason: &'static str, problem: Problem) -> Problem {
    metrics::counter!("http_denied_total", "reason" => reason).increment(1);
    problem
}

pub(crate) fn describe() {
    metrics::describe_counter!(
        "http_denied_total",
        "Requests answered 401 or 403, by reason: no_token, wrong_token, role, namespace, not_local."
    );
}

fn is_local(peer: SocketAddr) -> bool {
    // A dual-stack socket sees 127.0.0.1 as ::ffff:127.0.0.1.
    peer.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_service::{Service as _, ServiceFactory as _};
    use actix_web::dev::{AppConfig, ResourceMap};
    use actix_web::test::{self, TestRequest};
    use actix_web::{App, web};
    use engine::{Engine, EngineOptions};
    use models::ScheduleId;
    use policies::Registry;
    use providers::archive::Bounds;

    use super::super::door::Door;
    use crate::limit_args::Limits;
    use crate::vintages::Vintages;

    #[test]
    fn only_loopback_is_local() {
        for (peer, local) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("192.0.2.1:1", false),
            ("10.0.0.1:1", false),
            ("0.0.0.0:1", false),
            ("[::ffff:192.0.2.1]:1", false),
            ("[2001:db8::1]:1", false),
            ("[::]:1", false),
        ] {
            assert_eq!(is_local(peer.parse().unwrap()), local, "{peer}");
        }
    }

    #[test]
    fn a_token_stands_after_the_word_bearer_in_any_case() {
        for (field, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("BEARER  abc ", Some("abc")),
            ("Bearer a b", Some("a b")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer   ", None),
            ("Bearerabc", None),
            ("Basic abc", None),
            ("Token: abc", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(bearer(field.as_bytes()), token.map(str::as_bytes), "{field}");
        }
    }

    /// The patterns of all that is routed, as the framework knows them.
    fn patterns(map: &ResourceMap) -> Vec<String> {
        let shown = format!("{map:?}");
        assert_eq!(shown.matches("is_prefix: true").count(), 1, "within a scope a pattern is not a path");
        let after = shown.split("patterns: Single(\"").skip(1);
        let patterns = after.filter_map(|after| after.split('"').next());
        patterns.filter(|pattern| pattern.starts_with('/')).map(ToOwned::to_owned).collect()
    }

    #[actix_web::test]
    async fn no_route_answers_without_a_token_but_the_probes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "write 0123456789abcdef\n").unwrap();
        let tokens = Arc::new(Tokens::load(file).unwrap());
        let engine = Engine::new(EngineOptions::default(), Registry::builtin());
        let id = ScheduleId::new("default", "default").unwrap();
        let state = web::Data::new(State::new(engine, Vintages::new(Bounds::default()), id, 1, true, None));
        let access = Access::of_api(&state, Some(&tokens));
        let app = || App::new().app_data(state.clone()).configure(crate::http::routes);
        let unguarded = test::init_service(app()).await;
        let nowhere = TestRequest::get().uri("/nowhere").to_request();
        let nowhere = test::call_service(&unguarded, nowhere).await;
        let house = Door::of_api(access, &Limits::default(), state.clone().into_inner()).before(app());
        let house = house.new_service(AppConfig::default()).await.unwrap();
        let patterns = patterns(nowhere.request().resource_map());
        assert!(
            patterns.len() >= 12 && patterns.iter().any(|pattern| pattern == "/config/{namespace}/{name}"),
            "{patterns:?}"
        );
        for pattern in patterns.into_iter().chain(["/nowhere".to_owned()]) {
            let path = pattern.replace(['{', '}'], "");
            for method in
                ["GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW"]
            {
                let request =
                    TestRequest::with_uri(&path).method(Method::from_bytes(method.as_bytes()).unwrap());
                let request = request.peer_addr("127.0.0.1:1".parse().unwrap());
                let answer = house.call(request.to_request()).await.unwrap();
                let is_probe = PROBES.contains(&&*path) && matches!(method, "GET" | "HEAD" | "OPTIONS");
                let is_denied = answer.status() == StatusCode::UNAUTHORIZED;
                assert_eq!(is_denied, !is_probe, "{method} {path}: {}", answer.status());
                assert_eq!(answer.headers().contains_key("WWW-Authenticate"), is_denied, "{method} {path}");
            }
        }
    }
}
