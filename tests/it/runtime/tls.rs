//! Docker hosts that are reached by TLS.

use super::{blocks, project, quoted};
use crate::support::{
    certificates::{Authority, Pair, Time},
    daemon::Daemon,
    docker::{Name, SOCKET, images},
    gate::Gate,
};

fn tls(ca: &Authority, client: Option<&Pair>, more: &str) -> String {
    let client = client.map_or(String::new(), |pair| {
        format!(
            "cert_pem = {}\nkey_pem = {}\n",
            quoted(&pair.certificate()),
            quoted(&pair.key())
        )
    });
    format!(
        "tls = {{\nca_pem = {}\n{client}{more}\n}}",
        quoted(&ca.pem())
    )
}

fn at(host: &str, tls: &str) -> String {
    format!("host = {host:?}\n{tls}")
}

#[test]
fn a_second_daemon_behind_tls_runs_a_deployment_and_lets_in_nobody_else() {
    let authority = Authority::new();
    let client = authority.client(Time::Now);
    let daemon = Daemon::start(&authority);
    let images = images();
    daemon.load(&[&images.backend, &images.dashboard]);

    let name = Name::new();
    let right = at(&daemon.address(), &tls(&authority, Some(&client), ""));
    let project = project(&right, &name, "");
    project.apply().ok();
    project.assert_no_changes();
    let running = daemon.docker(&["ps", "--format", "{{.Names}}"]);
    assert!(running.contains(&name.container("backend")), "{running}");
    assert_eq!(name.objects(), Vec::<String>::new(), "on the first daemon");
    let state = project.read("terraform.tfstate");
    assert!(!state.contains("PRIVATE KEY"), "the key is in the state");

    let refused = |docker: &str, texts: &[&str]| {
        project.write("main.tf", &blocks(docker, &name, ""));
        let outcome = project.plan().fails_with(texts);
        assert!(
            outcome.text().contains(&daemon.address()),
            "{}",
            outcome.text()
        );
        outcome
    };
    let host = daemon.address();
    let other = Authority::new();
    refused(
        &at(&host, &tls(&other, Some(&client), "")),
        &[
            "The Docker daemon's certificate is not trusted",
            "docker.tls.ca_pem",
        ],
    );
    refused(
        &at(&host, &tls(&authority, None, "")),
        &[
            "The Docker daemon wants a client certificate",
            "docker.tls.cert_pem",
        ],
    );
    refused(
        &at(&host, &tls(&authority, Some(&other.client(Time::Now)), "")),
        &[
            "The Docker daemon refuses the client certificate",
            "tlscacert",
        ],
    );
    refused(
        &at(
            &host,
            &tls(&authority, Some(&authority.client(Time::Past)), ""),
        ),
        &[
            "The client certificate for Docker is out of its time",
            "until 2020-03-04",
        ],
    );
    let by_address = host.replace("localhost", "127.0.0.1");
    project.write(
        "main.tf",
        &blocks(
            &at(&by_address, &tls(&authority, Some(&client), "")),
            &name,
            "",
        ),
    );
    project
        .plan()
        .fails_with(&["certificate is for another name", "docker.tls.server_name"]);
    refused(
        &at(&host, ""),
        &["The Docker daemon speaks TLS only", "DOCKER_TLS_VERIFY"],
    );

    // The name in the certificate can be given, and the way changes nothing.
    let named = tls(&authority, Some(&client), "server_name = \"localhost\"");
    project.write("main.tf", &blocks(&at(&by_address, &named), &name, ""));
    project.assert_no_changes();
    project.destroy().ok();
    let left = daemon.docker(&["ps", "-aq"]) + &daemon.docker(&["volume", "ls", "-q"]);
    assert_eq!(left, "");
}

#[test]
fn a_daemon_with_an_old_certificate_or_without_tls_is_named() {
    let authority = Authority::new();
    let client = authority.client(Time::Now);
    let settings = tls(&authority, Some(&client), "");
    let name = Name::new();
    let old = authority.server(&["localhost"], Time::Past);
    let old = Gate::with_tls(SOCKET, authority.gate(&old));
    let host = format!("tcp://localhost:{}", old.port());
    let project = project(&at(&host, &settings), &name, "running = false");
    project.apply().fails_with(&[
        "The Docker daemon's certificate is out of its time",
        "Renew the daemon's certificate",
    ]);

    let plain = Gate::open(SOCKET);
    let host = format!("tcp://localhost:{}", plain.port());
    project.write(
        "main.tf",
        &blocks(&at(&host, &settings), &name, "running = false"),
    );
    project
        .apply()
        .fails_with(&["The Docker daemon does not speak TLS", "2376"]);
    assert_eq!(old.let_in(), 0, "nobody was let in");
    assert_eq!(name.objects(), Vec::<String>::new());
}

