//! Why a backend ended, found out from how it ended and what it said.

use serde_json::json;

use super::{
    super::{config, deployment as block},
    objects,
};
use crate::support::{
    backend::Backend,
    docker::{Name, docker, images},
    driver::{Driver, deployment},
    terraform::{Core, Project},
};

/// The image of the backend with another program, and the promise to remove it.
struct Image(String);

impl Image {
    fn that_runs(name: &Name, script: &str) -> Self {
        let made = docker(&["create", &images().backend]);
        let image = Self(format!("{}-image:1", name.as_str()));
        let entrypoint = format!("ENTRYPOINT {}", json!(["sh", "-c", script]));
        docker(&["commit", "--change", &entrypoint, &made, &image.0]);
        docker(&["rm", "-v", &made]);
        image
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::process::Command::new("docker")
            .args(["rmi", "-f", &self.0])
            .output();
    }
}

#[test]
fn why_a_backend_ended_is_named_with_what_to_do() {
    let cases: [(&str, &[&str]); 5] = [
        (
            "sleep 1; x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo \"$x\" | wc -c; sleep 60",
            &["more memory than it may use", "backend.memory_mb"],
        ),
        (
            "echo 'Error: LeaseLost: the lease was lost to a newer one'; exit 0",
            &["another backend has taken its database over", "code 0"],
        ),
        (
            "echo 'Os { code: 28, message: \"No space left on device\" }'; exit 1",
            &["the disk is full", "docker system df"],
        ),
        (
            "exec /no/such/program",
            &["its start program is missing", "code 127"],
        ),
        ("echo first; echo last; exit 9", &["code 9", "first\nlast"]),
    ];
    let mut driver = Driver::new("");
    for (script, texts) in cases {
        let name = Name::new();
        let image = Image::that_runs(&name, script);
        let backend = json!({ "image": image.0, "memory_mb": 64 });
        let blocks = [deployment(&name, json!({ "backend": backend }))];
        let plan = driver.plan(&blocks);
        let errors = driver.try_to_apply(plan).expect_err(script);
        for text in texts {
            assert!(errors[0].contains(text), "no {text:?} in {errors:#?}");
        }
        driver.apply(&[]);
        assert_eq!(objects(&name), Vec::<String>::new());
    }
}

#[test]
fn a_volume_with_another_secret_is_told_from_a_backend_that_is_away() {
    let name = Name::new();
    let blocks = |attributes: &str, value: &str| {
        config(&format!(
            "{}\nresource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n variables = {{ A = {value:?} }}\n}}",
            block(&name, attributes)
        ))
    };
    let project = Project::new(Core::Installed, &blocks("", "1"));
    project.apply().ok();
    let container = name.container("backend");
    let secret = "ab".repeat(32);
    let script = format!("echo {secret} > /convex/data/credentials/instance_secret");
    docker(&["exec", &container, "sh", "-c", &script]);
    docker(&["restart", &container]);
    project.write("main.tf", &blocks("", "2"));
    project.apply().fails_with(&[
        "does not accept the admin key",
        "instance secret",
        "rotate_trigger",
        "-target",
    ]);
    // The way out that was named.
    project.write("main.tf", &blocks("rotate_trigger = \"1\"", "2"));
    let target = "-target=convex_deployment.app";
    let apply = ["apply", "-no-color", "-input=false", "-auto-approve"];
    project.run(&[&apply[..], &[target]].concat()).ok();
    project.apply().ok();
    project.assert_no_changes();
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    assert_eq!(backend.get("A").as_deref(), Some("2"));
    project.destroy().ok();
    assert_eq!(objects(&name), Vec::<String>::new());
}
