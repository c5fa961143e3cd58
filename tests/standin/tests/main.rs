//! The tests of the stand-in itself. Those in `container` need a Docker daemon, those that run functions and those in `cli` need Node and npm, those
//! in `postgres` need a Postgres installation; where it is missing they fail.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails there, and helpers are part of tests"
)]

mod admin_keys;
mod cli;
mod conflicts;
mod container;
mod dashboard;
mod exchanges;
mod faults;
mod functions;
mod postgres;
mod process;
mod push;
mod queries;
mod scripts;
mod snapshots;
mod support;
mod tokens;
mod urls;
