//! Integration tests; the modules mirror `src`.

mod support;

mod air_gap;
mod coder;
mod commands;
mod convex;
mod data_sources;
mod database;
mod external;
mod functions;
mod layers;
mod module;
mod plugin;
mod release;
mod render;
mod resources;
mod review;
mod runtime;
mod schema;
mod sweep;
