//! Certificates of an authority that nobody else knows.

use std::{path::Path, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};

/// An authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Pair {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    Now,
    /// Until 2020-03-04.
    Past,
}

fn pem(label: &str, der: &[u8]) -> String {
    // OpenSSL reads no lines of more than 76 characters.
    let body = STANDARD.encode(der);
    let lines: Vec<_> = body
        .as_bytes()
        .chunks(64)
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    let body = lines.join("\n");
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

impl Authority {
    /// A new one. All have the same name, as those of one organisation may.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "Authority of the tests");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Its certificate, in PEM form.
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", self.0.der())
    }

    /// A certificate for a server of these names.
    pub fn server(&self, names: &[&str], time: Time) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        self.sign(names, ExtendedKeyUsagePurpose::ServerAuth, time)
    }

    /// A certificate for a client.
    pub fn client(&self, time: Time) -> Pair {
        self.sign(Vec::new(), ExtendedKeyUsagePurpose::ClientAuth, time)
    }

    fn sign(&self, names: Vec<String>, purpose: ExtendedKeyUsagePurpose, time: Time) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages = vec![purpose];
        if time == Time::Past {
            params.not_before = date_time_ymd(2019, 1, 2);
            params.not_after = date_time_ymd(2020, 3, 4);
        }
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
        }
    }

    /// What a server with this certificate works with that only lets in
    /// clients of this authority.
    pub fn gate(&self, server: &Pair) -> Arc<ServerConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("an authority");
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .expect("a verifier");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server.key.clone()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![server.certificate.clone()], key)
            .expect("a certificate and its key");
        Arc::new(config)
    }
}

impl Pair {
    /// The certificate, in PEM form.
    pub fn certificate(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// The key, in PEM form.
    pub fn key(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }

    /// Writes all three as Docker expects them in a directory: `ca.pem`,
    /// `cert.pem` and `key.pem`.
    pub fn write(&self, authority: &Authority, directory: &Path) {
        std::fs::create_dir_all(directory).expect("a directory");
        for (name, text) in [
            ("ca.pem", authority.pem()),
            ("cert.pem", self.certificate()),
            ("key.pem", self.key()),
        ] {
            std::fs::write(directory.join(name), text).expect("a file");
        }
    }
}
