//! The door of a port: what every request passes before it is routed, and where most of them are answered.
//!
//! It stands before the router, not within it: whoever may not come in is told so before anything was looked up, and
//! a schedule, which is most of what is ever asked for, is answered without a route.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_http::{ConnectionType, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::body::{BoxBody, EitherBody};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::{Error, HttpMessage as _, ResponseError as _};
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, LocalBoxFuture, Ready, ready};
use pin_project_lite::pin_project;

use super::access::{Access, PROBES};
use super::body;
use super::measure::Measurement;
use super::problem::Problem;
use super::schedule::{self, Document};
use crate::connections::Connection;
use crate::limit_args::{Limits, refused};
use crate::state::State;
use crate::store::Refused;

/// What is answered: a schedule, or anything else.
pub(crate) type Body = EitherBody<Document, BoxBody>;

/// The rules of a port.
#[derive(Clone)]
pub(crate) struct Door {
    access: Access,
    limits: Limits,
    /// What the API is over; none on a port that has other things to show.
    api: Option<Arc<State>>,
}

impl Door {
    /// The door of the API. Who does not get in is counted like everybody.
    pub(crate) fn of_api(access: Access, limits: &Limits, state: Arc<State>) -> Self {
        Self { api: Some(state), ..Self::of_metrics(access, limits) }
    }

    /// The door of the metrics.
    pub(crate) fn of_metrics(access: Access, limits: &Limits) -> Self {
        Self { access, limits: limits.clone(), api: None }
    }

    /// Puts itself before what is routed.
    pub(crate) fn before<F>(&self, rooms: impl IntoServiceFactory<F, Request>) -> House<F>
    where
        F: ServiceFactory<Request>,
    {
        House { door: Rc::new(self.clone()), rooms: rooms.into_factory() }
    }

    /// The same request, where whoever waits to be told to go on with its body is to be told so; the answer where it is
    /// known without one.
    pub(crate) fn invite(&self, request: Request) -> Result<Request, Response<BoxBody>> {
        let judged = self.admit(&request);
        let Err(problem) = judged.and_then(|()| body::announced(request.headers(), self.limits.body_bytes))
        else {
            return Ok(request);
        };
        let mut response = problem.error_response();
        // Whether the body comes all the same, nobody knows.
        response.head_mut().set_connection_type(ConnectionType::Close);
        if self.api.is_some() {
            Measurement::begin(&request).end(response.status());
        }
        Err(response.into())
    }

    /// The answer, unless it is for others to give.
    fn meet(&self, request: &Request) -> Option<Response<Body>> {
        let answer = match self.admit(request) {
            Err(problem) => Err(problem),
            Ok(()) => schedule::at_once(self.api.as_ref()?, request)?,
        };
        let response = answer.unwrap_or_else(|problem| problem.error_response().map_into_right_body());
        Some(self.sign(response.into()))
    }

    /// As long as nobody can say what there is, probes alone are let in.
    fn admit(&self, request: &Request) -> Result<(), Problem> {
        let most = self.limits.head_bytes;
        if size(request) > most {
            refused("head_bytes");
            let detail = format!("the head is larger than {most} bytes: expected a smaller one");
            return Err(Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail));
        }
        if let Some(state) = &self.api
            && !state.life.is_restored()
            && !PROBES.contains(&request.path())
        {
            return Err(Refused::Restoring.into());
        }
        self.access.judge(request)
    }

    /// Once a stop was asked for, whoever keeps a connection open is told to open the next one elsewhere.
    fn sign(&self, mut response: Response<Body>) -> Response<Body> {
        if self.api.as_ref().is_some_and(|state| state.life.is_stopping()) {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        response
    }
}

/// Bytes of a request's head as they came in, but for spaces that say nothing.
fn size(request: &Request) -> usize {
    let target = request.uri();
    let place = target.authority().map_or(0, |place| "http://".len() + place.as_str().len());
    let path = target.path_and_query().map_or(0, |path| path.as_str().len());
    let line = request.method().as_str().len() + place + path + "  HTTP/1.1\r\n".len();
    let fields =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + fields.sum::<usize>() + "\r\n".len()
}

/// What is served, with its door.
pub(crate) struct House<F> {
    door: Rc<Door>,
    rooms: F,
}

impl<F> ServiceFactory<Request> for House<F>
where
    F: ServiceFactory<Request, Response = ServiceResponse<BoxBody>, Error = Error, Config = AppConfig>,
    F::Future: 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Config = AppConfig;
    type Service = Open<F::Service>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let door = Rc::clone(&self.door);
        Box::pin(self.rooms.new_service(config).map_ok(|rooms| Open { door, rooms }))
    }
}

/// A house in which somebody answers.
pub(crate) struct Open<S> {
    door: Rc<Door>,
    rooms: S,
}

impl<S> Service<Request> for Open<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Self::Response, Infallible>>, Routed<S::Future>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Rooms are never full: what limits how many are in them answers by itself.
        self.rooms.poll_ready(context).map(|_| Ok(()))
    }

    fn call(&self, request: Request) -> Self::Future {
        if let Some(connection) = request.conn_data::<Connection>() {
            connection.progress().note();
        }
        let measurement = self.door.api.is_some().then(|| Measurement::begin(&request));
        if let Some(response) = self.door.meet(&request) {
            if let Some(measurement) = &measurement {
                measurement.end(response.status());
            }
            return Either::Left(ready(Ok(response)));
        }
        let answer = self.rooms.call(request);
        Either::Right(Routed { answer, measurement, door: Rc::clone(&self.door) })
    }
}

pin_project! {
    /// An answer that is being made behind the door.
    pub(crate) struct Routed<A> {
        #[pin]
        answer: A,
        measurement: Option<Measurement>,
        door: Rc<Door>,
    }
}

impl<A> Future for Routed<A>
where
    A: Future<Output = Result<ServiceResponse<BoxBody>, Error>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match ready!(this.answer.poll(context)) {
            Ok(response) => response.into(),
            Err(error) => error.error_response(),
        };
        if let Some(measurement) = this.measurement {
            measurement.end(response.status());
        }
        Poll::Ready(Ok(this.door.sign(response.map_into_right_body().into())))
    }
}
