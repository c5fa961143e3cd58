//! Bad input is refused early, with its path and what to do.

use std::net::TcpListener;

use super::{config, configure, deployment, project};
use crate::support::{
    docker::{Name, images, port},
    on_each_core, standin,
    terraform::{Core, Project},
};

on_each_core! {
    fn slips_are_refused_at_validate_with_path_and_remedy(core) {
        let project = Project::new(core, &config(""));
        let long = "a".repeat(64);
        let cases: Vec<(String, Vec<&str>)> = vec![
            ("name = \"a|b\"".into(), vec!["Invalid value for name", "|"]),
            ("name = \"a:b\"".into(), vec!["Invalid value for name", ":"]),
            ("name = \"a_b\"".into(), vec!["Invalid value for name", "a-b"]),
            ("name = \"Ab\"".into(), vec!["Invalid value for name", "ab"]),
            (format!("name = {long:?}"), vec!["Invalid value for name", "64"]),
            ("name = \"a\"\n instance_name = \"A\"".into(), vec!["Invalid value for instance_name"]),
            ("name = \"a\"\n instance_secret = \"abc\"".into(), vec!["Invalid value for instance_secret", "64"]),
            (format!("name = \"a\"\n instance_secret = {:?}", "g".repeat(64)), vec!["Invalid value for instance_secret"]),
            ("name = \"a\"\n origins = { api = \"http://a/\" }".into(), vec!["Invalid value for origins.api", "`http://a`"]),
            ("name = \"a\"\n origins = { api = \"http://a?x=1\" }".into(), vec!["Invalid value for origins.api", "query"]),
            ("name = \"a\"\n origins = { api = \"a.example.com\" }".into(), vec!["Invalid value for origins.api", "https://a.example.com"]),
            ("name = \"a\"\n origins = { api = \"http://a/b\" }".into(), vec!["Invalid value for origins.api", "path"]),
            ("name = \"a\"\n origins = { site = \"http://a/http/\" }".into(), vec!["Invalid value for origins.site", "`http://a/http`"]),
            ("name = \"a\"\n origins = { dashboard = \"ftp://a\" }".into(), vec!["Invalid value for origins.dashboard", "scheme"]),
            ("name = \"a\"\n backend = { env = { INSTANCE_NAME = \"x\" } }".into(), vec!["Invalid value for backend.env[\"INSTANCE_NAME\"]"]),
            ("name = \"a\"\n backend = { env = { DISABLE_BEACON = \"\" } }".into(), vec!["Invalid value for backend.env[\"DISABLE_BEACON\"]"]),
            ("name = \"a\"\n backend = { env = { DO_NOT_REQUIRE_SSL = \"false\" } }".into(), vec!["Invalid value for backend.env[\"DO_NOT_REQUIRE_SSL\"]"]),
            ("name = \"a\"\n backend = { memory_mb = 1 }".into(), vec!["Invalid value for backend.memory_mb"]),
            ("name = \"a\"\n backend = { image = \"https://ghcr.io/x\" }".into(), vec!["Invalid value for backend.image", "scheme"]),
            ("name = \"a\"\n network = { publish = { api = 70000 } }".into(), vec!["Invalid value for network.publish.api", "65535"]),
            ("name = \"a\"\n volume = { on_destroy = \"keep\" }".into(), vec!["Invalid value for volume.on_destroy", "\"retain\" or \"delete\""]),
            ("name = \"a\"\n timeouts = { create = \"5\" }".into(), vec!["Invalid value for timeouts.create", "90s"]),
            ("name = \"a\"\n labels = { \"io.github.coder-convex.role\" = \"x\" }".into(), vec!["Invalid value for labels", "provider's own"]),
            ("name = null".into(), vec!["Required attribute is null", "name is required"]),
            ("name = \"a\"\n log = { max_size_mb = null, max_files = 3 }".into(), vec!["log.max_size_mb is required"]),
            ("name = \"a\"\n network = { networks = [\"a\", null] }".into(), vec!["network.networks[1] is null"]),
            ("name = \"a\"\n network = { container = \"\" }".into(), vec!["Invalid value for network.container", "empty"]),
            ("name = \"a\"\n origins = { api = \"http://a\", site = \"http://a\" }".into(), vec!["Invalid value for origins.site", "`/http`"]),
            ("name = \"a\"\n database = { url = \"mysql://u:p@h\", create = true }".into(), vec!["Invalid value for database.create", "MySQL"]),
            ("name = \"a\"\n runing = true".into(), vec!["Unsupported argument"]),
            ("name = \"a\"\n running = \"maybe\"".into(), vec!["a bool is required"]),
        ];
        for (attributes, texts) in cases {
            configure(&project, &format!("resource \"convex_deployment\" \"app\" {{\n {attributes}\n}}"));
            project.validate().fails_with(&texts);
        }
    }
}

