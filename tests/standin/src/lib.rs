//! A stand-in for the self-hosted Convex backend and its dashboard.
//!
//! It answers as the real backend answers (routes, status codes, bodies, limits, atomicity, authentication, start-up
//! and signals), and runs the functions that are pushed. It is held to recorded exchanges with a real backend
//! (`tests/data/backend_exchanges.jsonl`); where a doc comment says "observed", the fact comes from there or from the
//! notes taken with them.
//!
//! What the real backend lacks, failures on demand and a look at what was asked, lives in [`faults`] and nowhere else.

pub mod admin_key;
pub mod blobs;
pub mod cli;
pub mod client;
pub mod connection;
pub mod dashboard;
pub mod data;
pub mod deployment;
pub mod error;
pub mod export;
pub mod faults;
pub mod functions;
pub mod http;
pub mod id;
pub mod identity;
pub mod import;
pub mod log;
pub mod metrics;
pub mod push;
pub mod query;
pub mod runner;
pub mod secret;
pub mod serve;
pub mod site;
pub mod snapshot;
pub mod store;
pub mod sync;
pub mod time;
pub mod tokens;
pub mod variable;
