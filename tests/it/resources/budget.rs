//! How few requests it takes.

use super::{config, deployment};
use crate::support::{
    backend::Backend,
    docker::{Name, Proxy},
    terraform::{Core, Project},
};

#[test]
fn a_plan_without_changes_takes_seven_calls_of_docker_and_two_of_the_backend() {
    let name = Name::new();
    let proxy = Proxy::start();
    let blocks = deployment(&name, "")
        + r#"
        resource "convex_env" "app" {
          deployment = convex_deployment.app.id
          variables  = { A = "1", B = "2" }
          auth       = {}
        }
    "#;
    let mut project = Project::new(Core::Installed, &config(&blocks));
    project.set_env("DOCKER_HOST", &proxy.host());
    project.apply().ok();

    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    backend.requests();
    proxy.take();
    project.assert_no_changes();
    let calls = proxy.take();
    assert!(calls.len() <= 7, "{calls:#?}");
    assert!(calls.iter().all(|call| !call.changes()), "{calls:#?}");
    assert_eq!(
        backend.requests(),
        [
            "GET /api/v1/get_canonical_urls",
            "GET /api/list_environment_variables"
        ]
    );
    println!(
        "a plan without changes: {} calls of Docker, 2 of the backend",
        calls.len()
    );

    // A template is planned without Docker when it is imported.
    proxy.take();
    project.validate().ok();
    assert_eq!(proxy.take(), []);
    project.destroy().ok();
}

#[test]
fn a_first_plan_and_an_unused_provider_dial_nobody() {
    let proxy = Proxy::start();
    let name = Name::new();
    let mut project = Project::new(
        Core::Installed,
        &config(&format!(
            "provider \"convex\" {{}}\n{}",
            deployment(&name, "")
        )),
    );
    project.set_env("DOCKER_HOST", &proxy.host());
    project.plan().ok();
    assert_eq!(proxy.take(), []);
}
