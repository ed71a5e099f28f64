//! Who may do what. It is decided here, around every route there is, by method: a handler that is added later is
//! guarded without knowing it.
//!
//! With tokens every request but a probe needs one, also from this machine, and is judged before anything of its
//! body is read or anything said of what there is. Without tokens reading is free, and only this machine may
//! write, unless the operator decided otherwise.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::{Method, StatusCode, header};
use actix_web::{Error, ResponseError as _};
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, MapOk};
use models::json;

use super::problem::Problem;
use crate::security::{MAX_TOKEN, Role, Tokens};
use crate::state::State;

/// What may be asked by anybody: an orchestrator has no token.
pub(crate) const PROBES: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// The rule that is in force on a port.
#[derive(Clone)]
pub(crate) struct Access(Arc<Rule>);

enum Rule {
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
            None if state.anonymous_writes => Self(Arc::new(Rule::Anybody)),
            None => Self(Arc::new(Rule::LoopbackWrites)),
            Some(tokens) => Self::with(tokens, state),
        }
    }

    /// The rule of the metrics port, where nothing can be written.
    pub(crate) fn of_metrics(state: &State, tokens: Option<&Arc<Tokens>>) -> Self {
        tokens.map_or_else(|| Self(Arc::new(Rule::Anybody)), |tokens| Self::with(tokens, state))
    }

    fn with(tokens: &Arc<Tokens>, state: &State) -> Self {
        let default_namespace = state.default_id.namespace().into();
        Self(Arc::new(Rule::Tokens { tokens: Arc::clone(tokens), default_namespace }))
    }
}

impl Rule {
    /// Lets a request pass.
    ///
    /// # Errors
    ///
    /// 401 without a token that is known, 403 where its role or the place the request comes from does not do.
    fn judge(&self, request: &ServiceRequest) -> Result<(), Problem> {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        match self {
            Self::Anybody => Ok(()),
            Self::LoopbackWrites if reads || request.peer_addr().is_some_and(is_local) => Ok(()),
            Self::LoopbackWrites => Err(denied(
                "not_local",
                Problem::new(
                    StatusCode::FORBIDDEN,
                    "anonymous writes are accepted from loopback only: start the server with --tokens, or with --allow-anonymous-writes to lift this",
                ),
            )),
            Self::Tokens { .. } if reads && PROBES.contains(&request.path()) => Ok(()),
            Self::Tokens { tokens, default_namespace } => {
                let role = role(request, tokens)?;
                if reads { Ok(()) } else { may_write(&role, request, default_namespace) }
            }
        }
    }
}

/// What the token that comes with `request` lets its holder do.
fn role(request: &ServiceRequest, tokens: &Tokens) -> Result<Arc<Role>, Problem> {
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

fn may_write(role: &Role, request: &ServiceRequest, default_namespace: &str) -> Result<(), Problem> {
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
            let given = json::excerpt(&namespace);
            format!(
                "this token may not change anything in namespace `{given}`: expected one with the role write, or write:{given}"
            )
        }
        None => "this token may change schedules of some namespaces only: expected one with the role write"
            .to_owned(),
    };
    Err(denied("namespace", Problem::forbidden(detail)))
}

/// The namespace that a write is about, as it stands in the path; none where the route names none. Names have
/// nothing that needs to be encoded: who encodes one all the same has another name here.
fn namespace(request: &ServiceRequest, default_namespace: &str) -> Option<Box<str>> {
    let pattern = request.match_pattern()?;
    if pattern == "/setschedule" {
        return Some(default_namespace.into());
    }
    let mut segments = pattern.split('/').zip(request.path().split('/'));
    segments.find(|(word, _)| *word == "{namespace}").map(|(_, namespace)| namespace.into())
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

impl<S, B> Transform<S, ServiceRequest> for Access
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = Guarded<S>;
    type Future = Ready<Result<Guarded<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Guarded { rule: Arc::clone(&self.0), service }))
    }
}

/// What is served, behind its rule.
pub(crate) struct Guarded<S> {
    rule: Arc<Rule>,
    service: S,
}

type Answer<B> = ServiceResponse<EitherBody<B>>;

impl<S, B> Service<ServiceRequest> for Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = Answer<B>;
    type Error = Error;
    /// Nothing is put on the heap for a request that passes.
    type Future = Either<Ready<Result<Answer<B>, Error>>, MapOk<S::Future, fn(S::Response) -> Answer<B>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        match self.rule.judge(&request) {
            Ok(()) => Either::Right(self.service.call(request).map_ok(ServiceResponse::map_into_left_body)),
            Err(problem) => {
                let response = problem.error_response().map_into_right_body();
                Either::Left(ready(Ok(request.into_response(response))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::dev::ResourceMap;
    use actix_web::test::{self, TestRequest};
    use actix_web::{App, web};
    use engine::{Engine, EngineOptions};
    use models::ScheduleId;
    use policies::Registry;
    use providers::archive::Bounds;

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
        let app = App::new().app_data(state).wrap(access).configure(crate::http::routes);
        let app = test::init_service(app).await;
        let nowhere = TestRequest::get().uri("/nowhere");
        let nowhere = test::call_service(&app, nowhere.to_request()).await;
        assert_eq!(nowhere.status(), StatusCode::UNAUTHORIZED);
        let patterns = patterns(nowhere.request().resource_map());
        assert!(
            patterns.len() >= 12 && patterns.iter().any(|pattern| pattern == "/config/{namespace}/{name}"),
            "{patterns:?}"
        );
        for pattern in patterns {
            let path = pattern.replace(['{', '}'], "");
            for method in
                ["GET", "HEAD", "OPTIONS", "PUT", "POST", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW"]
            {
                let request =
                    TestRequest::with_uri(&path).method(Method::from_bytes(method.as_bytes()).unwrap());
                let request = request.peer_addr("127.0.0.1:1".parse().unwrap());
                let answer = test::call_service(&app, request.to_request()).await;
                let is_probe = PROBES.contains(&&*path) && matches!(method, "GET" | "HEAD" | "OPTIONS");
                let is_denied = answer.status() == StatusCode::UNAUTHORIZED;
                assert_eq!(is_denied, !is_probe, "{method} {path}: {}", answer.status());
                assert_eq!(answer.headers().contains_key("WWW-Authenticate"), is_denied, "{method} {path}");
            }
        }
    }
}
