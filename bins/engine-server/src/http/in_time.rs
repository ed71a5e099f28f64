//! Before its time and after it. As long as nobody can say what there is, probes alone are answered; once a stop
//! was asked for, whoever keeps a connection open is told to open the next one elsewhere.

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::web;

use super::access::PROBES;
use super::gate::Rule;
use super::problem::Problem;
use crate::state::State;
use crate::store::Refused;

/// Around all that is served, refusals included.
#[derive(Clone)]
pub(crate) struct InTime(pub(crate) web::Data<State>);

impl Rule for InTime {
    fn judge(&self, request: &ServiceRequest) -> Result<(), Problem> {
        if self.0.life.is_restored() || PROBES.contains(&request.path()) {
            return Ok(());
        }
        Err(Problem::from(Refused::Restoring))
    }

    fn sign<B>(response: &mut ServiceResponse<B>) {
        let state = response.request().app_data::<web::Data<State>>();
        if state.is_some_and(|state| state.life.is_stopping()) {
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
    }
}
