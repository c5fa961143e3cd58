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
    standin,
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
            "echo 'Caught error: Lease Lost'; echo 'Received a fatal error. Shutting down immediately'; exit 0",
            &["another backend has taken its database over", "code 0"],
        ),
        (
            "echo 'attempting to acquire lease'; echo 'Error: database or disk is full'; exit 1",
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

/// The backend says so in its log alone: to clients a disk that is full looks like
/// changes of others.
#[test]
fn a_full_disk_is_named_and_keeps_nobody_from_destroying_on_the_standin() {
    let name = Name::new();
    let variables = |value: &str| {
        let env = format!(
            "resource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n variables = {{ A = {value:?} }}\n}}"
        );
        config(&format!("{}\n{env}", block(&name, "")))
    };
    let project = Project::new(Core::Installed, &variables("1"));
    project.apply().ok();
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    let log = |line: &str| {
        let script = format!("echo {line:?} > /proc/1/fd/1");
        docker(&["exec", backend.container(), "sh", "-c", &script]);
    };
    let fail = |status: u16, code: &str| {
        backend.heal();
        backend.fail(&json!({
            "path": "/api/update_environment_variables", "kind": "status",
            "status": status, "code": code, "message": "Try again later.", "times": 1000,
        }));
    };
    project.write("main.tf", &variables("2"));
    fail(500, "InternalServerError");
    let outcome = project.apply();
    outcome.fails_with(&["The backend failed", "Try again later", "is unknown"]);
    log("ERROR Write failed. Unsure if transaction committed to disk.: database or disk is full");
    for (status, code) in [
        (500, "InternalServerError"),
        (503, "OptimisticConcurrencyControlFailure"),
    ] {
        fail(status, code);
        let outcome = project.apply();
        let outcome = outcome.fails_with(&["The backend's disk is full", "docker system df"]);
        assert!(!outcome.text().contains("Nothing was changed"));
    }
    project.destroy().ok().says(&["The backend's disk is full"]);
    assert_eq!(objects(&name), Vec::<String>::new());
}

/// A backend that ends whenever it is started is told with the cause, and neither
/// a plan nor what mends it has to wait for it.
#[test]
fn a_backend_in_a_loop_is_told_and_can_be_destroyed() {
    let name = Name::new();
    let blocks = format!(
        "{}\nresource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n variables = {{ A = \"1\" }}\n}}",
        block(&name, "internal_origins = true")
    );
    let project = Project::new(Core::Installed, &config(&blocks));
    project.apply().ok();
    let container = name.container("backend");
    let spoil = "cd /convex/data; rm -f db.sqlite3-*; echo garbage > db.sqlite3";
    docker(&["exec", &container, "sh", "-c", spoil]);
    docker(&["restart", "-t", "1", &container]);
    let restarting = || docker(&["inspect", "-f", "{{.State.Status}}", &container]) == "restarting";
    while !restarting() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let plan = project.plan().ok();
    plan.says(&["The backend keeps restarting", "database file is damaged"]);
    project.destroy().ok();
    assert_eq!(objects(&name), Vec::<String>::new());
}

/// What it does at one moment plays no part: this one serves for a while each time.
#[test]
fn a_backend_that_keeps_restarting_is_planned_in_the_same_way_each_time_on_the_standin() {
    let name = Name::new();
    let faulty = standin::faulty("exit_after_ms=3:7000");
    let project = Project::new(Core::Installed, &config(&block(&name, &faulty)));
    project.apply().ok();
    let inspect = |what: &str| docker(&["inspect", "-f", what, &name.container("backend")]);
    for status in ["running", "restarting", "running"] {
        while inspect("{{.RestartCount}} {{.State.Status}}")
            .trim_start_matches(|c: char| c.is_ascii_digit())
            != format!(" {status}")
            || inspect("{{.RestartCount}}") == "0"
        {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        project.plan().ok().says(&[
            "Warning: The backend keeps restarting",
            "Docker has restarted the backend of deployment",
            "It last ended with code 3",
            "~ running = false -> true",
        ]);
    }
    project.destroy().ok();
    assert_eq!(objects(&name), Vec::<String>::new());
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
