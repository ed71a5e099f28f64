//! The simulator as people run it: the binary, its files, its output.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot set itself up has failed, and one that is skipped says so"
)]

mod common;
mod explain;
mod faults;
mod fetch;
mod grids;
mod hindsight;
mod inputs;
mod journal;
mod replay;
mod results;
mod sweep;
mod transcripts;
mod upstream;
