//! Log lines, in the form of the real backend: compact, coloured unless `NO_COLOR` is set, filtered by `RUST_LOG`
//! (`info` where that is not set or not understood).

use std::env;

use tracing_subscriber::EnvFilter;

/// Sends log lines to standard output, where the real backend's go. Errors that end the process go to standard error.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .compact()
        .with_ansi(env::var_os("NO_COLOR").is_none())
        .with_env_filter(filter)
        .init();
}
