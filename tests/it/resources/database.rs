//! A deployment whose data is on a real PostgreSQL server.

use serde_json::Value as Json;

use super::{config, configure, deployment, project};
use crate::support::{
    backend::Backend,
    docker::{Bridge, Name, docker, images},
    on_each_core,
    postgres::Server,
    terraform::{Core, Project},
};

/// A server that containers reach, too.
pub struct Reachable {
    server: Server,
    pub host: String,
    _bridge: Bridge,
}

impl Reachable {
    pub fn start(name: &Name, tls: &str) -> Self {
        let server = Server::with(&format!("ssl = {tls}\nlisten_addresses = '*'"));
        server.rules("host all all all scram-sha-256");
        let bridge = Bridge::beside(name);
        Self {
            server,
            host: bridge.host(),
            _bridge: bridge,
        }
    }

    /// The server's URL as containers see it.
    pub fn url(&self, rest: &str) -> String {
        self.server.url(rest).replace("localhost", &self.host)
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Gives the server a certificate of a new authority, which is returned.
    fn certify(&self, name: &str) -> String {
        let names = vec![name.to_owned()];
        let params = rcgen::CertificateParams::new(names).expect("a name");
        self.server.certify(&params);
        self.server.reload();
        std::fs::read_to_string(self.server.authority()).expect("the authority")
    }

    fn has(&self, database: &str) -> bool {
        let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'");
        self.server.sql("postgres", &sql).trim() == "1"
    }
}

fn database(url: &str, more: &str) -> String {
    format!("database = {{\n  url = {url:?}\n  {more}\n}}")
}

fn environment(name: &Name) -> String {
    docker(&[
        "inspect",
        "-f",
        "{{json .Config.Env}}",
        &name.container("backend"),
    ])
}

on_each_core! {
    fn a_fresh_server_with_tls_by_a_private_authority_carries_a_deployment_in_one_apply(core) {
        let name = Name::new();
        let server = Reachable::start(&name, "on");
        let authority = server.certify(&server.host);
        let more = format!("create = true\n  ssl_mode = \"verify-full\"\n  ca_pem = {authority:?}\n max_connections = 16");
        let given = server.url("/app?connect_timeout=5");
        let attributes = format!("instance_name = \"my-app\"\n{}", database(&given, &more));
        let project = project(core, &name, &attributes);
        let plan = project.plan().ok().says(&[r#"database_name    = "my_app""#]);
        assert!(!plan.text().contains("secret@"), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        assert!(server.has("my_app"));
        let documents = server.server.sql("my_app", "SELECT count(*) FROM leases");
        assert_eq!(documents.trim(), "1");
        let made = project.state("convex_deployment.app");
        let env_local = made["env_local"].as_str().expect("text");
        assert!(env_local.contains(&server.host), "{env_local}");
        assert!(!environment(&name).contains("/app?"), "the path is not for the backend");

        // Stopped and started: the same database.
        configure(&project, &deployment(&name, &format!("{attributes}\nrunning = false")));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &deployment(&name, &attributes));
        project.apply().ok();
        project.assert_no_changes();

        // A new certificate of another authority: the backend starts anew with it.
        let other = server.certify(&server.host);
        let renewed = attributes.replace(&format!("{authority:?}"), &format!("{other:?}"));
        configure(&project, &deployment(&name, &renewed));
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
        assert!(server.has("my_app"), "a server's data is not ours to delete");
    }
}

/// Applies a database that cannot work; nothing may be started.
fn refused(core: Core, database: &str, says: &[&str]) {
    let name = Name::new();
    let attributes = format!("instance_name = \"my-app\"\n{database}");
    let project = project(core, &name, &attributes);
    let failed = project.apply();
    let failed = failed.fails_with(says);
    // Terraform itself shows the line of the configuration.
    let text = failed.text();
    let told = text.lines().filter(|line| !line.contains("url = "));
    assert!(told.clone().all(|line| !line.contains("hunter2")), "{text}");
    assert_ne!(told.count(), 0);
    let objects = name.objects();
    assert!(
        !objects.iter().any(|it| it.starts_with("container")),
        "{objects:?}"
    );
}

on_each_core! {
    fn each_wrong_input_has_a_diagnostic_of_its_own_before_anything_starts(core) {
        let (one, two) = (Name::new(), Name::new());
        let plain = Reachable::start(&one, "off");
        let secure = Reachable::start(&two, "on");
        let authority = secure.certify("db.example.com");
        plain.server.sql("postgres", "CREATE ROLE poor LOGIN PASSWORD 'hunter2'");
        let good = plain.url("");
        let off = "ssl_mode = \"disable\"";
        let create = "ssl_mode = \"disable\"\n create = true";

        let nowhere = good.replace(&plain.host, "no-such-host.invalid");
        refused(core, &database(&nowhere, off), &["check the host", "no-such-host.invalid"]);
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let closed = free.local_addr().expect("an address").port().to_string();
        drop(free);
        let closed = good.replace(&plain.server.port.to_string(), &closed);
        refused(core, &database(&closed, off), &["No database server at this port"]);
        let stranger = good.replace("convex:secret", "nobody:hunter2");
        refused(core, &database(&stranger, off), &["The database server refuses the"]);
        let wrong = good.replace(":secret@", ":hunter2@");
        refused(core, &database(&wrong, off), &["refuses the password"]);
        refused(core, &database(&good, ""), &["No secure connection", "does not offer"]);
        let secured = secure.url("");
        refused(core, &database(&secured, ""), &["No secure connection", "unknown authority"]);
        let trusted = format!("ca_pem = {authority:?}");
        refused(core, &database(&secured, &trusted), &["No secure connection", "db.example.com"]);
        refused(core, &database(&good, off), &["The database cannot be used", "my_app", "create = true"]);
        let poor = good.replace("convex:secret", "poor:hunter2");
        refused(core, &database(&poor, create), &["poor"]);
        let inside = plain.server.url("");
        refused(core, &database(&inside, off), &["localhost", "the backend's own container"]);
    }
}

on_each_core! {
    fn a_url_that_is_not_stored_is_used_whenever_the_backend_is_made(core) {
        let name = Name::new();
        let server = Reachable::start(&name, "off");
        server.server.create_database("my_app");
        let given = server.url("?sslmode=disable");
        let with = |version: u8, more: &str| {
            deployment(&name, &format!("instance_name = \"my-app\"\nsecrets_in_state = false\n{more}\ndatabase = {{\n url_wo = {given:?}\n url_wo_version = {version}\n}}"))
        };
        let project = Project::new(core, &config(&with(1, "")));
        project.apply().ok();
        project.assert_no_changes();
        assert!(environment(&name).contains(&server.host));
        let state = project.read("terraform.tfstate");
        assert!(!state.contains("secret@"), "the URL is in the state");
        let id = |project: &Project| project.state("convex_deployment.app")["container_ids"]["backend"].clone();
        let first = id(&project);

        configure(&project, &with(2, ""));
        project.apply().ok();
        project.assert_no_changes();
        assert_ne!(id(&project), first);

        configure(&project, &with(2, "running = false"));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &with(2, ""));
        project.apply().ok();
        project.assert_no_changes();
        assert!(environment(&name).contains(&server.host));

        let stored = deployment(&name, &format!("secrets_in_state = false\n{}", database(&given, "")));
        configure(&project, &stored);
        project.plan().fails_with(&["A secret that would be in the state", "url_wo"]);
        configure(&project, &with(2, ""));
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_url_that_is_made_in_the_same_run_is_checked_when_it_is_there(core) {
        let name = Name::new();
        let server = Reachable::start(&name, "off");
        let blocks = format!(
            "resource \"terraform_data\" \"server\" {{\n  input = {:?}\n}}\n{}",
            server.url(""),
            deployment(&name, "database = {\n  url = terraform_data.server.output\n  ssl_mode = \"disable\"\n  create = true\n}"),
        );
        let project = Project::new(core, &config(&blocks));
        project.apply().ok();
        project.assert_no_changes();
        let made = project.state("convex_deployment.app");
        assert_eq!(made["database_name"], Json::from(name.as_str().replace('-', "_")));
        assert!(server.has(&name.as_str().replace('-', "_")));
        project.destroy().ok();
    }
}

on_each_core! {
    fn two_deployments_never_use_one_database(core) {
        let (first, second) = (Name::new(), Name::new());
        let server = Reachable::start(&first, "off");
        let attributes = format!(
            "instance_name = \"shared\"\n{}",
            database(&server.url(""), "ssl_mode = \"disable\"\n create = true")
        );
        let one = project(core, &first, &attributes);
        one.apply().ok();
        let two = project(core, &second, &attributes);
        two.apply().fails_with(&["Another backend is using the database", "shared", "instance_name"]);
        one.assert_no_changes();
        let state = docker(&["inspect", "-f", "{{.State.Running}}", &first.container("backend")]);
        assert_eq!(state, "true");
        two.destroy().ok();
        one.destroy().ok();
    }
}

/// A container whose network a deployment shares, and the promise to remove it.
struct Lender(String);

impl Lender {
    fn start(name: &Name) -> Self {
        let lender = Self(format!("{}-workspace", name.as_str()));
        let image = &images().backend;
        docker(&[
            "run",
            "-d",
            "--name",
            &lender.0,
            "--entrypoint",
            "sleep",
            image,
            "600",
        ]);
        lender
    }
}

impl Drop for Lender {
    fn drop(&mut self) {
        docker(&["rm", "-f", "-v", &self.0]);
    }
}

/// The server keeps the connections of such a backend for hours.
#[test]
fn a_backend_whose_network_went_first_is_not_taken_for_another_one() {
    let name = Name::new();
    let server = Reachable::start(&name, "off");
    let attributes = |container: &str| {
        let database = database(&server.url(""), "ssl_mode = \"disable\"\n create = true");
        deployment(
            &name,
            &format!("network = {{ container = {container} }}\n{database}"),
        )
    };
    let mut lender = Lender::start(&name);
    let joined = attributes(&format!("{:?}", lender.0));
    let project = Project::new(Core::Installed, &config(&joined));
    project.apply().ok();
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = ''
        AND datname = current_database() AND backend_type = 'client backend'";
    let connected = || server.server.sql(&name.as_str().replace('-', "_"), sql);
    for _ in 0..2 {
        drop(lender);
        configure(&project, &attributes("null"));
        project.apply().ok();
        assert_ne!(connected().trim(), "0", "it could take leave");
        lender = Lender::start(&name);
        configure(&project, &joined);
        project.apply().ok();
        project.assert_no_changes();
    }
    project.destroy().ok();
    drop(lender);
}

on_each_core! {
    fn a_mysql_server_is_passed_through(core) {
        let name = Name::new();
        let attributes = format!(
            "backend = {{ image = {:?} }}\nrunning = false\n{}",
            images().backend,
            database("mysql://convex:secret@db.example.com:3306/app", "")
        );
        let project = project(core, &name, &attributes);
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
    }
}

/// The URL is in no state, and the kind of its server is remembered all the same.
#[test]
fn data_stays_on_its_kind_of_database_unless_its_loss_is_allowed() {
    let name = Name::new();
    let server = Reachable::start(&name, "off");
    server.server.create_database("my_app");
    let published = "network = { publish = { api = 0 } }";
    let without = |more: &str| {
        let app = deployment(
            &name,
            &format!("instance_name = \"my-app\"\n{published}\n{more}"),
        );
        format!(
            r#"{app}
            resource "convex_env" "by_id" {{
              deployment = convex_deployment.app.id
              variables  = {{ BY_ID = "1" }}
            }}
            resource "convex_env" "by_url" {{
              url       = convex_deployment.app.urls.api
              admin_key = convex_deployment.app.admin_key
              variables = {{ BY_URL = "1" }}
            }}"#
        )
    };
    let on = |url: &str, more: &str| {
        without(&format!(
            "database = {{\n url_wo = {url:?}\n url_wo_version = 1\n}}\n{more}"
        ))
    };
    let url = server.url("?sslmode=disable");
    let project = Project::new(Core::Installed, &config(&on(&url, "")));
    project.apply().ok();
    let kind = |project: &Project| project.state("convex_deployment.app")["database_kind"].clone();
    assert_eq!(kind(&project), "postgresql");
    let state = project.read("terraform.tfstate");
    assert!(
        !state.contains(&server.host),
        "not among what projects are told either"
    );
    configure(&project, &without(""));
    let refusal = "The kind of database cannot be changed";
    project.plan().fails_with(&[refusal, "allow_data_loss"]);
    configure(
        &project,
        &on("mysql://convex:secret@db.example.com:3306", ""),
    );
    project.plan().fails_with(&[refusal, "MySQL"]);
    // Another server of the same kind is the user's own business.
    configure(
        &project,
        &on(
            &url.replace("my-app", "x")
                .replace('?', "?connect_timeout=5&"),
            "labels = { a = \"1\" }",
        ),
    );
    project.apply().ok();

    configure(&project, &without("allow_data_loss = true"));
    project.apply().ok().says(&[
        "Documents are left behind",
        "the database \"my_app\" on the server",
        r#"~ database_kind = "postgresql" -> "sqlite""#,
        "0 added, 3 changed, 0 destroyed",
    ]);
    let backend = Backend::of(&name, &project.state("convex_deployment.app"));
    for variable in ["BY_ID", "BY_URL"] {
        assert_eq!(backend.get(variable).as_deref(), Some("1"), "{variable}");
    }
    configure(&project, &without("allow_data_loss = true"));
    project.assert_no_changes();
    configure(&project, &without(""));
    project.apply().ok();
    project.assert_no_changes();
    assert!(!environment(&name).contains("POSTGRES_URL"));
    assert!(server.has("my_app"));
    project.run(&["state", "rm", "convex_deployment.app"]).ok();
    project
        .run(&[
            "import",
            "-no-color",
            "convex_deployment.app",
            name.as_str(),
        ])
        .ok();
    assert_eq!(kind(&project), "sqlite");
    configure(&project, &on(&url, ""));
    project.plan().fails_with(&[refusal, "db.sqlite3"]);
    configure(&project, &without(""));
    project.destroy().ok();
}