on_each_core! {
    fn variables_are_checked_at_validate_with_the_path_of_the_culprit(core) {
        let project = Project::new(core, &config(""));
        let cases: Vec<(String, Vec<&str>)> = vec![
            ("deployment = \"a\"\n variables = { \"1A\" = \"\" }".into(), vec!["Invalid value for variables[\"1A\"]"]),
            ("deployment = \"a\"\n variables = { CONVEX_SITE_URL = \"x\" }".into(), vec!["Invalid value for variables[\"CONVEX_SITE_URL\"]"]),
            (format!("deployment = \"a\"\n variables = {{ {} = \"\" }}", "A".repeat(257)), vec!["Invalid value for variables", "256"]),
            ("deployment = \"a\"\n variables = { A = \"x\\u0000y\" }".into(), vec!["Invalid value for variables[\"A\"]", "NUL"]),
            ("deployment = \"a\"\n secrets = { A = { value_wo = \"x\\u0000y\" } }".into(), vec!["Invalid value for secrets[\"A\"].value_wo", "NUL"]),
            (format!("deployment = \"a\"\n variables = {{ A = {:?} }}", "x".repeat(8193)), vec!["Invalid value for variables[\"A\"]", "8192"]),
            (format!("deployment = \"a\"\n secrets = {{ A = {{ value = {:?} }} }}", "x".repeat(8193)), vec!["Invalid value for secrets[\"A\"].value"]),
            ("deployment = \"a\"\n variables = { A = \"\" }\n secrets = { A = { value = \"x\" } }".into(), vec!["Variable A is declared twice", "secrets[\"A\"]", "variables[\"A\"]"]),
            ("deployment = \"a\"\n variables = { JWKS = \"x\" }\n auth = {}".into(), vec!["Variable JWKS is declared twice", "variables[\"JWKS\"]"]),
            ("deployment = \"a\"\n auth = { private_key = \"-----BEGIN RSA PRIVATE KEY-----\" }".into(), vec!["Invalid value for auth.private_key"]),
            ("deployment = \"a\"\n auth = { issuer = \"http://a/\" }".into(), vec!["Invalid value for auth.issuer"]),
            ("deployment = \"a\"\n auth = { site_url = \"a.example.com\" }".into(), vec!["Invalid value for auth.site_url", "no scheme"]),
            ("variables = {}".into(), vec!["Which deployment?"]),
            ("deployment = \"a\"\n url = \"http://a\"".into(), vec!["Which deployment?"]),
            ("url = \"http://a\"".into(), vec!["Key missing"]),
            ("deployment = \"a\"\n admin_key = \"a|00\"".into(), vec!["Attribute without a use"]),
            ("url = \"http://a/\"\n admin_key = \"a|00\"".into(), vec!["Invalid value for url"]),
            ("url = \"http://a\"\n admin_key = \"a b\"".into(), vec!["Invalid value for admin_key"]),
        ];
        for (attributes, texts) in cases {
            configure(&project, &format!("resource \"convex_env\" \"app\" {{\n {attributes}\n}}"));
            project.validate().fails_with(&texts);
        }
    }
}

on_each_core! {
    fn a_variable_that_does_not_do_what_it_seems_to_is_pointed_at_once(core) {
        let name = Name::new();
        let attributes = |more: &str| format!(
            "backend = {{ image = {:?}, env = {{ SITE_URL = \"http://a\" }} }}\n running = false\n {more}",
            images().backend
        );
        let project = project(core, &name, &attributes(""));
        let warning = "SITE_URL is set for the backend's process, where no function can read it";
        project.apply().ok().says(&["Check the variable", warning]);
        configure(&project, &deployment(&name, &attributes("labels = { a = \"1\" }")));
        let again = project.apply().ok().text();
        assert!(!again.contains("Check the variable"), "{again}");
        project.destroy().ok();
    }
}

on_each_core! {
    fn an_instance_name_is_for_ever(core) {
        let name = Name::new();
        let mut project = project(core, &name, "");
        project.apply().ok();
        configure(&project, &deployment(&name, "instance_name = \"another\""));
        let refusal = "The instance name cannot be changed";
        project.plan().fails_with(&[refusal, "npx convex export"]);
        // What is refused does not keep anybody from destroying.
        project.destroy().fails_with(&[refusal, "`terraform destroy -refresh=false`"]);
        project.set_env("CODER_WORKSPACE_TRANSITION", "destroy");
        project.run(&["plan", "-destroy", "-no-color", "-input=false"]).ok().says(&["1 to destroy"]);
        project.set_env("CODER_WORKSPACE_TRANSITION", "start");
        project.run(&["destroy", "-refresh=false", "-no-color", "-auto-approve"]).ok();
    }
}

