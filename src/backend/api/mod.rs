//! The calls of a backend's HTTP API, made and read without I/O.
//!
//! Paths, bodies and codes are those recorded against a real backend (upstream
//! source of 2026-06-30). The paths without `/v1` are used because older
//! backends have no others.

mod snapshot;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use self::snapshot::{
    Export, Import, finish_upload, import, latest_export, perform_import, read_part,
    request_export, start_upload,
};
use super::{BackendError, Method, Request, Response};
use crate::{
    convex::{ApiOrigin, Secret, env_var::Changes},
    plugin::redact::Foreign,
};

/// A request and the way to read its reply.
pub struct Call<T> {
    /// What to send.
    pub request: Request,
    read: Read<T>,
}

/// How a reply is read: its body, or the value that a query came to.
enum Read<T> {
    Body(fn(&[u8]) -> Option<T>),
    Query(fn(serde_json::Value) -> Option<T>),
}

impl<T> Call<T> {
    fn get(path: &'static str, authorized: bool, read: fn(&[u8]) -> Option<T>) -> Self {
        Self {
            request: Request {
                method: Method::Get,
                path,
                body: None,
                authorized,
            },
            read: Read::Body(read),
        }
    }

    fn post(path: &'static str, body: Secret, read: fn(&[u8]) -> Option<T>) -> Self {
        Self {
            request: Request {
                method: Method::Post,
                path,
                body: Some(body),
                authorized: true,
            },
            read: Read::Body(read),
        }
    }

    /// A query of the system, by its path.
    fn query(
        path: &str,
        arguments: &serde_json::Value,
        read: fn(serde_json::Value) -> Option<T>,
    ) -> Self {
        let body = serde_json::json!({ "path": path, "args": arguments, "format": "json" });
        Self {
            request: Request {
                method: Method::Post,
                path: "/api/query",
                body: Some(body.to_string().into()),
                authorized: true,
            },
            read: Read::Query(read),
        }
    }

    /// Reads a reply to the request.
    pub fn read(&self, response: &Response) -> Result<T, BackendError> {
        match response.status {
            status @ 200..=299 => {
                let value = match self.read {
                    Read::Body(read) => read(&response.body),
                    Read::Query(read) => outcome(&response.body)?.and_then(read),
                };
                value.ok_or(BackendError::Unexpected { status })
            }
            300..=399 => Err(BackendError::Redirected {
                status: response.status,
            }),
            status => Err(refusal(status, &response.body)),
        }
    }
}

/// The value of a query. One that failed is answered with 200, too.
fn outcome(body: &[u8]) -> Result<Option<serde_json::Value>, BackendError> {
    #[derive(Deserialize)]
    #[serde(tag = "status", rename_all = "snake_case")]
    enum Outcome {
        Success {
            value: serde_json::Value,
        },
        #[serde(rename_all = "camelCase")]
        Error {
            error_message: String,
        },
    }
    match serde_json::from_slice(body) {
        Ok(Outcome::Success { value }) => Ok(Some(value)),
        Ok(Outcome::Error { error_message }) => Err(BackendError::Query {
            message: error_message
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .into(),
        }),
        Err(_) => Ok(None),
    }
}

fn refusal(status: u16, body: &[u8]) -> BackendError {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        #[serde(default)]
        message: Foreign,
    }
    let problem = serde_json::from_slice::<Problem>(body).ok();
    let code = problem.as_ref().map(|problem| problem.code.as_str());
    match (status, code) {
        (_, Some("OptimisticConcurrencyControlFailure")) => BackendError::Contended,
        (401, _) | (403, Some("BadDeployKey")) => BackendError::KeyRefused,
        (403, _) => BackendError::NotAllowed,
        (404, _) => BackendError::NotFound,
        (status, _) => match (status, problem) {
            (429 | 503, Some(Problem { code, message })) => BackendError::Busy { code, message },
            (500.., Some(Problem { code, message })) => BackendError::Failed { code, message },
            (_, Some(Problem { code, message })) => BackendError::Refused { code, message },
            (_, None) => BackendError::Unexpected { status },
        },
    }
}

fn text(body: &[u8]) -> Option<String> {
    String::from_utf8(body.to_vec()).ok()
}

/// Which instance answers. Needs no key.
#[must_use]
pub fn instance_name() -> Call<String> {
    Call::get("/instance_name", false, text)
}

/// The release that answers, or "unknown". Needs no key.
#[must_use]
pub fn version() -> Call<String> {
    Call::get("/version", false, text)
}

/// Whether the admin key is accepted.
#[must_use]
pub fn check_admin_key() -> Call<()> {
    Call::get("/api/check_admin_key", true, |_| Some(()))
}

/// All variables with their values. Backends before 2025-08-28 lack it.
#[must_use]
pub fn list_variables() -> Call<BTreeMap<String, Secret>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct List {
        environment_variables: BTreeMap<String, Secret>,
    }
    Call::get("/api/list_environment_variables", true, |body| {
        let list: List = serde_json::from_slice(body).ok()?;
        Some(list.environment_variables)
    })
}

/// All variables with their values, asked in the way the dashboard of an older
/// backend does.
#[must_use]
pub fn query_variables() -> Call<BTreeMap<String, Secret>> {
    #[derive(Deserialize)]
    struct Variable {
        name: String,
        value: Secret,
    }
    let path = "_system/cli/queryEnvironmentVariables";
    Call::query(path, &serde_json::json!({}), |value| {
        let list: Vec<Variable> = serde_json::from_value(value).ok()?;
        let pair = |variable: Variable| (variable.name, variable.value);
        Some(list.into_iter().map(pair).collect())
    })
}

