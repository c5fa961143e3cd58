//! TLS to a daemon: what it is set up with, and what can be wrong with it.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use serde::{Deserialize, Serialize};

use super::validity::Shown;
use crate::convex::{Secret, pem::Instead};

/// How a daemon is to be recognised, and how it recognises us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsConfig {
    /// Who signed the daemon's certificate, in PEM form; absent means those
    /// that this system trusts.
    pub ca_pem: Option<String>,
    /// The certificate that we show, with its intermediates, in PEM form.
    pub cert_pem: Option<String>,
    /// The key of that certificate, in PEM form.
    pub key_pem: Option<Secret>,
    /// The name in the daemon's certificate, where it is not the address.
    pub server_name: Option<String>,
    /// `false`: the daemon's certificate is not looked at.
    pub verify: Option<bool>,
}

/// Something that TLS cannot be set up with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsConfigError {
    /// No certificate among what should be certificates.
    #[error(
        "There is no certificate in {0}. Give certificates in PEM form, each from `-----BEGIN CERTIFICATE-----` to `-----END CERTIFICATE-----`."
    )]
    NoCertificate(&'static str),
    /// Something else that stands for PEM.
    #[error("{0} is not in PEM form. {1}.")]
    Instead(&'static str, Instead),
    /// A broken certificate.
    #[error("A certificate in {0} cannot be used: {1}. Give certificates in PEM form.")]
    Certificate(&'static str, String),
    /// No key in what should be one.
    #[error(
        "There is no private key in key_pem that can be used. Give one in PEM form, as PKCS#8, PKCS#1 or SEC1, and without a passphrase."
    )]
    NoKey,
    /// Half a pair.
    #[error(
        "A client certificate is cert_pem and key_pem together, and {0} is missing. Give both or neither."
    )]
    HalfPair(&'static str),
    /// A key of another certificate.
    #[error(
        "key_pem is not the key of the certificate in cert_pem: {0}. Give the two that belong together."
    )]
    Mismatch(String),
    /// Not a name that a certificate could have.
    #[error("{0:?} is no name that a certificate can be for. Give a host name or an IP address.")]
    ServerName(String),
    /// There is nothing to verify the daemon's certificate with.
    #[error(
        "This system has no certificate authorities to verify the daemon's certificate with. Give ca_pem, or install the system's CA certificates (Debian and Alpine: `ca-certificates`)."
    )]
    NoRoots,
}

impl TlsConfigError {
    /// The attribute that is to blame.
    #[must_use]
    pub fn attribute(&self) -> &'static str {
        match self {
            Self::NoCertificate(attribute)
            | Self::Instead(attribute, _)
            | Self::Certificate(attribute, _)
            | Self::HalfPair(attribute) => attribute,
            Self::NoKey | Self::Mismatch(_) => "key_pem",
            Self::ServerName(_) => "server_name",
            Self::NoRoots => "ca_pem",
        }
    }
}

const CA: &str = "ca_pem";
const CERT: &str = "cert_pem";
const KEY: &str = "key_pem";

impl TlsConfig {
    /// What is wrong with it, as far as can be told without the system's own
    /// certificates.
    pub fn check(&self) -> Result<(), TlsConfigError> {
        if let Some(ca) = &self.ca_pem {
            certificates(ca, CA)?;
        }
        if let Some(name) = &self.server_name {
            server_name(name)?;
        }
        match (&self.cert_pem, &self.key_pem) {
            (None, None) => Ok(()),
            (Some(_), None) => Err(TlsConfigError::HalfPair(KEY)),
            (None, Some(_)) => Err(TlsConfigError::HalfPair(CERT)),
            (Some(_), Some(_)) => self.client(RootCertStore::empty()).map(|_| ()),
        }
    }

    /// What connections are made with.
    pub(super) fn build(&self) -> Result<ClientConfig, TlsConfigError> {
        self.check()?;
        let mut roots = RootCertStore::empty();
        match &self.ca_pem {
            _ if self.verify == Some(false) => {}
            Some(pem) => {
                for certificate in certificates(pem, CA)? {
                    roots
                        .add(certificate)
                        .map_err(|error| TlsConfigError::Certificate(CA, error.to_string()))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(TlsConfigError::NoRoots);
                }
            }
        }
        self.client(roots)
    }

