//! What can be wrong with TLS to a daemon.

use std::fmt;

use rustls::{AlertDescription, CertificateError};

use super::validity::Shown;

/// Why a daemon and we did not come to trust each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsProblem {
    /// Nobody we trust has signed the daemon's certificate.
    Untrusted,
    /// The daemon's certificate is for other names.
    WrongName(String),
    /// The daemon's certificate is too old or not valid yet.
    OutOfTime(String),
    /// The daemon's certificate is no good in another way.
    Certificate(String),
    /// The daemon wants a certificate, and we have none.
    NoneShown,
    /// The daemon does not take our certificate, and these are the days it is
    /// valid on.
    OursOutOfTime(String),
    /// The daemon does not take our certificate for another reason.
    Refused(String),
    /// The daemon does not speak TLS.
    NotTls,
    /// The daemon speaks TLS, and we do not.
    NeedsTls,
    /// Anything else.
    Other(String),
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted => f.write_str("its certificate is signed by nobody who is trusted"),
            Self::WrongName(why) | Self::OutOfTime(why) | Self::Certificate(why) => {
                write!(f, "its certificate cannot be used: {why}")
            }
            Self::NoneShown => f.write_str("it wants a client certificate, and there is none"),
            Self::OursOutOfTime(days) => {
                write!(f, "it refuses our certificate, which is valid {days}")
            }
            Self::Refused(why) => write!(f, "it refuses our certificate: {why}"),
            Self::NotTls => f.write_str("it does not speak TLS"),
            Self::NeedsTls => f.write_str("it speaks TLS only"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl TlsProblem {
    /// The problem behind an error of the TLS library, with a daemon that was
    /// shown this.
    pub(in crate::runtime::docker) fn of(error: &rustls::Error, shown: &Shown) -> Self {
        let said = error.to_string();
        match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                // The latter of an authority of the same name with another key.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::WrongName(said),
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::OutOfTime(said),
                _ => Self::Certificate(said),
            },
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::CertificateRequired
                | AlertDescription::NoCertificate
                | AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied => Self::refused(*alert, shown),
                // What older servers say of a missing certificate.
                AlertDescription::HandshakeFailure if *shown == Shown::Nothing => Self::NoneShown,
                _ => Self::Other(said),
            },
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Other(said),
        }
    }

    /// Servers say little, and for different reasons the same: Docker before
    /// release 24 has one word for a missing, a foreign and an old certificate.
    /// What we have shown tells more.
    fn refused(alert: AlertDescription, shown: &Shown) -> Self {
        match shown {
            Shown::Nothing => Self::NoneShown,
            Shown::OutOfTime(days) => Self::OursOutOfTime(days.clone()),
            Shown::Valid => Self::Refused(match alert {
                AlertDescription::CertificateExpired => {
                    "by its clock the certificate has expired".to_owned()
                }
                AlertDescription::CertificateRevoked => "the certificate is revoked".to_owned(),
                AlertDescription::UnknownCA => "it does not know who signed it".to_owned(),
                _ => format!("it says {alert:?}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, Error};

    use super::{Shown, TlsProblem};

    #[test]
    fn one_alert_means_different_things_after_different_certificates() {
        let of = |shown: &Shown| {
            TlsProblem::of(
                &Error::AlertReceived(AlertDescription::BadCertificate),
                shown,
            )
        };
        assert_eq!(of(&Shown::Nothing), TlsProblem::NoneShown);
        let days = "until 2020-01-01".to_owned();
        assert_eq!(
            of(&Shown::OutOfTime(days.clone())),
            TlsProblem::OursOutOfTime(days)
        );
        assert!(matches!(of(&Shown::Valid), TlsProblem::Refused(_)));
    }

    #[test]
    fn what_is_wrong_with_the_certificate_of_the_daemon_is_told_apart() {
        let of = |error| TlsProblem::of(&Error::InvalidCertificate(error), &Shown::Nothing);
        assert_eq!(of(CertificateError::UnknownIssuer), TlsProblem::Untrusted);
        assert_eq!(of(CertificateError::BadSignature), TlsProblem::Untrusted);
        assert!(matches!(
            of(CertificateError::NotValidForName),
            TlsProblem::WrongName(_)
        ));
        assert!(matches!(
            of(CertificateError::Expired),
            TlsProblem::OutOfTime(_)
        ));
        assert!(matches!(
            of(CertificateError::BadEncoding),
            TlsProblem::Certificate(_)
        ));
    }
}
