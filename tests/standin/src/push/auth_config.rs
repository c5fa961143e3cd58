//! The auth providers of a push, as far as the text of `auth.config` tells them.

use serde::Serialize;

use super::Pushed;
use crate::error::ApiError;

/// The module that names the providers.
pub const AUTH_CONFIG: &str = "auth.config.js";

/// An issuer whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provider {
    /// The audience of its tokens.
    #[serde(rename = "applicationID")]
    pub application_id: String,
    /// Its origin.
    pub domain: String,
}

impl Pushed {
    /// The providers with the values that the variables have. One that is not set is refused: its value would be part
    /// of the configuration. Providers in another form than `domain` and `applicationID` are left out.
    pub fn providers(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<Provider>, ApiError> {
        let Some(module) = self.modules.get(AUTH_CONFIG) else {
            return Ok(Vec::new());
        };
        for name in module.source.split("process.env.").skip(1).map(word) {
            if variable(name).is_none() {
                return Err(ApiError::bad_request(
                    "AuthConfigMissingEnvironmentVariable",
                    format!(
                        "Environment variable {name} is used in auth config file but its value was not set"
                    ),
                ));
            }
        }
        let mut providers = Vec::new();
        for part in module.source.split("domain:").skip(1) {
            let application_id = part
                .split_once("applicationID:")
                .and_then(|(_, rest)| value(rest, &variable));
            let (Some(domain), Some(application_id)) = (value(part, &variable), application_id)
            else {
                continue;
            };
            if !domain.starts_with("http://") && !domain.starts_with("https://") {
                return Err(ApiError::bad_request(
                    "InvalidAuthConfig",
                    format!("The domain of an auth provider is no URL: {domain:?}"),
                ));
            }
            providers.push(Provider {
                application_id,
                domain,
            });
        }
        Ok(providers)
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The value of a literal or a variable at the beginning of a text.
fn value(code: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let code = code.trim_start();
    if let Some(name) = code.strip_prefix("process.env.") {
        return variable(word(name));
    }
    let quote = code.chars().next().filter(|c| "\"'`".contains(*c))?;
    let (text, _) = code[1..].split_once(quote)?;
    Some(text.to_owned())
}
