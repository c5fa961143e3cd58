//! One client of the sync protocol, without the socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::message::{ClientMessage, Modification, Token};
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::identity::Identity;
use crate::query::{self, Outcome};

/// What a client has been told so far.
pub struct Session {
    deployment: Arc<Deployment>,
    identity: Identity,
    version: Version,
    queries: BTreeMap<u32, Subscription>,
}

#[derive(Clone, Copy, Default)]
struct Version {
    query_set: u32,
    identity: u32,
    /// Nanoseconds since 1970; 0 before the first result.
    ts: u64,
}

struct Subscription {
    path: String,
    arguments: Value,
    /// The modification that told the client of the result, if one did.
    told: Option<Value>,
}

/// What ends a session: the last message, and the code of the error.
#[derive(Debug)]
pub struct Failure {
    /// The last message.
    pub message: Value,
    /// The code of the error, as in an HTTP reply.
    pub code: String,
}

impl Session {
    /// A client that has said nothing yet.
    pub fn new(deployment: Arc<Deployment>) -> Self {
        Self {
            deployment,
            identity: Identity::Nobody,
            version: Version::default(),
            queries: BTreeMap::new(),
        }
    }

    /// Takes one text frame; returns the reply, if there is one.
    pub fn receive(&mut self, text: &str) -> Result<Option<Value>, Failure> {
        let message: ClientMessage = serde_json::from_str(text).map_err(|error| {
            fatal(&ApiError::bad_request(
                "WSMessageInvalidJson",
                format!("The message is not understood: {error}"),
            ))
        })?;
        let before = self.version;
        match message {
            ClientMessage::Connect {} | ClientMessage::Event {} => return Ok(None),
            ClientMessage::Mutation {} => {
                return Err(fatal(&ApiError::bad_request(
                    "NoFunctions",
                    "The stand-in runs no mutations and no actions.",
                )));
            }
            ClientMessage::Authenticate {
                base_version,
                token,
            } => {
                check_version("identity", base_version, self.version.identity)?;
                self.identity = self.identify(token)?;
                self.version.identity += 1;
            }
            ClientMessage::ModifyQuerySet {
                base_version,
                new_version,
                modifications,
            } => {
                check_version("query set", base_version, self.version.query_set)?;
                for modification in modifications {
                    self.modify(modification);
                }
                self.version.query_set = new_version;
            }
        }
        self.transition(before).map(Some)
    }

    /// Looks at the data again; returns what changed for the client, if anything did.
    pub fn refresh(&mut self) -> Result<Option<Value>, Failure> {
        let transition = self.transition(self.version)?;
        let news = transition["modifications"]
            .as_array()
            .is_some_and(|news| !news.is_empty());
        Ok(news.then_some(transition))
    }

    fn identify(&self, token: Token) -> Result<Identity, Failure> {
        let error = match token {
            Token::None => return Ok(Identity::Nobody),
            Token::User {} => {
                ApiError::unauthenticated("NoAuthProvider", "No auth provider is configured.")
            }
            Token::Admin { value } => match self.deployment.settings.authority.by_key(&value) {
                Ok(identity) => return Ok(identity),
                Err(error) => error,
            },
        };
        let message = json!({
            "type": "AuthError",
            "error": error.message,
            "baseVersion": self.version.identity,
            "authUpdateAttempted": true,
        });
        Err(Failure {
            message,
            code: error.code.into_owned(),
        })
    }

    fn modify(&mut self, modification: Modification) {
        match modification {
            Modification::Add {
                query_id,
                udf_path,
                args,
            } => {
                let arguments = args.into_iter().next().unwrap_or_else(|| json!({}));
                self.queries.insert(
                    query_id,
                    Subscription {
                        path: udf_path,
                        arguments,
                        told: None,
                    },
                );
            }
            // That a query is gone is known to whoever removed it; no modification says so (observed).
            Modification::Remove { query_id } => drop(self.queries.remove(&query_id)),
        }
    }

