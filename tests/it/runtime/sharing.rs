//! Many resources on one host, and one configuration on many hosts.

use super::{blocks, project, quoted};
use crate::{
    resources::{config, configure, deployment},
    support::{
        backend::Backend,
        certificates::{Authority, Time},
        daemon::Daemon,
        docker::{Name, Proxy, images},
        gate::Gate,
        sshd::{Sshd, program},
        terraform::{Core, Project},
    },
};

/// The same deployment several times, by number.
fn many(name: &Name, count: usize) -> String {
    let images = images();
    format!(
        r#"
        resource "convex_deployment" "app" {{
          count     = {count}
          name      = "{name}-${{count.index}}"
          running   = false
          backend   = {{ image = {:?} }}
          dashboard = {{ image = {:?} }}
          volume    = {{ on_destroy = "delete" }}
        }}
        "#,
        images.backend,
        images.dashboard,
        name = name.as_str(),
    )
}

#[test]
fn all_resources_of_a_run_share_the_connection_to_a_host() {
    let authority = Authority::new();
    let proxy = Proxy::start();
    let server = authority.server(&["localhost"], Time::Now);
    let gate = Gate::with_tls(
        &proxy.socket().display().to_string(),
        authority.gate(&server),
    );
    let client = authority.client(Time::Now);
    let name = Name::new();
    let project = Project::new(
        Core::Installed,
        &config(&format!(
            "provider \"convex\" {{\n docker = {{\n host = \"tcp://localhost:{}\"\n tls = {{ ca_pem = {}, cert_pem = {}, key_pem = {} }}\n }}\n}}\n{}",
            gate.port(),
            quoted(&authority.pem()),
            quoted(&client.certificate()),
            quoted(&client.key()),
            many(&name, 8),
        )),
    );
    project.apply().ok();
    proxy.take();
    proxy.take_connections();
    let arguments = ["plan", "-no-color", "-input=false", "-detailed-exitcode"];
    let one_by_one = [&arguments[..], &["-parallelism=1"]].concat();
    assert_eq!(project.run(&one_by_one).code, 0);
    let calls = proxy.take();
    let pings = calls.iter().filter(|call| call.path == "/_ping").count();
    assert!(calls.len() > 8, "all are looked at: {calls:#?}");
    assert_eq!((pings, proxy.take_connections()), (1, 1), "{calls:#?}");

    // At the same time they take no more than there are questions at once.
    assert_eq!(project.run(&arguments).code, 0);
    let (calls, connections) = (proxy.take(), proxy.take_connections());
    let pings = calls.iter().filter(|call| call.path == "/_ping").count();
    assert_eq!(pings, connections);
    assert!(connections <= 20, "{connections} connections");
    println!("measured: 8 deployments in a plan: 1 connection one by one, {connections} at once");
    project.destroy().ok();
}

