//! Who may write. Tokens have an issue of their own; without them only this machine may, unless the
//! operator decided otherwise.

use std::net::SocketAddr;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use super::problem::Problem;
use crate::state::State;

/// Lets a write pass from a loopback address, or from anywhere under `--allow-anonymous-writes`.
///
/// # Errors
///
/// 403, the only way to fail.
pub(crate) fn may_write(request: &HttpRequest, state: &State) -> Result<(), Problem> {
    if state.anonymous_writes || request.peer_addr().is_some_and(is_local) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "anonymous writes are accepted from loopback only: start the server with --allow-anonymous-writes to lift this",
    ))
}

fn is_local(peer: SocketAddr) -> bool {
    // A dual-stack socket sees 127.0.0.1 as ::ffff:127.0.0.1.
    peer.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