    fn transition(&mut self, before: Version) -> Result<Value, Failure> {
        let mut modifications = Vec::new();
        for (id, subscription) in &mut self.queries {
            let result = query::run(
                &self.deployment,
                self.identity,
                &subscription.path,
                &subscription.arguments,
            )
            .map_err(|error| fatal(&error))?;
            let news = match result {
                Outcome::Value(value) => {
                    json!({ "type": "QueryUpdated", "queryId": id, "value": value, "logLines": [], "journal": null })
                }
                Outcome::Failure(message) => json!({
                    "type": "QueryFailed", "queryId": id, "errorMessage": message, "logLines": [], "journal": null,
                }),
            };
            if subscription.told.as_ref() != Some(&news) {
                subscription.told = Some(news.clone());
                modifications.push(news);
            }
        }
        if !modifications.is_empty() {
            self.version.ts = now().max(self.version.ts + 1);
        }
        Ok(json!({
            "type": "Transition",
            "startVersion": before.to_json(),
            "endVersion": self.version.to_json(),
            "modifications": modifications,
        }))
    }
}

impl Version {
    fn to_json(self) -> Value {
        let ts = BASE64_STANDARD.encode(self.ts.to_le_bytes());
        json!({ "querySet": self.query_set, "identity": self.identity, "ts": ts })
    }
}

fn check_version(what: &str, base: u32, current: u32) -> Result<(), Failure> {
    if base == current {
        return Ok(());
    }
    let message =
        format!("The {what} is at version {current}, and the client changes version {base}.");
    Err(fatal(&ApiError::bad_request(
        "BaseVersionMismatch",
        message,
    )))
}

fn fatal(error: &ApiError) -> Failure {
    Failure {
        message: json!({ "type": "FatalError", "error": error.message }),
        code: error.code.to_string(),
    }
}

