//! Certificates of authorities that a server's certificate may come from.

use std::fmt;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use super::super::{
    crypto::{hmac_sha256, to_hex},
    pem::Instead,
};

/// Where below the data volume the backend finds the file. Its name follows from the content, so
/// that a new authority is a new environment and the backend starts anew.
const DIRECTORY: &str = "/convex/data/credentials/";

/// Why a text holds no certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaPemError {
    /// No certificate at all.
    #[error(
        "There is no certificate in it. Give the certificate of the authority in PEM form, from \
         `-----BEGIN CERTIFICATE-----` to `-----END CERTIFICATE-----`."
    )]
    None,
    /// Something else that stands for certificates.
    #[error("There is no certificate in it. {0}.")]
    Instead(Instead),
    /// A broken certificate, at which the backend would not start.
    #[error(
        "Certificate number {number} in it cannot be read. Give it in PEM form, as the authority \
         publishes it."
    )]
    Broken {
        /// Which one, counted from 1.
        number: usize,
    },
    /// A private key, which belongs to the server or its authority only.
    #[error(
        "There is a private key in it, which nobody but its owner should have. Give the certificate \
         of the authority only."
    )]
    PrivateKey,
}

/// Certificates of authorities in PEM form, at least one, each of which can be read.
#[derive(Clone, PartialEq, Eq)]
pub struct CaPem {
    pem: String,
    certificates: Vec<CertificateDer<'static>>,
}

impl CaPem {
    /// Takes a text with certificates, and other text around them.
    pub fn parse(pem: &str) -> Result<Self, CaPemError> {
        if pem.contains("PRIVATE KEY-----") {
            return Err(CaPemError::PrivateKey);
        }
        let mut certificates = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let number = certificates.len() + 1;
            let certificate = certificate
                .ok()
                .filter(|it| RootCertStore::empty().add(it.clone()).is_ok())
                .ok_or(CaPemError::Broken { number })?;
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(Instead::of(pem).map_or(CaPemError::None, CaPemError::Instead));
        }
        let mut pem = pem.trim().to_owned();
        pem.push('\n');
        Ok(Self { pem, certificates })
    }

    /// The text, ending with a line break.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificates.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Where in its container the backend looks for the file.
    #[must_use]
    pub fn path(&self) -> String {
        let digest = hmac_sha256::<6>(b"database-ca", self.pem.as_bytes());
        format!("{DIRECTORY}database-ca-{}.pem", to_hex(&digest))
    }
}

impl fmt::Debug for CaPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaPem({})", self.certificates.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::certificate;
    use super::*;

    #[test]
    fn a_bundle_with_words_around_is_taken() {
        let (first, second) = (certificate(), certificate());
        let ca = CaPem::parse(&format!("\n# ours\n{first}\n{second}\n\n")).unwrap();
        assert_eq!(ca.certificates().len(), 2);
        assert!(ca.pem().starts_with("# ours") && ca.pem().ends_with("-----\n"));
        assert_eq!(format!("{ca:?}"), "CaPem(2)");
    }

    #[test]
    fn the_path_follows_from_the_content() {
        let pem = certificate();
        let path = |pem: &str| CaPem::parse(pem).unwrap().path();
        assert_eq!(path(&pem), path(&format!("\n{pem}\n")));
        assert_ne!(path(&pem), path(&certificate()));
        assert!(path(&pem).starts_with("/convex/data/credentials/database-ca-"));
    }

    #[test]
    fn what_holds_no_certificates_is_refused() {
        let good = certificate();
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
        for (text, error) in [
            (String::new(), CaPemError::None),
            (
                "/etc/ssl/ca.pem".to_owned(),
                CaPemError::Instead(Instead::Path),
            ),
            (broken.to_owned(), CaPemError::Broken { number: 1 }),
            (good.clone() + broken, CaPemError::Broken { number: 2 }),
            (good + key, CaPemError::PrivateKey),
        ] {
            assert_eq!(CaPem::parse(&text).unwrap_err(), error);
        }
    }
}
