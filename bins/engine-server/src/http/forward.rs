//! What only the leader does, passed on to it by a replica that follows.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::body;
use super::problem::Problem;
use crate::state::State;

/// Longest that the leader's answer is waited for: it waits for the cluster itself.
const PATIENCE: Duration = Duration::from_secs(12);
/// Longest that a connection may take: a node that is gone answers nothing.
const CONNECT: Duration = Duration::from_secs(1);
/// Longest answer: those to writes are short.
const LONGEST_ANSWER: usize = 1 << 20;
/// Who has passed a request on; whoever reads its own name passes it on no further.
const VIA: &str = "1.1 engine-server";
/// What goes with a request, and with its answer.
const FIELDS: [&str; 2] = ["authorization", "content-type"];
const ANSWERED: [&str; 4] = ["allow", "content-type", "retry-after", "www-authenticate"];

/// Connections to the leader, kept open between requests.
pub(crate) struct Forwarder(Client<HttpConnector, Full<web::Bytes>>);

impl Forwarder {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }
}

/// Around what only the leader does.
pub(crate) async fn to_the_leader(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(leader) = leader_for(&request) else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let payload = request.extract::<web::Payload>().await?;
    let answer = pass_on(request.request(), payload, &leader).await;
    let answer = answer.unwrap_or_else(|problem| problem.error_response());
    Ok(request.into_response(answer))
}

/// Where the leader is, if this request is one for it alone, and nobody has passed it on yet.
fn leader_for(request: &ServiceRequest) -> Option<String> {
    let replica = request.app_data::<web::Data<State>>()?.replica.as_ref()?;
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) || replica.leads() {
        return None;
    }
    let was_passed_on = request.headers().get_all(header::VIA).any(|via| via.as_bytes() == VIA.as_bytes());
    // Certificates are names', and replicas are reached by their addresses: https is left to whoever asks.
    replica.leader().filter(|leader| leader.starts_with("http://") && !was_passed_on)
}

async fn pass_on(
    request: &HttpRequest,
    payload: web::Payload,
    leader: &str,
) -> Result<HttpResponse, Problem> {
    let Some(forwarder) = request.app_data::<web::Data<Forwarder>>() else { return Err(Problem::confused()) };
    let body = body::bytes(request, payload).await?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut passed = http::Request::builder()
        .method(request.method().as_str())
        .uri([leader.trim_end_matches('/'), path].concat())
        .header("via", VIA);
    for name in FIELDS {
        if let Some(value) = request.headers().get(name) {
            passed = passed.header(name, value.as_bytes());
        }
    }
    let lost = |problem: &dyn std::fmt::Display| {
        let detail = format!(
            "another replica decides, and what it says to this is not known ({leader}: {problem}): look, and try again soon"
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(1)
    };
    let passed = passed.body(Full::new(body.into())).map_err(|problem| lost(&problem))?;
    let asked = async {
        let answer = forwarder.0.request(passed).await.map_err(|problem| lost(&problem))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|problem| lost(&problem))?;
        Ok::<_, Problem>((head, body.to_bytes()))
    };
    let (head, body) = tokio::time::timeout(PATIENCE, asked).await.map_err(|late| lost(&late))??;
    let status = StatusCode::from_u16(head.status.as_u16()).map_err(|problem| lost(&problem))?;
    let mut response = HttpResponse::build(status);
    for name in ANSWERED {
        if let Some(value) = head.headers.get(name) {
            response.insert_header((name, value.as_bytes()));
        }
    }
    Ok(response.body(body))
}
