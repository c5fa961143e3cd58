use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{CertificateParams, KeyPair};

use super::*;

fn settings(url: &str) -> DatabaseSettings<'_> {
    DatabaseSettings {
        url,
        ..DatabaseSettings::default()
    }
}

fn parse(settings: &DatabaseSettings<'_>) -> Database {
    Database::parse(settings).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn with_mode(url: &str, mode: &str) -> Result<Database, Vec<DatabaseValueError>> {
    Database::parse(&DatabaseSettings {
        ssl_mode: Some(mode),
        ..settings(url)
    })
}

/// A new certificate in PEM form.
pub(super) fn certificate() -> String {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["ca".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let body = STANDARD.encode(certificate.der());
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

fn extra(pairs: &[(&str, &str)]) -> ExtraEnv {
    ExtraEnv::for_backend(pairs.iter().copied()).unwrap()
}

#[test]
fn tls_is_as_the_mode_says_then_as_the_url_says_and_else_required() {
    let cases = [
        ("postgres://u@h", None, Tls::Required),
        ("postgres://u@h?sslmode=disable", None, Tls::Off),
        ("postgres://u@h?sslmode=prefer", None, Tls::Preferred),
        ("postgres://u@h?sslmode=verify-full", None, Tls::Required),
        ("postgres://u@h", Some("disable"), Tls::Off),
        ("postgres://u@h", Some("prefer"), Tls::Preferred),
        ("postgres://u@h", Some("verify-ca"), Tls::Required),
        (
            "postgres://u@h?sslmode=require",
            Some("verify-full"),
            Tls::Required,
        ),
        ("postgres://u@h?sslmode=disable", Some("disable"), Tls::Off),
        ("mysql://u@h", None, Tls::Required),
        ("mysql://u@h?require_ssl=false", None, Tls::Off),
        ("mysql://u@h", Some("disable"), Tls::Off),
    ];
    for (url, ssl_mode, tls) in cases {
        let database = parse(&DatabaseSettings {
            ssl_mode,
            ..settings(url)
        });
        assert_eq!(database.tls(), tls, "{url} {ssl_mode:?}");
        let flag = database
            .variables()
            .into_iter()
            .find_map(|(name, value)| (name == "DO_NOT_REQUIRE_SSL").then_some(value));
        assert_eq!(flag.flatten().is_some(), tls != Tls::Required);
    }
}

#[test]
fn a_mode_against_the_url_is_a_conflict() {
    for (url, mode, said) in [
        (
            "postgres://u@h?sslmode=disable",
            "require",
            "sslmode=disable",
        ),
        (
            "postgres://u@h?sslmode=require",
            "prefer",
            "sslmode=require",
        ),
        (
            "mysql://u@h?require_ssl=false",
            "verify-full",
            "require_ssl=false",
        ),
    ] {
        let errors = with_mode(url, mode).unwrap_err();
        let [error @ DatabaseValueError::SslConflict { url: it, .. }] = errors.as_slice() else {
            panic!("{url} {mode}: {errors:?}");
        };
        assert_eq!(it, said);
        assert_eq!(error.setting(), Setting::SslMode);
    }
    let refused = with_mode("mysql://u@h", "prefer").unwrap_err();
    assert_eq!(refused, [DatabaseValueError::MysqlPrefer]);
}

#[test]
fn every_fault_is_told_at_once_with_its_setting() {
    let errors = Database::parse(&DatabaseSettings {
        url: "postgres://u:hunter2@",
        create: None,
        ssl_mode: Some("yes"),
        ca_pem: Some("hunter2"),
        max_connections: Some(1),
    })
    .unwrap_err();
    let at_fault: Vec<_> = errors.iter().map(DatabaseValueError::setting).collect();
    assert_eq!(
        at_fault,
        [
            Setting::SslMode,
            Setting::Url,
            Setting::Ca,
            Setting::MaxConnections
        ]
    );
    for error in errors {
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let other = Database::parse(&settings("redis://u:hunter2@h")).unwrap_err();
    assert_eq!(other, [DatabaseValueError::Scheme]);
}

#[test]
fn an_authority_without_tls_is_refused() {
    let pem = certificate();
    let with_ca = |url| {
        Database::parse(&DatabaseSettings {
            ca_pem: Some(&pem),
            ..settings(url)
        })
    };
    assert_eq!(
        with_ca("postgres://u@h?sslmode=disable").unwrap_err(),
        [DatabaseValueError::CaWithoutTls]
    );
    assert!(with_ca("postgres://u@h?sslmode=prefer").is_ok());
}

#[test]
fn the_number_of_connections_has_limits() {
    let number = |given| {
        Database::parse(&DatabaseSettings {
            max_connections: Some(given),
            ..settings("postgres://u@h")
        })
    };
    assert_eq!(number(10).unwrap().max_connections(), 10);
    for given in [i64::MIN, -1, 0, 1, 10_001, i64::MAX] {
        let expected = DatabaseValueError::Connections { given };
        assert_eq!(number(given).unwrap_err(), [expected]);
    }
    let default = parse(&settings("postgres://u@h"));
    assert_eq!(default.max_connections(), DEFAULT_CONNECTIONS);
}

#[test]
fn each_kind_has_its_own_variables() {
    let pem = certificate();
    let variables = |url| {
        let database = parse(&DatabaseSettings {
            ca_pem: Some(&pem),
            max_connections: Some(10),
            ..settings(url)
        });
        let path = database.ca().unwrap().path();
        let set: Vec<_> = database
            .variables()
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        (set, path)
    };
    let (set, path) = variables("postgres://u:p@h/app");
    assert_eq!(
        set,
        [
            (
                "POSTGRES_URL",
                "postgres://u:p@h?sslmode=require".to_owned()
            ),
            ("PG_CA_FILE", path),
            ("POSTGRES_MAX_CONNECTIONS", "10".to_owned()),
        ]
    );
    let (set, path) = variables("mysql://u:p@h/app");
    assert_eq!(
        set,
        [
            ("MYSQL_URL", "mysql://u:p@h?require_ssl=true".to_owned()),
            ("MYSQL_CA_FILE", path),
            ("MYSQL_MAX_CONNECTIONS", "10".to_owned()),
        ]
    );
    let mysql = with_mode("mysql://u@h", "verify-ca").unwrap();
    assert_eq!(
        mysql.url_for_backend().expose(),
        "mysql://u@h?verify_identity=false&require_ssl=true"
    );
}

#[test]
fn variables_that_the_settings_decide_are_refused_beside_them() {
    let pairs = [
        ("DATABASE_URL", "x"),
        ("DO_NOT_REQUIRE_SSL", "true"),
        ("MYSQL_URL", "x"),
        ("PG_CA_FILE", "/x"),
        ("POSTGRES_MAX_CONNECTIONS", "5"),
        ("RUST_LOG", "info"),
    ];
    let names = |database: &Database| -> Vec<String> {
        let errors = database.conflicts(&extra(&pairs));
        errors
            .into_iter()
            .map(|error| match error {
                DatabaseValueError::Variable { name, .. } => name,
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let plain = parse(&settings("postgres://u@h"));
    assert_eq!(
        names(&plain),
        ["DATABASE_URL", "MYSQL_URL", "DO_NOT_REQUIRE_SSL"]
    );
    let pem = certificate();
    let full = parse(&DatabaseSettings {
        ca_pem: Some(&pem),
        max_connections: Some(10),
        ..settings("postgres://u@h")
    });
    assert_eq!(names(&full).len(), 5);
}

#[test]
fn the_servers_own_databases_are_refused() {
    let name = |name| InstanceName::parse(name).unwrap();
    let postgres = parse(&settings("postgres://u@h"));
    let mysql = parse(&settings("mysql://u@h"));
    assert!(postgres.check_name(&name("template1")).is_err());
    assert!(postgres.check_name(&name("mysql")).is_ok());
    assert!(mysql.check_name(&name("information-schema")).is_err());
    assert!(mysql.check_name(&name("app")).is_ok());
}

#[test]
fn a_database_is_not_created_on_mysql() {
    let create = |url, create| {
        Database::parse(&DatabaseSettings {
            create: Some(create),
            ..settings(url)
        })
    };
    let errors = create("mysql://u@h", true).unwrap_err();
    assert_eq!(errors, [DatabaseValueError::MysqlCreate]);
    assert!(create("mysql://u@h", false).is_ok());
    assert!(create("postgres://u@h", true).is_ok());
}

#[test]
fn what_is_taken_with_a_warning() {
    let app = InstanceName::parse("my-app").unwrap();
    let warnings = |url: &str| parse(&settings(url)).warnings(&app);
    for scheme in ["postgres", "mysql"] {
        assert_eq!(warnings(&format!("{scheme}://u@db/my_app")), []);
        assert_eq!(
            warnings(&format!("{scheme}://u@db/shop%2Ddb")),
            [DatabaseWarning::OtherName {
                given: "shop-db".to_owned(),
                used: "my_app".to_owned(),
            }]
        );
    }
    assert_eq!(warnings("postgres://u@db"), []);
    assert_eq!(
        warnings("postgres://u@db?schema=x&sslrootcert=y"),
        [
            DatabaseWarning::LeftOut {
                name: "schema".to_owned()
            },
            DatabaseWarning::RootCertificate,
        ]
    );
    assert_eq!(
        warnings("postgres://u@localhost?sslmode=disable"),
        [DatabaseWarning::Loopback {
            host: "localhost".to_owned()
        }]
    );
    assert_eq!(
        warnings("postgres://u@db.example.com?sslmode=disable"),
        [DatabaseWarning::NoTls]
    );
    assert_eq!(
        warnings("postgres://u@10.0.0.1?sslmode=prefer"),
        [DatabaseWarning::PerhapsNoTls]
    );
    assert_eq!(warnings("postgres://u@db.example.com?sslmode=require"), []);
    // Within the network that Docker gives the containers.
    assert_eq!(warnings("postgres://u@db?sslmode=disable"), []);
    let pem = certificate();
    let with_ca = parse(&DatabaseSettings {
        ca_pem: Some(&pem),
        ..settings("postgres://u@db?sslrootcert=y")
    });
    assert_eq!(with_ca.warnings(&app), []);
}

#[test]
fn the_address_has_host_and_port_and_nothing_else() {
    for (url, address) in [
        ("postgres://u:hunter2@db/app?sslmode=require", "db:5432"),
        ("postgres://u:hunter2@a,b:6543", "a:5432,b:6543"),
        ("postgres://u:hunter2@[::1]", "[::1]:5432"),
        ("mysql://u:hunter2@db", "db:3306"),
        ("mysql://u:hunter2@db:3307", "db:3307"),
    ] {
        assert_eq!(parse(&settings(url)).address(), address);
    }
}

#[test]
fn debug_output_has_no_password() {
    for url in ["postgres://u:hunter2@h", "mysql://u:hunter2@h"] {
        let database = parse(&settings(url));
        assert_eq!(database.password().map(Secret::expose), Some("hunter2"));
        assert!(!format!("{database:?}").contains("hunter2"));
    }
    let shown = format!("{:?}", settings("postgres://u:hunter2@h"));
    assert!(!shown.contains("hunter2"), "{shown}");
}