#[test]
fn the_variables_of_docker_are_enough_for_tls() {
    let authority = Authority::new();
    let server = authority.server(&["localhost"], Time::Now);
    let gate = Gate::with_tls(SOCKET, authority.gate(&server));
    let directory = tempfile::tempdir().expect("a directory");
    authority
        .client(Time::Now)
        .write(&authority, directory.path());
    let name = Name::new();
    let mut project = project("", &name, "running = false");
    project.set_env("DOCKER_HOST", &format!("tcp://localhost:{}", gate.port()));
    project.set_env("DOCKER_TLS_VERIFY", "1");
    project.set_env("DOCKER_CERT_PATH", &directory.path().display().to_string());
    project.apply().ok();
    project.assert_no_changes();
    project.destroy().ok();
    assert!(gate.let_in() > 0);

    std::fs::write(directory.path().join("ca.pem"), "nothing").expect("a file");
    project.apply().fails_with(&[
        "TLS to Docker cannot be set up",
        "DOCKER_CERT_PATH",
        "There is no certificate in ca_pem",
    ]);
}

#[test]
fn what_tls_and_ssh_cannot_use_is_refused_at_validate() {
    let authority = Authority::new();
    let (pair, other) = (authority.client(Time::Now), authority.client(Time::Now));
    let name = Name::new();
    let project = project("", &name, "");
    let (cert, key) = (quoted(&pair.certificate()), quoted(&pair.key()));
    let strange = quoted(&other.key());
    let tcp = "host = \"tcp://h:2376\"";
    for (docker, texts) in [
        (
            format!("{tcp}\ntls = {{ ca_pem = \"x\" }}"),
            &["Invalid value for docker.tls.ca_pem", "BEGIN CERTIFICATE"][..],
        ),
        (
            format!("{tcp}\ntls = {{ cert_pem = {cert} }}"),
            &[
                "Invalid value for docker.tls.key_pem",
                "Give both or neither",
            ],
        ),
        (
            format!("{tcp}\ntls = {{ key_pem = {key} }}"),
            &["Invalid value for docker.tls.cert_pem"],
        ),
        (
            format!("{tcp}\ntls = {{ cert_pem = {cert}, key_pem = {strange} }}"),
            &["Invalid value for docker.tls.key_pem", "belong together"],
        ),
        (
            format!("{tcp}\ntls = {{ cert_pem = {cert}, key_pem = \"x\" }}"),
            &["Invalid value for docker.tls.key_pem", "PKCS#8"],
        ),
        (
            "host = \"unix:///a\"\ntls = {}".into(),
            &["Invalid value for docker.tls", "tcp://"],
        ),
        (
            format!("{tcp}\nssh = {{ private_key = \"x\" }}"),
            &["Invalid value for docker.ssh.private_key"],
        ),
        (
            "host = \"ssh://h\"\nssh = { known_hosts = \"x\" }".into(),
            &["Invalid value for docker.ssh.known_hosts", "ssh-keyscan"],
        ),
        (
            "host = \"ssh://-oProxyCommand=x\"".into(),
            &["Invalid Docker address"],
        ),
        (
            "host = \"ssh://me:hunter22@h\"".into(),
            &["Invalid Docker address", "password"],
        ),
        (
            "host = \"tcp://h\"\ncontext = \"c\"".into(),
            &["Invalid value for docker.context", "either"],
        ),
        (
            "hosts = { gpu = {} }".into(),
            &[
                "Invalid value for docker.hosts[\"gpu\"]",
                "`host` and `context`",
            ],
        ),
        (
            "hosts = { \"a b\" = { host = \"ssh://h\" } }".into(),
            &["is no name for a Docker host"],
        ),
        (
            "registry_auth = { \"ghcr.io\" = { username = \"me\" } }".into(),
            &[
                "Invalid value for docker.registry_auth[\"ghcr.io\"]",
                "identity_token",
            ],
        ),
        (
            "registry_auth = { \"ghcr.io\" = { username = \"me\", password = \"\" } }".into(),
            &["Invalid value for docker.registry_auth[\"ghcr.io\"].password"],
        ),
    ] {
        project.write("main.tf", &blocks(&docker, &name, ""));
        let outcome = project.validate().fails_with(texts);
        assert!(!outcome.text().contains("hunter22"));
    }
    project.write("main.tf", &blocks("host = \"tcp://h:2375\"", &name, ""));
    project
        .validate()
        .ok()
        .says(&["Docker without encryption", "docker.tls"]);
    let careless = format!("{tcp}\ntls = {{ verify = false }}");
    project.write("main.tf", &blocks(&careless, &name, ""));
    project
        .validate()
        .ok()
        .says(&["The Docker daemon is not verified"]);
}
