//! The dashboard's stand-in as a process.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::http::{Reply, send};
use crate::support::{must, wait_for};

struct Dashboard {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Dashboard {
    fn start(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_convex-dashboard"));
        command
            .env_clear()
            .env("NO_COLOR", "1")
            .env("HOSTNAME", "127.0.0.1")
            .env("PORT", "0");
        command
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap());
        let child = command.spawn().unwrap();
        let address = wait_for("the dashboard listens", || {
            let text = fs::read_to_string(&log).unwrap();
            text.split_once("listening on http://")?
                .1
                .split_once('\n')?
                .0
                .parse()
                .ok()
        });
        Self {
            child,
            address,
            _folder: folder,
        }
    }

    fn page(&self, path: &str) -> Reply {
        send(self.address, "GET", path, &[], None).unwrap()
    }

    /// What the page's script is given.
    fn properties(&self) -> Value {
        let page = self.page("/").body;
        let data = page
            .split_once("type=\"application/json\">")
            .unwrap()
            .1
            .split_once("</script>")
            .unwrap()
            .0;
        serde_json::from_str::<Value>(data).unwrap()["props"]["pageProps"].clone()
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_page_carries_what_the_environment_says() {
    let bare = Dashboard::start(&[]);
    let nothing =
        json!({ "deploymentUrl": null, "adminKey": null, "defaultListDeploymentsApiUrl": null });
    assert_eq!(bare.properties(), nothing);

    let filled = Dashboard::start(&[
        ("NEXT_PUBLIC_DEPLOYMENT_URL", "https://api.example/"),
        ("NEXT_PUBLIC_ADMIN_KEY", "app|01</script>"),
        ("NEXT_PUBLIC_DEFAULT_LIST_DEPLOYMENTS_API_PORT", "4000"),
    ]);
    assert_eq!(
        filled.properties(),
        json!({
            "deploymentUrl": "https://api.example",
            "adminKey": "app|01</script>",
            "defaultListDeploymentsApiUrl": "http://127.0.0.1:4000",
        })
    );
}

#[test]
fn a_url_that_is_none_is_left_out() {
    let dashboard = Dashboard::start(&[("NEXT_PUBLIC_DEPLOYMENT_URL", "api.example")]);
    assert_eq!(dashboard.properties()["deploymentUrl"], Value::Null);
}

#[test]
fn there_is_one_page_that_no_other_page_may_frame() {
    let dashboard = Dashboard::start(&[]);
    let page = dashboard.page("/");
    assert_eq!(page.status, 200);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("x-frame-options"), Some("SAMEORIGIN"));
    assert!(page.body.contains("stand-in"));
    assert_eq!(dashboard.page("/elsewhere").status, 404);
}

#[test]
fn sigterm_ends_it() {
    let mut dashboard = Dashboard::start(&[]);
    must(Command::new("kill").args(["-s", "TERM", &dashboard.child.id().to_string()]));
    let status = wait_for("the dashboard ends", || dashboard.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
