//! What stands around all routes, and lets a request pass or answers in its place.

use std::future::{Ready, ready};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, ResponseError as _};
use futures_util::TryFutureExt as _;
use futures_util::future::{Either, MapOk};

use super::problem::Problem;

/// A rule at the gate.
pub(crate) trait Rule: Clone + 'static {
    /// Lets a request pass.
    ///
    /// # Errors
    ///
    /// What is answered in its place.
    fn judge(&self, request: &ServiceRequest) -> Result<(), Problem>;

    /// Adds to the answer of one that passed.
    fn sign<B>(_: &mut ServiceResponse<B>) {}
}

/// A gate with that rule: to be wrapped around what is served.
#[derive(Clone)]
pub(crate) struct Gate<R>(pub(crate) R);

impl<R, S, B> Transform<S, ServiceRequest> for Gate<R>
where
    R: Rule,
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = Answer<B>;
    type Error = Error;
    type InitError = ();
    type Transform = Guarded<R, S>;
    type Future = Ready<Result<Guarded<R, S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Guarded { rule: self.0.clone(), service }))
    }
}

/// What is served, behind a gate.
pub(crate) struct Guarded<R, S> {
    rule: R,
    service: S,
}

type Answer<B> = ServiceResponse<EitherBody<B>>;

impl<R, S, B> Service<ServiceRequest> for Guarded<R, S>
where
    R: Rule,
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
            Ok(()) => Either::Right(self.service.call(request).map_ok(signed::<R, B>)),
            Err(problem) => {
                let response = problem.error_response().map_into_right_body();
                Either::Left(ready(Ok(request.into_response(response))))
            }
        }
    }
}

fn signed<R: Rule, B: MessageBody>(mut response: ServiceResponse<B>) -> Answer<B> {
    R::sign(&mut response);
    response.map_into_left_body()
}
