//! A browser in front of a workspace's frontend, through Coder's proxy.

use serde_json::json;

use super::{
    in_a_workspace, person,
    running::DOMAIN,
    user::{COOKIE, open_as_stranger},
};
use crate::support::{
    browser::{Login, assert_signed_in, browse},
    docker::docker,
    node,
};

#[test]
fn somebody_signs_in_behind_coder() {
    in_a_workspace(&person("bea"), |running| {
        let bea = &running.workspace.owner;
        let id = format!("label=coder.workspace_id={}", running.workspace.id.as_str());
        let network = "label=io.github.coder-convex.network-for";
        let container = docker(&["ps", "-q", "--filter", &id, "--filter", network]);
        // What the script of the start installs, where there is a registry.
        let packages = node::app_packages().join("node_modules");
        let to = format!("{container}:/home/coder/app/");
        docker(&["cp", "-q", &packages.display().to_string(), &to]);
        let owned = ["chown", "-R", "coder:", "/home/coder/app/node_modules"];
        docker(&[&["exec", "-u", "root", &container][..], &owned].concat());

        running.sh("cd app && node_modules/.bin/convex deploy --env-file .env.convex.local </dev/null 2>&1");
        // In the list of a shell it would be a child of one that keeps the connection open.
        running.sh("cd app; PATH=node_modules/.bin:$PATH setsid vite --mode convex --port 5173 --strictPort >~/vite.log 2>&1 </dev/null &");
        running.sh("until curl -s -o /dev/null localhost:5173; do sleep 0.2; done");

        // The page is its owner's alone.
        let page = running.url("frontend");
        let stranger = open_as_stranger(&bea.server, &page);
        assert_eq!(stranger.status, 303, "{stranger:?}");
        let cookie = json!({ "name": COOKIE, "value": bea.token, "url": bea.server.url() });
        // Coder leads somebody who has logged in back to the host without its port.
        let hosts = format!("*.{DOMAIN} {}", bea.server.loopback());
        let report = browse(&page, &Login::Done { cookie, hosts });
        assert_signed_in(&report, || {
            let backend = format!("coder-{}-backend", running.workspace.id.as_str());
            let log = docker(&["logs", "--tail", "100", &backend]);
            format!("{}\n{log}", running.sh("cat ~/vite.log"))
        });
    });
}