/// Applies all changes in one transaction, and evaluates the auth config anew.
/// Doing it twice is the same as doing it once.
#[must_use]
pub fn update_variables(changes: &Changes) -> Call<()> {
    Call::post("/api/update_environment_variables", changes.body(), |_| {
        Some(())
    })
}

/// The origins that the deployment tells its clients and functions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CanonicalUrls {
    /// Of the API.
    pub convex_cloud_url: String,
    /// Of the HTTP actions, and the issuer of tokens.
    pub convex_site_url: String,
}

/// Reads the canonical URLs. Backends before 2025-10-10 lack it.
#[must_use]
pub fn canonical_urls() -> Call<CanonicalUrls> {
    Call::get("/api/v1/get_canonical_urls", true, |body| {
        serde_json::from_slice(body).ok()
    })
}

/// Publishes `url` as the API's address until further notice, or goes back to
/// the one of the start. The backend then evaluates the auth config anew.
/// Backends before 2025-10-10 lack it.
#[must_use]
pub fn update_canonical_api(url: Option<&ApiOrigin>) -> Call<()> {
    let mut body = serde_json::json!({ "requestDestination": "convexCloud" });
    if let Some(url) = url {
        body["url"] = url.as_str().into();
    }
    Call::post(
        "/api/v1/update_canonical_url",
        body.to_string().into(),
        |_| Some(()),
    )
}

#[cfg(test)]
mod tests {
    use super::{
        canonical_urls, check_admin_key, list_variables, query_variables, update_canonical_api,
        update_variables,
    };
    use crate::{
        backend::{BackendError, Response},
        convex::{ApiOrigin, env_var::Changes},
    };

    fn reply(status: u16, body: &str) -> Response {
        Response {
            status,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn both_ways_to_list_variables_read_the_same() {
        let listed = list_variables()
            .read(&reply(
                200,
                r#"{"environmentVariables":{"A":"x y=z\n\"é"}}"#,
            ))
            .unwrap();
        let queried = query_variables()
            .read(&reply(
                200,
                r#"{"status":"success","value":[{"_id":"1","name":"A","value":"x y=z\n\"é"}]}"#,
            ))
            .unwrap();
        assert_eq!(listed, queried);
        assert_eq!(listed["A"].expose(), "x y=z\n\"é");
    }

    #[test]
    fn canonical_urls_are_read() {
        let urls = canonical_urls()
            .read(&reply(
                200,
                r#"{"convexCloudUrl":"http://a","convexSiteUrl":"http://b"}"#,
            ))
            .unwrap();
        assert_eq!(urls.convex_site_url, "http://b");
    }

    #[test]
    fn a_canonical_url_is_set_or_taken_back() {
        let body = |url| update_canonical_api(url).request.body.expect("a body");
        let url = ApiOrigin::parse("https://a.example").unwrap();
        assert_eq!(
            body(Some(&url)).expose(),
            r#"{"requestDestination":"convexCloud","url":"https://a.example"}"#
        );
        assert_eq!(
            body(None).expose(),
            r#"{"requestDestination":"convexCloud"}"#
        );
    }

    #[test]
    fn each_refusal_has_its_own_error() {
        let refused = |status, body: &str| {
            check_admin_key()
                .read(&reply(status, body))
                .expect_err("a refusal")
        };
        let code = |code: &str| format!(r#"{{"code":"{code}","message":"words"}}"#);
        assert_eq!(refused(401, &code("BadAdminKey")), BackendError::KeyRefused);
        assert_eq!(
            refused(403, &code("BadDeployKey")),
            BackendError::KeyRefused
        );
        assert_eq!(
            refused(403, &code("OperationNotPermitted")),
            BackendError::NotAllowed
        );
        assert_eq!(
            refused(503, &code("OptimisticConcurrencyControlFailure")),
            BackendError::Contended
        );
        assert_eq!(refused(404, ""), BackendError::NotFound);
        assert_eq!(
            refused(303, "<html>"),
            BackendError::Redirected { status: 303 }
        );
        assert_eq!(
            refused(400, &code("EnvVarLimitMet")),
            BackendError::Refused {
                code: "EnvVarLimitMet".to_owned(),
                message: "words".into()
            }
        );
        let (code_of, message) = (str::to_owned, super::Foreign::from("words"));
        assert_eq!(
            refused(503, &code("ExpiredInQueue")),
            BackendError::Busy {
                code: code_of("ExpiredInQueue"),
                message: message.clone()
            }
        );
        assert_eq!(
            refused(500, &code("InternalServerError")),
            BackendError::Failed {
                code: code_of("InternalServerError"),
                message
            }
        );
        assert_eq!(
            refused(502, "bad gateway"),
            BackendError::Unexpected { status: 502 }
        );
    }

    #[test]
    fn a_success_that_is_none_is_unexpected() {
        let login_page = list_variables().read(&reply(200, "<html>login</html>"));
        assert_eq!(
            login_page.unwrap_err(),
            BackendError::Unexpected { status: 200 }
        );
    }

    #[test]
    fn a_query_that_failed_has_its_words_on_one_line() {
        let body = r#"{"status":"error","errorMessage":"[Request ID: 1] Server Error\nFunction execution timed out (maximum duration: 1s)\n"}"#;
        let error = query_variables().read(&reply(200, body)).unwrap_err();
        let message =
            "[Request ID: 1] Server Error Function execution timed out (maximum duration: 1s)";
        assert_eq!(
            error,
            BackendError::Query {
                message: message.into()
            }
        );
        assert!(error.is_passing());
    }

    #[test]
    fn an_empty_batch_is_a_request_too() {
        let call = update_variables(&Changes::default());
        let body = call.request.body.expect("a body");
        assert_eq!(body.expose(), r#"{"changes":[]}"#);
    }
}
