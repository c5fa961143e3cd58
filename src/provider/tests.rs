//! What every member refuses and plans, without Docker.

mod env;
mod moves;

use std::sync::Arc;

use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use super::{Convex, Environment};
use crate::plugin::{
    Config, Cx, Diagnostic, Diagnostics, Private, Provider, Severity,
    value::{Path, Value},
};

fn convex() -> Convex {
    Convex::new(Environment::default())
}

/// The configuration of a deployment that gives these values, each by its path.
fn deployment(values: &[(&str, Value)]) -> Value {
    let members = convex().members();
    let mut config = members.resources["convex_deployment"].schema().empty();
    for (path, value) in [("name", Value::from("my-app"))].iter().chain(values) {
        let steps: Vec<_> = path.split('.').collect();
        set(&mut config, &steps, value.clone());
    }
    config
}

/// Puts a value where `steps` lead, through objects of which nothing else is given.
fn set(value: &mut Value, steps: &[&str], new: Value) {
    let [first, rest @ ..] = steps else {
        *value = new;
        return;
    };
    if value.is_null() {
        *value = Value::from([]);
    }
    let Value::Map(attributes) = value else {
        panic!("{first} is in no object");
    };
    set(
        attributes.entry((*first).to_owned()).or_insert(Value::Null),
        rest,
        new,
    );
}

/// What a plan to create it says.
fn plan(config: &Value) -> Diagnostics {
    planned(&Value::Null, config).1
}

/// A plan of a deployment, and what it says.
fn planned(prior: &Value, config: &Value) -> (Value, Diagnostics) {
    planned_of("convex_deployment", prior, config)
}

/// A plan of one of this kind, and what it says.
fn planned_of(kind: &str, prior: &Value, config: &Value) -> (Value, Diagnostics) {
    let (provider, members) = (convex(), convex().members());
    let empty = provider.schema().empty();
    let session = provider.configure(Config::new(&empty)).unwrap();
    let mut cx = Cx::new(
        Arc::new(session),
        Private::default(),
        CancellationToken::new(),
    );
    let resource = &members.resources[kind];
    let parts = resource.plan(&mut cx, prior, config).now_or_never();
    let parts = parts.unwrap();
    (parts.planned, parts.diagnostics)
}

fn validate(config: &Value) -> Diagnostics {
    convex().members().resources["convex_deployment"].validate(config)
}

fn places(found: &Diagnostics, severity: Severity) -> Vec<String> {
    let found = found.iter().filter(|it| it.severity() == severity);
    let place = |it: &Diagnostic| it.path().cloned().unwrap_or_default().to_string();
    found.map(place).collect()
}

#[test]
fn variables_that_something_else_sets_are_checked_by_name() {
    let members = convex().members();
    let names = |name: &str| Value::List(vec![name.into()]);
    let errors = |kind: &str, values: &[(&str, Value)]| {
        let resource = &members.resources[kind];
        let mut config = resource.schema().empty();
        for (path, value) in values {
            let steps: Vec<_> = path.split('.').collect();
            set(&mut config, &steps, value.clone());
        }
        places(&resource.validate(&config), Severity::Error)
    };
    let none = <[&str; 0]>::default();
    let project = |name| {
        let given = [
            ("directory", "/home/coder/app".into()),
            ("install.from_environment", names(name)),
        ];
        errors("convex_project", &given)
    };
    assert_eq!(project("OPENAI_API_KEY"), none);
    for refused in ["CONVEX_SELF_HOSTED_ADMIN_KEY", "CONVEX_SITE_URL", "A-B", ""] {
        let culprit = "install.from_environment[0]";
        assert_eq!(project(refused), [culprit], "{refused}");
    }
    let env = |name| {
        let given = [
            ("deployment", "app".into()),
            ("variables.A", "1".into()),
            ("unmanaged", names(name)),
        ];
        errors("convex_env", &given)
    };
    assert_eq!(env("B"), none);
    assert_eq!(env("A"), ["variables[\"A\"]"]);
    assert_eq!(env("A-B"), ["unmanaged[0]"]);
}