#[test]
fn a_docker_that_is_down_refuses_or_is_too_old_says_so() {
    let name = Name::new();
    let mut project = project(Core::Installed, &name, "");
    project.set_env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    project.apply().fails_with(&[
        "Docker cannot be reached",
        "unix:///nowhere/docker.sock",
        "docker.host",
    ]);
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    project.set_env("DOCKER_HOST", &format!("tcp://127.0.0.1:{port}"));
    project.apply().fails_with(&["Docker cannot be reached"]);
    project.set_env("DOCKER_HOST", "nonsense");
    project
        .apply()
        .fails_with(&["Invalid Docker address", "DOCKER_HOST"]);

    // A daemon of 2015, as far as it matters.
    let old = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = old.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        while let Ok((mut stream, _)) = old.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(
                b"HTTP/1.1 404 Not Found\r\nApi-Version: 1.24\r\nContent-Length: 2\r\n\r\n{}",
            );
        }
    });
    project.set_env("DOCKER_HOST", &format!("tcp://127.0.0.1:{port}"));
    project
        .apply()
        .fails_with(&["Docker is too old", "1.24", "1.41"]);

    // The state of what exists survives a daemon that is away.
    project.set_env("DOCKER_HOST", "");
    project.apply().ok();
    project.set_env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    project.plan().fails_with(&["Docker cannot be reached"]);
    project.destroy().fails_with(&["Docker cannot be reached"]);
    project.set_env("DOCKER_HOST", "");
    project.assert_no_changes();
    project.destroy().ok();
}

#[test]
fn an_image_that_does_not_exist_is_named_and_a_second_apply_goes_on() {
    let name = Name::new();
    let missing = "backend = { image = \"localhost:1/no/such/image:1\" }";
    let project = project(Core::Installed, &name, missing);
    project
        .apply()
        .fails_with(&["Image cannot be had", "localhost:1/no/such/image:1"]);
    configure(&project, &deployment(&name, ""));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(name.objects().len(), 4);
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());
}

#[test]
fn a_taken_port_is_refused_and_its_holder_named() {
    let (name, holder) = (Name::new(), Name::new());
    let publish = |port: u16| format!("network = {{ publish = {{ dashboard = {port} }} }}");
    let taken = port();
    let first = project(Core::Installed, &holder, &publish(taken));
    first.apply().ok();
    let second = project(Core::Installed, &name, &publish(taken));
    second.apply().fails_with(&[
        "Port is taken",
        &taken.to_string(),
        &format!("container {}", holder.container("dashboard")),
    ]);
    assert_eq!(name.objects(), Vec::<String>::new(), "nothing was made");
    first.destroy().ok();

    // Taken by a program outside Docker, which shows at the start only.
    let program = TcpListener::bind(("127.0.0.1", taken)).expect("the port");
    second
        .apply()
        .fails_with(&["Port is taken", "outside Docker"]);
    drop(program);
    second.apply().ok();
    second.assert_no_changes();
    assert_eq!(name.objects().len(), 4);
    second.destroy().ok();
}

#[test]
fn a_backend_that_cannot_start_ends_the_wait_with_its_log_on_the_standin() {
    let name = Name::new();
    let faulty = |faults: &str| {
        let timeouts = "timeouts = { create = \"60s\", update = \"15s\" }";
        format!("{}\n {timeouts}", standin::faulty(faults))
    };
    let project = project(Core::Installed, &name, &faulty("exit_at_start=7"));
    let started = std::time::Instant::now();
    project.apply().fails_with(&[
        "The backend ended as soon as it was started",
        "code 7",
        "The end of its log:",
    ]);
    assert!(started.elapsed().as_secs() < 30, "the wait ended at once");

    // What was made is known, and the next apply goes on from it.
    assert_eq!(
        project.state("convex_deployment.app")["name"],
        name.as_str()
    );
    configure(&project, &deployment(&name, ""));
    project.apply().ok();
    project.assert_no_changes();
    let key = project.state("convex_deployment.app")["admin_key"].clone();

    configure(&project, &deployment(&name, &faulty("never_healthy")));
    project
        .apply()
        .fails_with(&["The backend does not answer", "timeouts"]);
    configure(&project, &deployment(&name, ""));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(project.state("convex_deployment.app")["admin_key"], key);
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());
}

/// A create that failed does not take older data with it.
#[test]
fn a_failed_create_over_old_data_never_deletes_it_on_the_standin() {
    let name = Name::new();
    let project = project(Core::Installed, &name, "volume = {}");
    project.apply().ok();
    let key = project.state("convex_deployment.app")["admin_key"].clone();
    project.destroy().ok();
    let faulty = standin::faulty("exit_at_start=1");
    configure(&project, &deployment(&name, &faulty));
    project.apply().fails_with(&["The backend ended"]);
    configure(&project, &deployment(&name, ""));
    project.apply().ok().says(&["Existing data taken over"]);
    assert_eq!(project.state("convex_deployment.app")["admin_key"], key);
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());
}
