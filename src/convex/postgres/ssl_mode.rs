//! What is asked of TLS, and what the backend makes of it.

/// What a database URL asks of TLS, in the words of `PostgreSQL`'s own clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS only where the server insists.
    Allow,
    /// TLS where the server offers it.
    Prefer,
    /// TLS. The backend then always checks the certificate.
    Require,
    /// TLS with a certificate of a known authority.
    VerifyCa,
    /// TLS with a certificate of a known authority for this very host.
    VerifyFull,
}

/// What the backend can do about TLS. It knows these three ways only, and wherever it speaks TLS
/// it checks the certificate in full: its authority, its dates and the name of the host.
///
/// Sources: upstream `crates/clusters/src/lib.rs` (`sslmode=require` is forced unless
/// `DO_NOT_REQUIRE_SSL` is set) and `crates/postgres/src/lib.rs` (one TLS configuration, which
/// verifies).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Tls {
    /// Never.
    Off,
    /// Where the server offers it. A certificate that does not hold is refused even then.
    Preferred,
    /// Always. What the backend does unless told otherwise.
    #[default]
    Required,
}

impl SslMode {
    /// Reads one of the six words of `sslmode`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// What the backend makes of it. `allow` becomes `prefer`, and the three strict modes are one:
    /// the strictest.
    #[must_use]
    pub fn tls(self) -> Tls {
        match self {
            Self::Disable => Tls::Off,
            Self::Allow | Self::Prefer => Tls::Preferred,
            Self::Require | Self::VerifyCa | Self::VerifyFull => Tls::Required,
        }
    }
}

impl Tls {
    /// The `sslmode` by which the backend's driver knows it.
    #[must_use]
    pub fn as_ssl_mode(self) -> SslMode {
        match self {
            Self::Off => SslMode::Disable,
            Self::Preferred => SslMode::Prefer,
            Self::Required => SslMode::Require,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SslMode, Tls};

    #[test]
    fn six_words_come_down_to_three_ways() {
        let cases = [
            ("disable", Tls::Off),
            ("allow", Tls::Preferred),
            ("prefer", Tls::Preferred),
            ("require", Tls::Required),
            ("verify-ca", Tls::Required),
            ("verify-full", Tls::Required),
        ];
        for (word, tls) in cases {
            let mode = SslMode::parse(word).unwrap();
            assert_eq!((mode.as_str(), mode.tls()), (word, tls));
            assert_eq!(tls.as_ssl_mode().tls(), tls);
        }
        for word in ["", "Require", "verify", "no"] {
            assert_eq!(SslMode::parse(word), None, "{word}");
        }
    }
}