#[test]
fn a_required_attribute_of_any_member_is_not_null() {
    let members = convex().members();
    let mut culprits = Vec::new();
    for (name, resource) in &members.resources {
        let found = resource.validate(&resource.schema().empty());
        let found = found
            .iter()
            .filter(|it| it.summary() == "Required attribute is null");
        culprits.extend(found.map(|it| format!("{name}.{}", it.path().unwrap())));
    }
    for (name, source) in &members.data_sources {
        let found = source.validate(&source.schema().empty());
        let found = found
            .iter()
            .filter(|it| it.summary() == "Required attribute is null");
        culprits.extend(found.map(|it| format!("data.{name}.{}", it.path().unwrap())));
    }
    assert_eq!(
        culprits,
        [
            "convex_admin_key_file.deployment",
            "convex_admin_key_file.path",
            "convex_credentials.instance_name",
            "convex_deployment.name",
            "convex_project.directory",
            "data.convex_deployment.name",
        ]
    );
}

#[test]
fn what_is_nested_is_not_null_either() {
    let null = || Value::List(vec![Value::Null]);
    for (path, value, culprit) in [
        ("log.max_size_mb", Value::Null, "log.max_size_mb"),
        ("storage.s3.region", Value::Null, "storage.s3.region"),
        ("network.networks", null(), "network.networks[0]"),
        ("hardening.cap_drop", null(), "hardening.cap_drop"),
        ("labels.A", Value::Null, "labels[\"A\"]"),
        ("backend.env.A", Value::Null, "backend.env[\"A\"]"),
    ] {
        let found = validate(&deployment(&[(path, value)]));
        let culprits = places(&found, Severity::Error);
        assert!(
            culprits.iter().any(|it| it == culprit),
            "{path}: {culprits:?}"
        );
    }
    let unknown = deployment(&[("name", Value::Unknown), ("labels.A", Value::Unknown)]);
    assert!(validate(&unknown).is_empty());
}

/// A store with a key, of which these parts are given.
fn store(secrets: &[&str]) -> Vec<(&'static str, Value)> {
    let mut s3 = Value::from([("access_key_id", Value::from("id"))]);
    let buckets = ["exports", "files", "modules", "search", "snapshot_imports"];
    let buckets = buckets.map(|it| format!("{it}_bucket"));
    for name in buckets
        .iter()
        .map(String::as_str)
        .chain(["region"])
        .chain(secrets.iter().copied())
    {
        set(&mut s3, &[name], Value::from("value"));
    }
    vec![("storage.s3", s3)]
}

#[test]
fn nonsense_is_refused_at_its_path() {
    let text = |text: &str| Value::from(text);
    let (a, b) = ("https://a.example", "https://b.example");
    let cases: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (
            vec![("origins.api", text(a)), ("origins.site", text(a))],
            "origins.site",
        ),
        (
            vec![("origins.api", text(a)), ("origins.dashboard", text(a))],
            "origins.dashboard",
        ),
        (
            vec![("origins.site", text(b)), ("origins.dashboard", text(b))],
            "origins.dashboard",
        ),
        (
            vec![
                ("dashboard.enabled", Value::from(false)),
                ("network.publish.dashboard", Value::from(0)),
            ],
            "network.publish.dashboard",
        ),
        (vec![("network.container", text(""))], "network.container"),
        (
            vec![("network.networks", Value::from(vec!["a", ""]))],
            "network.networks[1]",
        ),
        (
            vec![
                ("database.url", text("mysql://u:p@db")),
                ("database.create", Value::from(true)),
            ],
            "database.create",
        ),
        (
            vec![("network.extra_hosts.db", text("db.example"))],
            "network.extra_hosts[\"db\"]",
        ),
        (
            vec![("network.extra_hosts.a b", text("host-gateway"))],
            "network.extra_hosts[\"a b\"]",
        ),
        (
            vec![
                ("network.container", text("ws")),
                ("network.extra_hosts.db", text("::1")),
            ],
            "network.extra_hosts",
        ),
        (
            store(&["secret_access_key", "session_token_wo"]),
            "storage.s3.session_token_wo",
        ),
        (
            store(&["secret_access_key_wo", "session_token", "session_token_wo"]),
            "storage.s3.session_token_wo",
        ),
    ];
    for (values, culprit) in cases {
        let found = validate(&deployment(&values));
        assert_eq!(places(&found, Severity::Error), [culprit], "{values:?}");
    }
    assert!(
        validate(&deployment(&store(&[
            "secret_access_key_wo",
            "session_token_wo"
        ])))
        .is_empty()
    );
    let kept = [
        store(&["secret_access_key_wo", "session_token"]),
        vec![("secrets_in_state", false.into())],
    ];
    let found = plan(&deployment(&kept.concat()));
    assert_eq!(
        places(&found, Severity::Error),
        ["storage.s3.session_token"]
    );
    let good = [
        ("origins.api", text(a)),
        ("origins.site", text("https://a.example/http")),
        ("network.publish.dashboard", Value::from(0)),
    ];
    assert!(validate(&deployment(&good)).is_empty());
}

