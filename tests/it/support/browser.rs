//! A person in front of the scaffold's page, in Chromium.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value as Json, json};

use super::{node, tools};

const SCRIPT: &str = include_str!("browser.js");

/// How long a step may take, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What stands before the page.
pub enum Login {
    None,
    /// A proxy that asks for a login at these hosts, which lead to other addresses.
    Asked(Json),
    /// Somebody who has this cookie.
    Done {
        /// As Playwright has it: name, value and url.
        cookie: Json,
        /// Hosts, and the address they are at whatever port a URL names: "*.coder.test 127.0.0.1:1".
        hosts: String,
    },
}

/// What drives the browser, installed.
pub fn packages() -> PathBuf {
    node::npm_install(&[("playwright-core", "1.65.1")])
}

/// What somebody sees who opens the page, signs up, reloads, signs out and in.
pub fn browse(page: &str, login: &Login) -> Json {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let wait = PATIENCE.as_millis().to_string();
    let email = format!("ada{count}@example.com");
    let (asked, cookie, hosts) = match login {
        Login::None => (String::new(), String::new(), ""),
        Login::Asked(hosts) => (hosts.to_string(), String::new(), ""),
        Login::Done { cookie, hosts } => (String::new(), cookie.to_string(), hosts.as_str()),
    };
    let chromium = tools::on_path(chromium()).display().to_string();
    let said = node::run_node(
        &packages(),
        SCRIPT,
        &[],
        &[
            ("PAGE", page),
            ("CHROMIUM", &chromium),
            ("WAIT_MS", &wait),
            ("EMAIL", &email),
            ("LOGIN", &asked),
            ("COOKIE", &cookie),
            ("HOSTS", hosts),
        ],
    );
    serde_json::from_str(&said).expect("a report")
}

/// The whole way, without one lost connection.
#[track_caller]
pub fn assert_signed_in(report: &Json, log: impl FnOnce() -> String) {
    let all = ["up", "with a task", "in after a reload", "out", "in again"];
    let expected = json!({ "signed": all, "closed": 0 });
    assert!(*report == expected, "{report:#}\n{}", log());
}

/// The program of Debian's package, else of another one.
pub fn chromium() -> &'static str {
    static FOUND: OnceLock<&str> = OnceLock::new();
    FOUND.get_or_init(|| {
        ["chromium-headless-shell", "chromium"]
            .into_iter()
            .find(|name| Command::new(name).arg("--version").output().is_ok())
            .expect("Chromium is installed: see tests/run")
    })
}
