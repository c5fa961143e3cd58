//! Integration tests; the modules mirror `src`.

mod convex;
mod plugin;