#[test]
fn what_may_be_a_mistake_is_warned_of_in_the_plan() {
    let text = |text: &str| Value::from(text);
    let only_api = [("origins.api", text("https://a.example"))];
    let mixed = [
        ("origins.api", text("http://a.example")),
        ("origins.site", text("http://b.example")),
        ("origins.dashboard", text("https://c.example")),
    ];
    let other_name = [("database.url", text("postgres://u:p@db/shop"))];
    for (values, culprit) in [
        (&only_api[..], "origins.site"),
        (&mixed[..], "origins.api"),
        // Terraform would show the line with the password.
        (&other_name[..], ""),
    ] {
        let found = plan(&deployment(values));
        assert_eq!(places(&found, Severity::Warning), [culprit], "{found:?}");
    }
    let own_name = [("database.url", text("postgres://u:p@db/my_app"))];
    assert!(plan(&deployment(&own_name)).is_empty());
}

#[test]
fn a_refused_plan_is_not_called_a_bug() {
    let secret = Value::from("0".repeat(63) + "1");
    let config = deployment(&[
        ("secrets_in_state", Value::from(false)),
        ("instance_secret", secret),
    ]);
    let found = plan(&config);
    assert_eq!(places(&found, Severity::Error), ["instance_secret"]);
    assert_eq!(
        Path::of("instance_secret"),
        *found.iter().next().unwrap().path().unwrap()
    );
}

/// A deployment whose secret is given, so that its key is known at once.
fn with_secret(more: &[(&str, Value)]) -> Value {
    let secret = ("instance_secret", Value::from("0".repeat(63) + "1"));
    let values: Vec<_> = [secret].into_iter().chain(more.iter().cloned()).collect();
    deployment(&values)
}

#[test]
fn an_unknown_value_hides_only_what_depends_on_it() {
    let outputs = [
        "urls",
        "admin_key",
        "env_local",
        "agent_env",
        "database_name",
    ];
    for path in [
        "backend.env",
        "backend.env.A",
        "backend.image",
        "labels.a",
        "log.max_files",
    ] {
        let config = with_secret(&[("log.max_size_mb", Value::from(1)), (path, Value::Unknown)]);
        let (planned, found) = planned(&Value::Null, &config);
        assert!(!found.has_errors(), "{path}: {found:?}");
        for output in outputs {
            assert!(
                planned.at(&Path::of(output)).is_wholly_known(),
                "{path}: {output}"
            );
        }
    }
    for (path, output) in [("origins.api", "env_local"), ("instance_name", "admin_key")] {
        let (planned, _) = planned(&Value::Null, &with_secret(&[(path, Value::Unknown)]));
        assert!(
            !planned.at(&Path::of(output)).is_wholly_known(),
            "{path}: {output}"
        );
    }
}

/// The scripts of an app name the file with the key, where it is.
#[test]
fn a_key_that_may_turn_out_to_be_none_leaves_open_what_names_its_file() {
    let members = convex().members();
    let mut config = members.resources["convex_project"].schema().empty();
    set(&mut config, &["directory"], Value::from("/home/coder/app"));
    set(&mut config, &["package_manager"], Value::from("npm"));
    set(&mut config, &["admin_key"], Value::Unknown);
    let (planned, found) = planned_of("convex_project", &Value::Null, &config);
    assert!(!found.has_errors(), "{found:?}");
    let size = |file: &str| {
        let path = Path::of("files").key(file).attribute("size");
        planned.at(&path).is_unknown()
    };
    assert!(size("package.json"));
    assert!(!size("convex/http.ts"));
}

const IDS: [&str; 2] = ["container_ids.backend", "container_ids.dashboard"];

