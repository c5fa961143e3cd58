//! When a certificate is valid.

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use yasna::{ASN1Result, BERReader, Tag};

/// What a daemon gets to see of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runtime::docker) enum Shown {
    /// No certificate.
    Nothing,
    /// A certificate that is valid by our clock, as far as can be told.
    Valid,
    /// One that is not, with the days on which it is.
    OutOfTime(String),
}

impl Shown {
    /// With this certificate, now.
    pub(super) fn of(certificate: Option<&CertificateDer<'_>>) -> Self {
        let Some(certificate) = certificate else {
            return Self::Nothing;
        };
        let now = OffsetDateTime::now_utc();
        match yasna::parse_der(certificate, validity) {
            Ok((from, _)) if now < from => Self::OutOfTime(format!("from {}", from.date())),
            Ok((_, until)) if now > until => Self::OutOfTime(format!("until {}", until.date())),
            _ => Self::Valid,
        }
    }
}

/// First and last moment (RFC 5280, section 4.1).
fn validity(reader: BERReader<'_, '_>) -> ASN1Result<(OffsetDateTime, OffsetDateTime)> {
    reader.read_sequence(|certificate| {
        let validity = certificate.next().read_sequence(|signed| {
            // The version, which oldest certificates leave out.
            signed.read_optional(|version| version.read_tagged(Tag::context(0), read_number))?;
            for _ in ["serial number", "algorithm", "issuer"] {
                signed.next().read_der()?;
            }
            let validity = signed.next().read_sequence(|validity| {
                Ok((read_time(validity.next())?, read_time(validity.next())?))
            })?;
            // Subject and key, and all that may follow.
            while signed.read_optional(read_any)?.is_some() {}
            Ok(validity)
        })?;
        for _ in ["algorithm", "signature"] {
            certificate.next().read_der()?;
        }
        Ok(validity)
    })
}

fn read_number(reader: BERReader<'_, '_>) -> ASN1Result<u8> {
    reader.read_u8()
}

fn read_any(reader: BERReader<'_, '_>) -> ASN1Result<Vec<u8>> {
    reader.read_der()
}

/// Years before 2050 are written with two digits.
fn read_time(reader: BERReader<'_, '_>) -> ASN1Result<OffsetDateTime> {
    if reader.lookahead_tag()? == yasna::tags::TAG_UTCTIME {
        Ok(*reader.read_utctime()?.datetime())
    } else {
        Ok(*reader.read_generalized_time()?.datetime())
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::Shown;

    #[test]
    fn a_certificate_out_of_its_time_is_recognised() {
        let shown = |from: i32, until: i32| {
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_before = date_time_ymd(from, 1, 2);
            params.not_after = date_time_ymd(until, 3, 4);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            Shown::of(Some(certificate.der()))
        };
        assert_eq!(shown(2020, 2100), Shown::Valid);
        assert_eq!(
            shown(2019, 2020),
            Shown::OutOfTime("until 2020-03-04".to_owned())
        );
        assert_eq!(
            shown(2090, 2100),
            Shown::OutOfTime("from 2090-01-02".to_owned())
        );
        assert_eq!(Shown::of(None), Shown::Nothing);
    }
}
