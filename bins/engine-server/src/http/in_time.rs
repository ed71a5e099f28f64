//! Before its time and after it. As long as nobody can say what there is, probes alone are answered; once a stop
//! was asked for, whoever keeps a connection open is told to open the next one elsewhere.

use std::future::{Ready, ready};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::ConnectionType;
use actix_web::{Error, ResponseError as _, web};
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, MapOk};

use super::access::PROBES;
use super::problem::Problem;
use crate::state::State;
use crate::store::Refused;

/// Around all that is served, refusals included.
#[derive(Clone)]
pub(crate) struct InTime(pub(crate) web::Data<State>);

impl<S, B> Transform<S, ServiceRequest> for InTime
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = Answer<B>;
    type Error = Error;
    type InitError = ();
    type Transform = Timed<S>;
    type Future = Ready<Result<Timed<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Timed { state: self.0.clone(), service }))
    }
}

/// What is served, in its time.
pub(crate) struct Timed<S> {
    state: web::Data<State>,
    service: S,
}

type Answer<B> = ServiceResponse<EitherBody<B>>;

impl<S, B> Service<ServiceRequest> for Timed<S>
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
        let life = &self.state.life;
        if !life.is_restored() && !PROBES.contains(&request.path()) {
            let response = Problem::from(Refused::Restoring).error_response().map_into_right_body();
            return Either::Left(ready(Ok(request.into_response(response))));
        }
        Either::Right(self.service.call(request).map_ok(told))
    }
}

/// An answer that says so where the connection ends with it.
fn told<B: MessageBody>(mut response: ServiceResponse<B>) -> Answer<B> {
    let state = response.request().app_data::<web::Data<State>>();
    if state.is_some_and(|state| state.life.is_stopping()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    response.map_into_left_body()
}