/// The state after an apply: what the plan left open is there.
fn applied(config: &Value) -> Value {
    let (mut state, _) = planned(&Value::Null, config);
    for path in IDS.into_iter().chain([
        "image_digests.backend",
        "image_digests.dashboard",
        "owner_id",
        "version",
    ]) {
        *state.at_mut(&Path::of(path)).unwrap() = Value::from("id");
    }
    state
}

/// Which containers are recreated, backend first, and what the plan says.
fn recreated(prior: &Value, config: &Value) -> ([bool; 2], String) {
    let (planned, said) = planned(prior, config);
    assert!(!said.has_errors(), "{said:?}");
    let said: Vec<_> = said.iter().map(Diagnostic::detail).collect();
    let is_open = IDS.map(|id| planned.at(&Path::of(id)).is_unknown());
    (is_open, said.join("\n"))
}

#[test]
fn a_dashboard_with_the_key_is_recreated_with_it() {
    let with = |prefills: bool| with_secret(&[("dashboard.prefill_admin_key", prefills.into())]);
    let found = plan(&with(true));
    let path = "dashboard.prefill_admin_key";
    assert_eq!(places(&found, Severity::Warning), [path], "{found:?}");
    assert!(plan(&with(false)).is_empty());
    let (what, said) = recreated(&applied(&with(false)), &with(true));
    assert_eq!(what, [false, true]);
    assert!(said.contains("NEXT_PUBLIC_ADMIN_KEY"), "{said}");

    let other = |mut config: Value| {
        set(
            &mut config,
            &["instance_secret"],
            Value::from("0".repeat(63) + "2"),
        );
        config
    };
    let (what, said) = recreated(&applied(&with(true)), &other(with(true)));
    assert_eq!(what, [true, true]);
    assert!(
        said.contains("dashboard is recreated with the new key"),
        "{said}"
    );
    let (what, _) = recreated(&applied(&with(false)), &other(with(false)));
    assert_eq!(what, [true, false]);
    let renamed = |mut config: Value| {
        set(&mut config, &["instance_name"], Value::from("other"));
        set(&mut config, &["allow_data_loss"], Value::from(true));
        config
    };
    let (what, said) = recreated(&applied(&with(true)), &renamed(with(true)));
    assert_eq!(what, [true, true]);
    assert!(said.contains("its admin key"), "{said}");
    let (what, _) = recreated(&applied(&with(false)), &renamed(with(false)));
    assert_eq!(what, [true, false]);

    // A dashboard that comes later gets the key then.
    let without = with_secret(&[
        ("dashboard.prefill_admin_key", true.into()),
        ("dashboard.enabled", false.into()),
    ]);
    assert!(plan(&without).is_empty());
    let (_, found) = planned(&applied(&without), &with(true));
    assert!(
        places(&found, Severity::Warning).contains(&path.to_owned()),
        "{found:?}"
    );
}

#[test]
fn an_address_that_is_not_known_yet_hides_no_output_that_does_not_depend_on_it() {
    let host = ("network.extra_hosts.db", Value::Unknown);
    let (planned, _) = planned(&applied(&with_secret(&[])), &with_secret(&[host]));
    assert!(planned.at(&Path::of(IDS[0])).is_unknown());
    for path in [
        "urls",
        "admin_key",
        "env_local",
        "agent_env",
        "database_name",
    ] {
        assert!(!planned.at(&Path::of(path)).is_unknown(), "{path}");
    }
}

#[test]
fn extra_hosts_recreate_the_backend_alone() {
    let host = ("network.extra_hosts.db", Value::from("10.0.0.5"));
    let (what, said) = recreated(&applied(&with_secret(&[])), &with_secret(&[host]));
    assert_eq!(what, [true, false]);
    assert!(said.contains("its extra hosts"), "{said}");
}

#[test]
fn containers_stay_only_where_all_that_they_depend_on_is_known() {
    let prior = applied(&with_secret(&[]));
    let (same, _) = planned(&prior, &with_secret(&[]));
    for id in IDS {
        assert_eq!(same.at(&Path::of(id)).as_str(), Some("id"));
    }
    for path in [
        "hardening",
        "hardening.no_new_privileges",
        "log",
        "labels",
        "backend.env.A",
    ] {
        let (planned, _) = planned(&prior, &with_secret(&[(path, Value::Unknown)]));
        assert!(planned.at(&Path::of(IDS[0])).is_unknown(), "{path}");
    }
}
