//! The attribute `timeouts`, as providers have it by convention.

use std::{str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::schema::{Attr, Fields, Group, Optional, object, string};

/// How long operations may take, each as text such as `90s` or `1h30m`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    create: Option<String>,
    read: Option<String>,
    update: Option<String>,
    delete: Option<String>,
}

impl Timeouts {
    /// The attribute.
    #[must_use]
    pub fn attribute() -> Attr<Optional, Group> {
        let limit = |description| string(description).optional().parsed::<Limit>();
        object(
            Fields::new()
                .with("create", limit("For creating. Default `5m`."))
                .with("read", limit("For reading and planning. Default `1m`."))
                .with("update", limit("For updating. Default `5m`."))
                .with("delete", limit("For deleting. Default `5m`.")),
            "How long operations may take, as text such as `90s`, `5m` or `1h30m`.",
        )
        .optional()
    }

    /// The time for creating.
    #[must_use]
    pub fn create(&self) -> Duration {
        limit(self.create.as_ref(), Duration::from_mins(5))
    }

    /// The time for reading.
    #[must_use]
    pub fn read(&self) -> Duration {
        limit(self.read.as_ref(), Duration::from_mins(1))
    }

    /// The time for updating.
    #[must_use]
    pub fn update(&self) -> Duration {
        limit(self.update.as_ref(), Duration::from_mins(5))
    }

    /// The time for deleting.
    #[must_use]
    pub fn delete(&self) -> Duration {
        limit(self.delete.as_ref(), Duration::from_mins(5))
    }
}

/// A text that is none was refused by the attribute's own check.
fn limit(text: Option<&String>, default: Duration) -> Duration {
    text.and_then(|text| text.parse::<Limit>().ok())
        .map_or(default, |limit| limit.0)
}

/// A length of time in the form of Go's `time.ParseDuration`, which authors of
/// Terraform configurations know; whole numbers only.
struct Limit(Duration);

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no length of time. Write one such as 90s, 5m or 1h30m.")]
struct LimitError(String);

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let wrong = || LimitError(text.to_owned());
        let mut total = Duration::ZERO;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: u32 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let (unit, length) = [
                ("ms", Duration::from_millis(1)),
                ("h", Duration::from_hours(1)),
                ("m", Duration::from_mins(1)),
                ("s", Duration::from_secs(1)),
            ]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))
            .ok_or_else(wrong)?;
            rest = &rest[unit.len()..];
            total = length
                .checked_mul(number)
                .and_then(|length| total.checked_add(length))
                .ok_or_else(wrong)?;
        }
        if total.is_zero() {
            return Err(wrong());
        }
        Ok(Self(total))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Limit;

    #[test]
    fn lengths_of_time_are_read_as_in_go() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1m1s", 61)] {
            let limit: Limit = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(limit.0, Duration::from_secs(seconds));
        }
        let short: Limit = "250ms".parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(short.0, Duration::from_millis(250));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "5d",
            "0s",
            "1.5h",
            "99999999999999h",
        ] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }
}