#[test]
fn nobody_is_dialled_or_asked_before_a_resource_needs_it() {
    let authority = Authority::new();
    let proxy = Proxy::start();
    let server = authority.server(&["localhost"], Time::Now);
    let gate = Gate::with_tls(
        &proxy.socket().display().to_string(),
        authority.gate(&server),
    );
    let client = authority.client(Time::Now);
    let sshd = Sshd::start();
    let name = Name::new();
    let docker = format!(
        "host = \"tcp://localhost:{}\"\ntls = {{ ca_pem = {}, cert_pem = {}, key_pem = {} }}\nhosts = {{ far = {{ host = {:?}, ssh = {{ private_key = {}, known_hosts = {} }} }}, named = {{ context = \"none\" }} }}",
        gate.port(),
        quoted(&authority.pem()),
        quoted(&client.certificate()),
        quoted(&client.key()),
        sshd.address(),
        quoted(&sshd.key()),
        quoted(&sshd.known_hosts()),
    );
    let far = deployment(&name, "docker = { host = \"far\" }").replace("\"app\"", "\"far\"");
    let named = deployment(&name, "docker = { host = \"named\" }").replace("\"app\"", "\"named\"");
    let mut project = project(&docker, &name, "");
    project.write("more.tf", &format!("{far}\n{named}"));
    let directory = project.path().join("bin");
    std::fs::create_dir_all(&directory).expect("a directory");
    let asked = project.path().join("asked");
    let script = format!("#!/bin/sh\ntouch {}\n", asked.display());
    program(&directory, "docker-credential-test", &script);
    std::fs::write(directory.join("config.json"), r#"{"credsStore":"test"}"#).expect("a file");
    let path = std::env::var("PATH").expect("PATH");
    project.set_env("PATH", &format!("{}:{path}", directory.display()));
    project.set_env("DOCKER_CONFIG", &directory.display().to_string());
    project.validate().ok();
    project.plan().ok().says(&["3 to add"]);
    assert_eq!(proxy.take_connections(), 0);
    assert_eq!((gate.let_in(), sshd.let_in()), (0, 0));
    assert!(!asked.exists());
}

#[test]
fn each_deployment_can_be_on_a_host_of_its_own() {
    let (own, other, third) = (Proxy::start(), Proxy::start(), Proxy::start());
    let (here, there, named) = (Name::new(), Name::new(), Name::new());
    let block = |name: &Name, label: &str, attributes: &str| {
        deployment(name, attributes).replace("\"app\"", &format!("{label:?}"))
    };
    let provider = format!(
        "provider \"convex\" {{\n docker = {{\n host = {:?}\n hosts = {{ third = {{ host = {:?} }} }}\n }}\n}}\n",
        own.host(),
        third.host()
    );
    let at_address = format!("docker = {{ host = {:?} }}", other.host());
    let env = r#"
        resource "convex_env" "app" {
          deployment = convex_deployment.named.id
          variables  = { A = "1" }
        }
    "#;
    let all = [
        provider.clone(),
        block(&here, "here", "running = false"),
        block(&there, "there", &format!("running = false\n{at_address}")),
        block(&named, "named", "docker = { host = \"third\" }"),
        env.to_owned(),
    ]
    .concat();
    let project = Project::new(Core::Installed, &config(&all));
    project.apply().ok();
    project.assert_no_changes();
    let id = |label: &str| project.state(&format!("convex_deployment.{label}"))["id"].clone();
    assert_eq!(id("here"), here.as_str());
    assert_eq!(id("there"), format!("{}@{}", there.as_str(), other.host()));
    assert_eq!(id("named"), format!("{}@third", named.as_str()));
    for (proxy, name) in [(&own, &here), (&other, &there), (&third, &named)] {
        let calls = proxy.take();
        let all_of = |name: &Name| calls.iter().any(|call| call.path.contains(name.as_str()));
        for one in [&here, &there, &named] {
            assert_eq!(all_of(one), one.as_str() == name.as_str(), "{calls:#?}");
        }
    }
    // What depends on a deployment goes where that is.
    let backend = Backend::of(&named, &project.state("convex_deployment.named"));
    let asked = backend.requests();
    let changes = asked
        .iter()
        .filter(|it| it.ends_with("/update_environment_variables"));
    assert_eq!(changes.count(), 1, "{asked:?}");

    // An import says the host behind the name.
    let address = "convex_deployment.named";
    project.run(&["state", "rm", address]).ok();
    let named_id = format!("{}@third", named.as_str());
    project
        .run(&["import", "-no-color", "-input=false", address, &named_id])
        .ok();
    project.apply().ok();
    project.assert_no_changes();

    // Another host is another deployment, and the reviewer is told.
    let moved = all.replace("docker = { host = \"third\" }", &at_address);
    configure(&project, &moved);
    project.plan().ok().says(&[
        "# forces replacement",
        "The new deployment starts without data",
        &format!("{}-data", named.as_str()),
    ]);
    configure(&project, &all.replace("\"third\" }\n", "\"fourth\" }\n"));
    project
        .plan()
        .fails_with(&["No such Docker host", "\"fourth\"", "\"third\""]);
    configure(&project, &all);
    project.destroy().ok();
    for name in [&here, &there, &named] {
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

#[test]
fn a_deployment_is_not_taken_for_gone_because_another_host_is_asked() {
    let daemon = Daemon::start(&Authority::new());
    let name = Name::new();
    let mut project = project("", &name, "running = false");
    project.apply().ok();
    let state = project.read("terraform.tfstate");
    project.set_env("DOCKER_HOST", &daemon.socket());
    for outcome in [project.plan(), project.apply(), project.destroy()] {
        outcome.fails_with(&[
            "The deployment is on another Docker host",
            "unix:///var/run/docker.sock",
            &daemon.socket(),
            "terraform state rm",
        ]);
    }
    assert_eq!(project.read("terraform.tfstate"), state);
    assert_eq!(daemon.docker(&["volume", "ls", "-q"]), "");
    project.set_env("DOCKER_HOST", "");
    project.assert_no_changes();

    // Another way to the same daemon is no other host.
    let gate = Gate::open("/var/run/docker.sock");
    project.set_env("DOCKER_HOST", &format!("tcp://127.0.0.1:{}", gate.port()));
    project.assert_no_changes();
    project.write(
        "main.tf",
        &blocks("", &name, "running = false\nlabels = { a = \"1\" }"),
    );
    project.apply().ok();
    project.set_env("DOCKER_HOST", "");
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());
}
