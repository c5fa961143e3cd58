//! TLS with a real server: with a private authority, and with each fault of a certificate.

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use terraform_provider_convex::{
    convex::Database,
    database::{DatabaseError, Found, Part},
};

use super::{database, look_as, postgres};

fn names(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

struct Tls {
    server: postgres::Server,
}

impl Tls {
    fn start() -> Self {
        // With this file the server takes certificates of clients, too.
        let settings =
            "ssl = on\nssl_ca_file = 'authority.pem'\nlisten_addresses = '127.0.0.1, ::1'";
        let server = postgres::Server::with(settings);
        server.create_database("my_app");
        Self { server }
    }

    /// Settings that trust the server's present authority.
    fn trusting(&self, url: &str, mode: Option<&str>) -> Database {
        let pem = std::fs::read_to_string(self.server.authority()).unwrap();
        database(url, |settings| {
            settings.ca_pem = Some(&pem);
            settings.ssl_mode = mode;
        })
    }

    async fn look(&self, mode: Option<&str>) -> Result<Found, DatabaseError> {
        look_as(&self.trusting(&self.server.url(""), mode), "my-app").await
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_given() {
    let tls = Tls::start();
    for mode in [None, Some("prefer"), Some("require"), Some("verify-full")] {
        assert!(tls.look(mode).await.unwrap().encrypted, "{mode:?}");
    }
    // Whether TLS is required or only preferred, as with the backend.
    for query in ["", "?sslmode=require", "?sslmode=prefer"] {
        let untrusting = database(&tls.server.url(query), |_| ());
        let error = look_as(&untrusting, "my-app").await.unwrap_err();
        let expected = matches!(error, DatabaseError::UnknownAuthority { .. });
        assert!(expected, "{query}: {error:?}");
        assert!(error.remedy().contains("ca_pem"));
    }
    let plain = database(&tls.server.url("?sslmode=disable"), |_| ());
    assert!(!look_as(&plain, "my-app").await.unwrap().encrypted);
}

#[tokio::test]
async fn each_fault_of_a_certificate_is_an_error_of_its_own() {
    let tls = Tls::start();
    let with = async |params: CertificateParams| {
        tls.server.certify(&params);
        tls.server.reload();
        tls.look(None).await
    };

    let error = with(names(&["db.example.com", "10.0.0.9"]))
        .await
        .unwrap_err();
    let DatabaseError::OtherHost { names: told, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(told.iter().any(|name| name == "db.example.com"), "{told:?}");
    assert!(
        error.to_string().contains("but for db.example.com"),
        "{error}"
    );

    let mut old = names(&["localhost"]);
    old.not_before = date_time_ymd(2020, 1, 1);
    old.not_after = date_time_ymd(2021, 1, 1);
    let error = with(old).await.unwrap_err();
    assert!(matches!(error, DatabaseError::Expired { .. }), "{error:?}");

    let mut young = names(&["localhost"]);
    young.not_before = date_time_ymd(2090, 1, 1);
    let error = with(young).await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::NotYetValid { .. }),
        "{error:?}"
    );

    // As the manual of PostgreSQL has it made with openssl: marked as an authority.
    let mut own = names(&["localhost"]);
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let own = own.self_signed(&key).unwrap();
    tls.server
        .put_certificate(own.der(), own.der(), &key.serialize_der());
    tls.server.reload();
    let error = tls.look(None).await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::AuthorityAsServer { .. }),
        "{error:?}"
    );
    assert_eq!(error.part(), Part::Tls);

    // Self-signed and given itself, as Debian makes them.
    let key = KeyPair::generate().unwrap();
    let own = names(&["localhost"]).self_signed(&key).unwrap();
    tls.server
        .put_certificate(own.der(), own.der(), &key.serialize_der());
    tls.server.reload();
    assert!(tls.look(None).await.unwrap().encrypted);

    // For an address, over both protocols.
    tls.server.certify(&names(&["127.0.0.1", "::1"]));
    tls.server.reload();
    for host in ["127.0.0.1", "[::1]"] {
        let url = format!("postgres://convex:secret@{host}:{}", tls.server.port);
        let found = look_as(&tls.trusting(&url, None), "my-app").await.unwrap();
        assert!(found.encrypted, "{host}");
    }
}

#[tokio::test]
async fn a_server_and_settings_that_differ_about_tls_are_told() {
    let without = super::shared();
    let error = super::look(&without.url("")).await.unwrap_err();
    assert!(matches!(error, DatabaseError::NoTls { .. }), "{error:?}");
    assert!(error.remedy().contains("ssl_mode"), "{}", error.remedy());
    without.create_database("of_tls");
    let preferring = database(&without.url("?sslmode=prefer"), |_| ());
    assert!(!look_as(&preferring, "of-tls").await.unwrap().encrypted);

    let with = Tls::start();
    with.server.sql(
        "postgres",
        "CREATE ROLE strict LOGIN SUPERUSER PASSWORD 'secret'",
    );
    with.server.sql(
        "postgres",
        "CREATE ROLE shown LOGIN SUPERUSER PASSWORD 'secret'",
    );
    with.server.rules(
        "hostnossl all strict 127.0.0.1/32 reject\n\
         hostnossl all strict ::1/128 reject\n\
         hostssl all shown 127.0.0.1/32 scram-sha-256 clientcert=verify-ca",
    );
    let url = |user: &str, query: &str| {
        format!(
            "postgres://{user}:secret@localhost:{}{query}",
            with.server.port
        )
    };
    let off = database(&url("strict", "?sslmode=disable"), |_| ());
    let error = look_as(&off, "my-app").await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::TlsRequired { .. }),
        "{error:?}"
    );
    let on = with.trusting(&url("strict", ""), None);
    assert!(look_as(&on, "my-app").await.unwrap().encrypted);

    let shown = with.trusting(&url("shown", ""), None);
    let error = look_as(&shown, "my-app").await.unwrap_err();
    assert!(
        matches!(error, DatabaseError::WantsCertificate { .. }),
        "{error:?}"
    );
}