    fn client(&self, roots: RootCertStore) -> Result<ClientConfig, TlsConfigError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsConfigError::Mismatch(error.to_string()))?;
        let builder = if self.verify == Some(false) {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        } else {
            builder.with_root_certificates(roots)
        };
        let (Some(cert), Some(key)) = (&self.cert_pem, &self.key_pem) else {
            return Ok(builder.with_no_client_auth());
        };
        let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| {
            let instead = Instead::of(key.expose()).map(|it| TlsConfigError::Instead(KEY, it));
            instead.unwrap_or(TlsConfigError::NoKey)
        })?;
        builder
            .with_client_auth_cert(certificates(cert, CERT)?, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    TlsConfigError::Mismatch("the public keys differ".to_owned())
                }
                rustls::Error::InvalidCertificate(error) => {
                    TlsConfigError::Certificate(CERT, format!("{error:?}"))
                }
                _ => TlsConfigError::NoKey,
            })
    }

    /// What the daemon gets to see of us.
    pub(super) fn shown(&self) -> Shown {
        let pem = self.cert_pem.as_deref();
        let own = pem.and_then(|pem| certificates(pem, CERT).ok()?.into_iter().next());
        Shown::of(own.as_ref())
    }

    /// The name that the daemon's certificate must be for.
    pub(super) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsConfigError> {
        server_name(self.server_name.as_deref().unwrap_or(host))
    }
}

fn server_name(name: &str) -> Result<ServerName<'static>, TlsConfigError> {
    let bare = name.trim_matches(['[', ']']).to_owned();
    ServerName::try_from(bare).map_err(|_| TlsConfigError::ServerName(name.to_owned()))
}

fn certificates(
    pem: &str,
    attribute: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|error| TlsConfigError::Certificate(attribute, error.to_string()))?;
    if all.is_empty() {
        let instead = Instead::of(pem).map(|it| TlsConfigError::Instead(attribute, it));
        return Err(instead.unwrap_or(TlsConfigError::NoCertificate(attribute)));
    }
    let mut store = RootCertStore::empty();
    for certificate in &all {
        store
            .add(certificate.clone())
            .map_err(|error| TlsConfigError::Certificate(attribute, error.to_string()))?;
    }
    Ok(all)
}

/// Takes any certificate. That it belongs to whoever shows it is still checked.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::{Instead, TlsConfig, TlsConfigError};

    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let pem = |label: &str, der: &[u8]| {
            use base64::{Engine, engine::general_purpose::STANDARD};
            format!(
                "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
                STANDARD.encode(der)
            )
        };
        (
            pem("CERTIFICATE", certificate.der()),
            pem("PRIVATE KEY", &key.serialize_der()),
        )
    }

    #[test]
    fn a_pair_must_be_whole_and_belong_together() {
        let (cert, key) = pair();
        let (_, other_key) = pair();
        let check = |cert: Option<&String>, key: Option<&String>| {
            TlsConfig {
                ca_pem: None,
                cert_pem: cert.cloned(),
                key_pem: key.cloned().map(Into::into),
                ..TlsConfig::default()
            }
            .check()
        };
        assert_eq!(check(None, None), Ok(()));
        assert_eq!(check(Some(&cert), Some(&key)), Ok(()));
        assert_eq!(
            check(Some(&cert), None),
            Err(TlsConfigError::HalfPair("key_pem"))
        );
        assert_eq!(
            check(None, Some(&key)),
            Err(TlsConfigError::HalfPair("cert_pem"))
        );
        assert!(matches!(
            check(Some(&cert), Some(&other_key)),
            Err(TlsConfigError::Mismatch(_))
        ));
        assert_eq!(
            check(Some(&cert), Some(&"none".to_owned())),
            Err(TlsConfigError::NoKey)
        );
        assert_eq!(
            check(Some(&cert), Some(&format!("{key:?}"))),
            Err(TlsConfigError::Instead("key_pem", Instead::Quoted))
        );
        assert_eq!(
            check(Some(&key), Some(&key)),
            Err(TlsConfigError::NoCertificate("cert_pem"))
        );
    }

    #[test]
    fn authorities_and_names_are_checked() {
        let ca = |pem: &str| TlsConfig {
            ca_pem: Some(pem.to_owned()),
            ..TlsConfig::default()
        };
        assert_eq!(ca(&pair().0).check(), Ok(()));
        assert_eq!(
            ca("/etc/docker/ca.pem").check(),
            Err(TlsConfigError::Instead("ca_pem", Instead::Path))
        );
        assert_eq!(ca("").check(), Err(TlsConfigError::NoCertificate("ca_pem")));
        assert!(matches!(
            ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").check(),
            Err(TlsConfigError::Certificate("ca_pem", _))
        ));
        let name = |name: &str| {
            TlsConfig {
                server_name: Some(name.to_owned()),
                ..TlsConfig::default()
            }
            .check()
        };
        assert_eq!(name("docker.example.com"), Ok(()));
        assert_eq!(name("10.0.0.1"), Ok(()));
        assert_eq!(name("[::1]"), Ok(()));
        assert!(matches!(name("a b"), Err(TlsConfigError::ServerName(_))));
    }

    #[test]
    fn no_key_is_shown() {
        let (cert, key) = pair();
        let config = TlsConfig {
            cert_pem: Some(cert),
            key_pem: Some(key.clone().into()),
            ..TlsConfig::default()
        };
        // What stands before is the kind of key, which the certificate has too.
        let middle = &key.lines().nth(1).unwrap()[60..80];
        assert!(!format!("{config:?}").contains(middle));
    }
}
