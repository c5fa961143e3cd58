//! What others change is found and put right.

use super::{configure, deployment, project};
use crate::support::{
    docker::{Name, docker, images},
    on_each_core,
};

/// Makes the backend's container anew by hand, with this environment variable
/// beside its own, or in place of one of them.
fn remake_backend(name: &Name, variable: &str) {
    let container = name.container("backend");
    let listed = |format: &str| docker(&["inspect", "-f", format, &container]);
    let env = listed("{{range .Config.Env}}{{println .}}{{end}}");
    let labels = listed("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}}{{println}}{{end}}");
    let (changed, _) = variable.split_once('=').expect("a name and a value");
    docker(&["rm", "-f", &container]);
    let mount = format!("{}:/convex/data", name.volume());
    let mut arguments: Vec<String> = ["run", "-d", "--restart", "unless-stopped", "--name"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    arguments.extend([container, "--network".to_owned(), name.as_str().to_owned()]);
    arguments.extend(["--network-alias".to_owned(), name.as_str().to_owned()]);
    arguments.extend(["-v".to_owned(), mount, "-e".to_owned(), variable.to_owned()]);
    for pair in env.lines().filter(|pair| {
        !pair.is_empty() && !pair.starts_with("PATH=") && !pair.starts_with(&format!("{changed}="))
    }) {
        arguments.extend(["-e".to_owned(), pair.to_owned()]);
    }
    for label in labels.lines().filter(|label| !label.is_empty()) {
        arguments.extend(["--label".to_owned(), label.to_owned()]);
    }
    arguments.extend(["--security-opt", "no-new-privileges"].map(str::to_owned));
    arguments.push(images().backend.clone());
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    docker(&arguments);
}

on_each_core! {
    fn containers_that_were_removed_or_stopped_come_back(core) {
        let name = Name::new();
        let project = project(core, &name, "");
        project.apply().ok();
        let key = project.state("convex_deployment.app")["admin_key"].clone();
        let disturbances: [&[&str]; 5] = [
            &["rm", "-f", &name.container("backend")],
            &["stop", &name.container("backend")],
            &["rm", "-f", &name.container("dashboard")],
            &["kill", &name.container("dashboard")],
            &["rm", "-f", &name.container("backend"), &name.container("dashboard")],
        ];
        for disturbance in disturbances {
            docker(disturbance);
            project.plan().ok().says(&["0 to add, 1 to change, 0 to destroy"]);
            project.apply().ok();
            project.assert_no_changes();
            assert_eq!(project.state("convex_deployment.app")["admin_key"], key);
            assert_eq!(name.objects().len(), 4);
        }
        project.destroy().ok();
    }
}

on_each_core! {
    fn an_environment_that_was_edited_shows_by_attribute_and_is_repaired(core) {
        let name = Name::new();
        let attributes = format!(
            "internal_origins = false\n backend = {{ image = {:?}, env = {{ MINE = \"1\" }} }}",
            images().backend
        );
        let project = project(core, &name, &attributes);
        project.apply().ok();
        for (variable, shown) in [
            ("CONVEX_CLOUD_ORIGIN=http://evil.example", r#"~ api = "http://evil.example" -> "http://localhost:3210""#),
            ("MINE=2", r#"~ "MINE" = "2" -> "1""#),
            ("ADDED=x", r#"- "ADDED" = "x" -> null"#),
            ("INSTANCE_NAME=other", "environment variable INSTANCE_NAME of the backend"),
        ] {
            remake_backend(&name, variable);
            project.plan().ok().says(&[shown, "1 to change"]);
            project.apply().ok();
            project.assert_no_changes();
            let env = docker(&["inspect", "-f", "{{.Config.Env}}", &name.container("backend")]);
            assert!(!env.contains(variable), "{env}");
        }
        // Made anew by hand, and right: nothing to do.
        remake_backend(&name, "MINE=1");
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_changed_memory_limit_is_set_back(core) {
        let name = Name::new();
        let attributes = format!("backend = {{ image = {:?}, memory_mb = 256 }}", images().backend);
        let project = project(core, &name, &attributes);
        project.apply().ok();
        docker(&["update", "--memory", "128m", "--memory-swap", "128m", &name.container("backend")]);
        project.plan().ok().says(&["~ memory_mb = 128 -> 256"]);
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_deployment_that_is_gone_is_made_again(core) {
        let name = Name::new();
        let project = project(core, &name, "");
        project.apply().ok();
        docker(&["rm", "-f", &name.container("backend"), &name.container("dashboard")]);
        docker(&["volume", "rm", &name.volume()]);
        project.plan().ok().says(&["Deployment is gone", "its data is lost", "1 to add"]);
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
        // What is gone already is no trouble to destroy.
        project.apply().ok();
        docker(&["rm", "-f", &name.container("backend")]);
        project.destroy().ok();
        configure(&project, &deployment(&name, ""));
    }
}
