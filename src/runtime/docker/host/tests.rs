use std::{collections::BTreeMap, ffi::OsString, fs};

use super::{Connection, HostConfig, HostError, Origin, Surroundings, TlsConfig, Wire};

/// A home with a context `remote`, which is the current one.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let meta = home.path().join(
        ".docker/contexts/meta/b71199ebd070b36beab7317920c2c2f1d777df8d05e5527d8458fda57cb17a7a",
    );
    fs::create_dir_all(&meta).unwrap();
    fs::write(
        meta.join("meta.json"),
        r#"{"Name":"remote","Endpoints":{"docker":{"Host":"ssh://of-context"}}}"#,
    )
    .unwrap();
    fs::write(
        home.path().join(".docker/config.json"),
        r#"{"currentContext":"remote"}"#,
    )
    .unwrap();
    home
}

fn around(variables: &[(&str, &str)]) -> Surroundings {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    Surroundings::read(|name| variables.get(name).map(OsString::from))
}

fn configured(host: Option<&str>, context: Option<&str>) -> HostConfig {
    HostConfig {
        host: host.map(str::to_owned),
        context: context.map(str::to_owned),
        ..HostConfig::default()
    }
}

fn resolved(config: &HostConfig, variables: &[(&str, &str)]) -> Result<String, HostError> {
    let connection = config.resolve(&around(variables))?;
    Ok(connection.endpoint().to_string())
}

#[test]
fn configuration_goes_before_environment_before_context_before_the_local_socket() {
    let home = home();
    let home = ("HOME", home.path().to_str().unwrap());
    let none = configured(None, None);
    let empty = configured(Some(""), None);
    let host = configured(Some("tcp://of-config:1"), None);
    let context = configured(None, Some("remote"));
    let variable = ("DOCKER_HOST", "tcp://of-variable:1");
    let context_variable = ("DOCKER_CONTEXT", "remote");
    for (config, variables, expected) in [
        (
            &host,
            &[home, variable, context_variable][..],
            "tcp://of-config:1",
        ),
        (&context, &[home, variable], "ssh://of-context"),
        (
            &none,
            &[home, variable, context_variable],
            "tcp://of-variable:1",
        ),
        (&empty, &[home, variable], "tcp://of-variable:1"),
        (&none, &[home, context_variable], "ssh://of-context"),
        (&none, &[home], "ssh://of-context"),
        (
            &none,
            &[home, ("DOCKER_CONTEXT", "default")],
            "unix:///var/run/docker.sock",
        ),
        (&none, &[], "unix:///var/run/docker.sock"),
        (
            &none,
            &[home, ("DOCKER_HOST", ""), ("DOCKER_CONFIG", "/nowhere")],
            "unix:///var/run/docker.sock",
        ),
    ] {
        assert_eq!(
            resolved(config, variables).unwrap(),
            expected,
            "{config:?} {variables:?}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_to_be_where_it_comes_from() {
    let home = home();
    let home = ("HOME", home.path().to_str().unwrap());
    let none = configured(None, None);
    let origin = |outcome: Result<String, HostError>| match outcome {
        Err(HostError::Endpoint { origin, .. } | HostError::Context { origin, .. }) => origin,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        origin(resolved(&configured(Some("x"), None), &[])),
        Origin::Configuration
    );
    assert_eq!(
        origin(resolved(&none, &[("DOCKER_HOST", "x")])),
        Origin::Variable("DOCKER_HOST")
    );
    assert_eq!(
        origin(resolved(&none, &[home, ("DOCKER_CONTEXT", "other")])),
        Origin::Variable("DOCKER_CONTEXT")
    );
    assert_eq!(
        origin(resolved(&configured(None, Some("other")), &[home])),
        Origin::Configuration
    );
}

#[test]
fn tls_is_for_tcp_and_taken_from_the_environment_as_docker_takes_it() {
    let is_tls = |connection: &Connection| matches!(connection.wire, Wire::Tls { .. });
    let tls = |variables: &[(&str, &str)], host: &str| {
        let config = configured(Some(host), None);
        config.resolve(&around(variables))
    };
    assert!(!is_tls(&tls(&[], "tcp://h").unwrap()));
    assert!(!is_tls(
        &tls(&[("DOCKER_CERT_PATH", "/certs")], "tcp://h").unwrap()
    ));
    let unverified = tls(&[("DOCKER_TLS", "1")], "tcp://h").unwrap();
    assert!(is_tls(&unverified));
    assert_eq!(unverified.endpoint().to_string(), "tcp://h:2376");
    assert!(!is_tls(
        &tls(&[("DOCKER_TLS_VERIFY", "1")], "unix:///a").unwrap()
    ));
    let broken = tempfile::tempdir().unwrap();
    fs::write(broken.path().join("ca.pem"), "nothing").unwrap();
    let path = broken.path().to_str().unwrap();
    let variables = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", path)];
    match tls(&variables, "tcp://h") {
        Err(HostError::Tls { origin, .. }) => {
            assert_eq!(origin, Origin::Variable("DOCKER_CERT_PATH"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn plain_tcp_to_another_machine_is_exposed() {
    let exposed = |host: &str, verify: Option<bool>| {
        let config = HostConfig {
            tls: verify.map(|verify| TlsConfig {
                verify: Some(verify),
                ..TlsConfig::default()
            }),
            ..configured(Some(host), None)
        };
        config
            .resolve(&Surroundings::default())
            .unwrap()
            .is_exposed()
    };
    assert!(exposed("tcp://h", None));
    assert!(!exposed("tcp://h", Some(false)));
    for host in ["tcp://127.0.0.1", "unix:///a", "ssh://h"] {
        assert!(!exposed(host, None), "{host}");
    }
}