fn now() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_key::{AdminKey, Principal};
    use crate::deployment::{Settings, StorageKind};
    use crate::identity::Authority;
    use crate::store::sqlite::Sqlite;
    use crate::variable::{Change, Limits};

    const SECRET: &str = "4361726e697461732c206c69746572616c6c79206d65616e696e6720226c6974";
    const CONNECT: &str = r#"{"type":"Connect","connectionCount":0,"lastCloseReason":"InitialConnect","clientTs":1,
        "sessionId":"2a4a4d6c-6f6b-4f6e-9d0c-0d5f5b0c1a11"}"#;
    const ADD: &str = r#"{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[{"type":"Add",
        "queryId":0,"udfPath":"_system/cli/queryEnvironmentVariables:default","args":[{}]}]}"#;
    const REMOVE: &str = r#"{"type":"ModifyQuerySet","baseVersion":1,"newVersion":2,"modifications":[{"type":"Remove",
        "queryId":0}]}"#;
    const NEVER: &str = "AAAAAAAAAAA=";

    async fn deployment() -> (tempfile::TempDir, Arc<Deployment>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("db")).unwrap();
        let settings = Settings {
            authority: Authority {
                instance_name: "app".into(),
                secret: SECRET.parse().unwrap(),
            },
            cloud_origin: String::new(),
            site_origin: String::new(),
            limits: Limits::default(),
            version: String::new(),
        };
        let deployment = Deployment::load(Box::new(store), settings, StorageKind::Local)
            .await
            .unwrap();
        set(&deployment, "A", "1").await;
        (folder, Arc::new(deployment))
    }

    async fn set(deployment: &Deployment, name: &str, value: &str) {
        deployment
            .update_variables(vec![Change::Set(name.into(), value.into())])
            .await
            .unwrap();
    }

    fn authenticate(read_only: bool) -> String {
        let key = AdminKey {
            issued_s: 1,
            principal: Principal::Member(0),
            read_only,
        };
        let key = key.seal("app", &SECRET.parse().unwrap(), [0; 12]);
        json!({ "type": "Authenticate", "baseVersion": 0, "tokenType": "Admin", "value": key })
            .to_string()
    }

    fn version(transition: &Value, which: &str) -> (u64, u64) {
        let version = &transition[which];
        (
            version["querySet"].as_u64().unwrap(),
            version["identity"].as_u64().unwrap(),
        )
    }

    #[tokio::test]
    async fn the_recorded_conversation_is_held() {
        let (_folder, deployment) = deployment().await;
        let mut session = Session::new(deployment);
        assert_eq!(session.receive(CONNECT).unwrap(), None);
        let greeting = session.receive(&authenticate(true)).unwrap().unwrap();
        assert_eq!(
            greeting,
            json!({
                "type": "Transition",
                "startVersion": { "querySet": 0, "identity": 0, "ts": NEVER },
                "endVersion": { "querySet": 0, "identity": 1, "ts": NEVER },
                "modifications": [],
            })
        );
        let answer = session.receive(ADD).unwrap().unwrap();
        assert_eq!(
            (
                version(&answer, "startVersion"),
                version(&answer, "endVersion")
            ),
            ((0, 1), (1, 1))
        );
        assert_ne!(answer["endVersion"]["ts"], NEVER);
        let update = &answer["modifications"][0];
        assert_eq!(
            (&update["type"], &update["queryId"]),
            (&json!("QueryUpdated"), &json!(0))
        );
        assert_eq!(
            (&update["logLines"], &update["journal"]),
            (&json!([]), &Value::Null)
        );
        assert_eq!(
            (&update["value"][0]["name"], &update["value"][0]["value"]),
            (&json!("A"), &json!("1"))
        );
        let end = session.receive(REMOVE).unwrap().unwrap();
        assert_eq!(
            (version(&end, "endVersion"), &end["modifications"]),
            ((2, 1), &json!([]))
        );
        assert_eq!(end["startVersion"]["ts"], answer["endVersion"]["ts"]);
    }

    #[tokio::test]
    async fn a_subscriber_hears_of_changes_and_of_nothing_else() {
        let (_folder, deployment) = deployment().await;
        let mut session = Session::new(deployment.clone());
        session.receive(&authenticate(false)).unwrap();
        session.receive(ADD).unwrap();
        assert_eq!(session.refresh().unwrap(), None);
        set(&deployment, "A", "2").await;
        let news = session.refresh().unwrap().unwrap();
        assert_eq!(news["modifications"][0]["value"][0]["value"], "2");
    }

    #[tokio::test]
    async fn a_wrong_key_and_no_key_end_the_session() {
        let (_folder, deployment) = deployment().await;
        let wrong = json!({ "type": "Authenticate", "baseVersion": 0, "tokenType": "Admin", "value": "app|01" });
        let failure = Session::new(deployment.clone())
            .receive(&wrong.to_string())
            .unwrap_err();
        assert_eq!(
            (&failure.message["type"], failure.code.as_str()),
            (&json!("AuthError"), "BadAdminKey")
        );
        assert_eq!(failure.message["baseVersion"], 0);
        let failure = Session::new(deployment).receive(ADD).unwrap_err();
        assert_eq!(
            (&failure.message["type"], failure.code.as_str()),
            (&json!("FatalError"), "BadDeployKey")
        );
    }

    #[tokio::test]
    async fn nonsense_ends_the_session() {
        let (_folder, deployment) = deployment().await;
        for (text, code) in [
            ("{", "WSMessageInvalidJson"),
            (REMOVE, "BaseVersionMismatch"),
            (
                r#"{"type":"Mutation","requestId":0,"udfPath":"a:b","args":[]}"#,
                "NoFunctions",
            ),
        ] {
            assert_eq!(
                Session::new(deployment.clone())
                    .receive(text)
                    .unwrap_err()
                    .code,
                code
            );
        }
    }
}
