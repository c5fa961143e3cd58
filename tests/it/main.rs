//! Integration tests; the modules mirror `src`.

mod support;

mod convex;
mod plugin;
mod render;
mod resources;
