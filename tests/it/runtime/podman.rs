//! Podman, by its own socket.

use crate::{
    resources::{config, configure, deployment},
    support::{
        docker::{Name, images},
        podman::Podman,
        terraform::{Core, Project},
    },
};

#[test]
fn a_whole_life_on_podman() {
    let podman = Podman::start();
    let images = images();
    podman.load(&[&images.backend, &images.dashboard]);
    let name = Name::new();
    let env = r#"
        resource "convex_env" "app" {
          deployment = convex_deployment.app.id
          variables  = { A = "1" }
        }
    "#;
    // Podman has a registry in the name of each image.
    let images = format!(
        "backend = {{ image = \"localhost/{}\" }}\n dashboard = {{ image = \"localhost/{}\" }}",
        images.backend, images.dashboard
    );
    let all = |attributes: &str| deployment(&name, &format!("{images}\n {attributes}")) + env;
    let mut project = Project::new(Core::Installed, &config(&all("")));
    project.set_env("DOCKER_HOST", &podman.address());
    project.apply().ok();
    project.assert_no_changes();
    let made = project.state("convex_deployment.app");

    configure(&project, &all("labels = { a = \"1\" }"));
    project.apply().ok();
    project.assert_no_changes();
    let changed = project.state("convex_deployment.app");
    assert_eq!(changed["admin_key"], made["admin_key"]);
    assert_ne!(changed["container_ids"], made["container_ids"]);

    configure(&project, &all("labels = { a = \"1\" }\n running = false"));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(podman.run(&["ps", "-aq"]), "");
    configure(&project, &all("labels = { a = \"1\" }"));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(
        project.state("convex_deployment.app")["admin_key"],
        made["admin_key"]
    );

    project.run(&["state", "rm", "convex_deployment.app"]).ok();
    let import = [
        "import",
        "-no-color",
        "-input=false",
        "convex_deployment.app",
        name.as_str(),
    ];
    project.run(&import).ok();
    project.apply().ok();
    project.assert_no_changes();

    project.destroy().ok();
    for what in [&["ps", "-aq"][..], &["volume", "ls", "-q"]] {
        assert_eq!(podman.run(what), "");
    }
}
