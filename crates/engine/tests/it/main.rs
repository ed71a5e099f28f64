//! The engine through its own door.

#![expect(clippy::unwrap_used, reason = "a test stops where something is wrong")]

mod always;
mod budget;
mod cluster;
mod conformance;
mod forecast;
mod journal;
mod measured;
mod polled;
mod repeats;
mod routing;
mod savings;
mod session;
mod turned;
mod world;
