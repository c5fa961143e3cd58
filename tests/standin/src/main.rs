//! The stand-in for `convex-local-backend`.

use std::env;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Parser as _;
use convex_standin::admin_key::{AdminKey, NONCE_LENGTH, Principal};
use convex_standin::cli::{Command, Flags, Instance, Key};
use convex_standin::faults::start::StartFaults;
use convex_standin::{error, log, serve};

fn main() -> ExitCode {
    let mut flags = Flags::parse();
    let outcome = match flags.command.take() {
        Some(Command::Keygen {
            kind: Key::AdminKey(instance),
        }) => print_admin_key(&instance).map(|()| 0),
        None => start(flags),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nothing is left to do where even this cannot be written.
            drop(writeln!(io::stderr(), "Error: {error}"));
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn start(flags: Flags) -> Result<u8, Failure> {
    log::start();
    tracing::warn!("this is the stand-in for tests, not the real backend: see its README");
    let faults: StartFaults = env::var("STANDIN_FAULTS").unwrap_or_default().parse()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let outcome = runtime.block_on(serve::run(flags, faults));
    if let Err(error) = &outcome {
        error::log(&error.to_string());
    }
    // A request may still hang in there.
    runtime.shutdown_background();
    Ok(outcome?)
}

/// Prints an admin key, and nothing else, on standard output.
fn print_admin_key(instance: &Instance) -> Result<(), Failure> {
    let secret = instance.instance_secret.parse()?;
    let issued_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut nonce = [0; NONCE_LENGTH];
    getrandom::fill(&mut nonce)?;
    let key = AdminKey {
        issued_s,
        principal: Principal::Member(0),
        read_only: false,
    };
    Ok(writeln!(
        io::stdout(),
        "{}",
        key.seal(&instance.instance_name, &secret, nonce)
    )?)
}
