//! Host names that a container knows beside those of DNS.

use std::{net::IpAddr, str::FromStr};

/// What stands for the address of the Docker host.
const OF_THE_HOST: &str = "host-gateway";

/// Checks the name of a host.
#[derive(Debug)]
pub struct HostName;

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            (1..=63).contains(&label.len())
                && label.chars().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= 253 && text.split('.').all(is_label) {
            Ok(Self)
        } else {
            Err(format!(
                "{text:?} is not a host name. Write one such as \"host.docker.internal\", without scheme and port."
            ))
        }
    }
}

/// Checks the address of a host.
#[derive(Debug)]
pub struct HostAddress;

impl FromStr for HostAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == OF_THE_HOST || text.parse::<IpAddr>().is_ok() {
            Ok(Self)
        } else {
            Err(format!(
                "{text:?} is not an IP address. Write one such as \"10.0.0.5\", or {OF_THE_HOST:?} for the address of the Docker host."
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HostAddress, HostName};

    #[test]
    fn a_name_leads_to_an_address() {
        for good in ["host.docker.internal", "db", "my_db", "A-1.example"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in [
            "", ".", "a..b", "-a", "a-", "a b", "http://a", "a:1", "a=b", &long,
        ] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
        for good in ["host-gateway", "10.0.0.5", "::1", "fd00::5"] {
            assert!(good.parse::<HostAddress>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "db",
            "10.0.0",
            "10.0.0.5:5432",
            "[::1]",
            "host-gateway ",
        ] {
            assert!(bad.parse::<HostAddress>().is_err(), "{bad}");
        }
    }
}
