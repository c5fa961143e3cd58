//! A backend that was just started: it serves a while after its container runs.

use super::{
    super::{config, deployment},
    objects,
};
use crate::support::{
    docker::{Name, docker},
    on_each_core, standin,
    terraform::{Core, Project},
};

/// A deployment whose backend takes so long to serve, and a variable of it.
fn blocks(name: &Name, start_ms: u32, value: &str, timeouts: &str) -> String {
    let attributes = format!(
        "{}\ninternal_origins = true\n{timeouts}",
        standin::faulty(&format!("start_delay_ms={start_ms}"))
    );
    let deployment = deployment(name, &attributes);
    config(&format!(
        "{deployment}\nresource \"convex_env\" \"app\" {{\n  deployment = convex_deployment.app.id\n  variables = {{ A = {value:?} }}\n{timeouts}\n}}"
    ))
}

fn restart(name: &Name) {
    docker(&["restart", "-t", "0", &name.container("backend")]);
}

on_each_core! {
    fn a_backend_that_was_just_restarted_is_waited_for_on_the_standin(core) {
        let name = Name::new();
        let with_data = |value: &str| {
            let data = "data \"convex_env\" \"app\" {\n  deployment = convex_deployment.app.id\n}\n";
            blocks(&name, 3000, value, "") + data
        };
        let project = Project::new(core, &with_data("1"));
        project.apply().ok();
        restart(&name);
        project.assert_no_changes();
        restart(&name);
        project.write("main.tf", &with_data("2"));
        project.apply().ok().says(&["1 changed"]);
        restart(&name);
        project.destroy().ok();
        assert_eq!(objects(&name), Vec::<String>::new());
    }
}

/// What is wrong with it must not keep anybody from mending or destroying it.
#[test]
fn one_that_does_not_come_to_serve_is_told_with_a_warning_on_the_standin() {
    let name = Name::new();
    let slow = blocks(&name, 20_000, "1", "  timeouts = { read = \"6s\" }");
    let project = Project::new(Core::Installed, &slow);
    project.apply().ok();
    restart(&name);
    let plan = project.plan().ok();
    plan.says(&["The backend does not answer", "within", "timeouts"]);
    project.destroy().ok();
    assert_eq!(objects(&name), Vec::<String>::new());
}
