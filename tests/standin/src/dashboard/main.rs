//! The stand-in for the dashboard's server.

use std::process::ExitCode;

use convex_standin::{dashboard, log};

fn main() -> ExitCode {
    log::start();
    let served =
        tokio::runtime::Runtime::new().and_then(|runtime| runtime.block_on(dashboard::run()));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
