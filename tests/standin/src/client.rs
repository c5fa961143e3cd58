//! The header `Convex-Client`, by which a client tells what it is.

use crate::error::ApiError;

/// A version: major, minor, patch.
type Version = (u64, u64, u64);

/// A client that tells its name and version.
pub struct Client<'a> {
    name: &'a str,
    /// `None` where the version is not one.
    version: Option<Version>,
    text: &'a str,
}

impl<'a> Client<'a> {
    /// Refuses a header that has no dash, and a client of Convex's own that is too old. Others may be of any version.
    pub fn check(header: &'a str) -> Result<(), ApiError> {
        let client = Self::parse(header).ok_or_else(|| {
            ApiError::bad_request(
                "InvalidClientVersion",
                format!(
                    "Failed to parse client version string: '{header}'. Expected format is {{client_name}}-{{semver}}, \
                     e.g. my-esolang-client-0.0.1"
                ),
            )
        })?;
        let name = client.name.to_ascii_lowercase();
        let (newest_refused, remedy) = match name.as_str() {
            "npm" | "npm-cli" | "actions" => (
                (0, 19, 1),
                "Update your Convex npm version with `npx convex update` or `npm update`.",
            ),
            "python" | "python-convex" => (
                (0, 0, 2),
                "Update your Convex python version with `pip install --upgrade convex`.",
            ),
            "rust" => (
                (0, 0, 1),
                "Update your Convex rust version with `cargo update -p convex` or by updating `Cargo.toml`.",
            ),
            _ => return Ok(()),
        };
        if client
            .version
            .is_some_and(|version| version > newest_refused)
        {
            return Ok(());
        }
        Err(ApiError::bad_request(
            "ClientVersionUnsupported",
            format!(
                "The Convex {name} package at version {} is no longer supported. {remedy}",
                client.text
            ),
        ))
    }

    /// The longest version at the end, and the name before it.
    fn parse(header: &'a str) -> Option<Self> {
        let dashes = header.match_indices('-').map(|(at, _)| at);
        let versions = dashes.clone().map(|at| (at, version(&header[at + 1..])));
        let found = versions.clone().find(|(_, version)| version.is_some());
        let (at, version) = found.or_else(|| versions.clone().next())?;
        Some(Self {
            name: &header[..at],
            version,
            text: &header[at + 1..],
        })
    }
}

/// Reads a semantic version without its pre-release, which never decides here.
fn version(text: &str) -> Option<Version> {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let mut numbers = text[..end].split('.').map(|number| number.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

#[cfg(test)]
mod tests {
    use super::Client;

    #[test]
    fn a_client_of_convex_is_new_enough_and_others_have_a_dash() {
        let code = |header| Client::check(header).map_err(|error| error.code);
        for header in [
            "npm-1.48.0",
            "npm-cli-1.48.0-alpha.1",
            "npm-0.19.2",
            "terraform-0.1.0",
            "terraform-x",
            "rust-0.9.0",
        ] {
            assert_eq!(code(header), Ok(()), "{header}");
        }
        for header in [
            "npm-1.0",
            "npm-0.1.0",
            "npm-cli-0.19.1",
            "NPM-x",
            "rust-0.0.1",
        ] {
            assert_eq!(
                code(header),
                Err("ClientVersionUnsupported".into()),
                "{header}"
            );
        }
        assert_eq!(code("npm"), Err("InvalidClientVersion".into()));
    }
}
