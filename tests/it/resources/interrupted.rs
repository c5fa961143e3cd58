//! A provider that dies in the middle of things.

use std::{fs, process::Command};

use super::project;
use crate::support::{
    docker::{Fate, Name, Proxy, docker},
    terraform::{Core, Project},
};

/// The processes of the provider that a project's Terraform has started.
pub(super) fn provider_processes(mark: &str) -> Vec<String> {
    let is_ours = |pid: &str| {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let contains = |bytes: Vec<u8>, part: &str| {
            bytes
                .windows(part.len())
                .any(|window| window == part.as_bytes())
        };
        contains(read("environ"), mark) && contains(read("cmdline"), "terraform-provider-convex")
    };
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()) && is_ours(pid))
        .collect()
}

/// Applies, and kills the provider when it makes call number `at`. Returns
/// whether it came that far.
fn apply_and_kill(project: &Project, proxy: &Proxy, mark: &str, at: usize) -> bool {
    let mark = mark.to_owned();
    proxy.take();
    proxy.disturb(move |number, _| {
        if number != at {
            return Fate::Pass;
        }
        for pid in provider_processes(&mark) {
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
        Fate::Hang
    });
    let outcome = project.apply();
    let calls = proxy.take().len();
    proxy.disturb(|_, _| Fate::Pass);
    assert_eq!(outcome.code == 0, calls <= at, "{}", outcome.text());
    outcome.code != 0
}

#[test]
fn a_create_killed_at_any_call_is_finished_by_the_next() {
    let name = Name::new();
    let proxy = Proxy::start();
    let mut project = project(Core::Installed, &name, "");
    let mark = format!("MARK_{}", name.as_str());
    project.set_env(&mark, "1");
    project.set_env("DOCKER_HOST", &proxy.host());
    let mut points = 0;
    for at in 0.. {
        if !apply_and_kill(&project, &proxy, &mark, at) {
            break;
        }
        points += 1;
        project.apply().ok();
        project.assert_no_changes();
        // One of everything.
        let mut objects = name.objects();
        objects.sort();
        let expected = [
            format!("container {}", name.container("backend")),
            format!("container {}", name.container("dashboard")),
            format!("network {}", name.as_str()),
            format!("volume {}", name.volume()),
        ];
        assert_eq!(objects, expected, "after a kill at call {at}");
        let key = project.state("convex_deployment.app")["admin_key"].clone();
        let header = format!("Authorization: Convex {}", key.as_str().expect("a key"));
        let url = "http://127.0.0.1:3210/api/check_admin_key";
        let backend = name.container("backend");
        docker(&["exec", &backend, "curl", "-sSf", "-H", &header, url]);
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
    project.destroy().ok();
    assert!(points > 15, "only {points} points");
    println!("killed at {points} points of a create");
}
