//! One client of the sync protocol, without the socket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::message::{self, ClientMessage, Modification, Token};
use crate::deployment::Deployment;
use crate::error::ApiError;
use crate::functions::{self, Call, Caller, Format, Kind};
use crate::runner;

/// What a client has been told so far.
pub struct Session {
    deployment: Arc<Deployment>,
    caller: Caller,
    version: Version,
    queries: BTreeMap<u32, Subscription>,
    /// Takes the responses of actions, which nothing waits for.
    finish: mpsc::UnboundedSender<Value>,
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
    /// The result that the client knows of.
    told: Option<Result<Value, runner::Failure>>,
}

/// What ends a session.
#[derive(Debug)]
pub struct Failure {
    /// The reason.
    pub error: ApiError,
    /// If it is the client's credential: the version of the identity, and whether the credential is a new one.
    pub auth: Option<(u32, bool)>,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self { error, auth: None }
    }
}

impl Session {
    /// A client that has said nothing yet.
    pub fn new(deployment: Arc<Deployment>, finish: mpsc::UnboundedSender<Value>) -> Self {
        Self {
            deployment,
            caller: Caller::NOBODY,
            version: Version::default(),
            queries: BTreeMap::new(),
            finish,
        }
    }

    /// Takes one text frame; returns the replies.
    pub async fn receive(&mut self, text: &str) -> Result<Vec<Value>, Failure> {
        let message: ClientMessage = serde_json::from_str(text).map_err(|error| {
            ApiError::bad_request(
                "WSMessageInvalidJson",
                format!("The message is not understood: {error}"),
            )
        })?;
        let before = self.version;
        match message {
            ClientMessage::Connect {} | ClientMessage::Event {} => return Ok(Vec::new()),
            ClientMessage::Mutation(call) => {
                self.check_expiry()?;
                let result = run(&self.deployment, &self.caller, Kind::Mutation, &call).await?;
                let mut response = respond("MutationResponse", &call, result);
                // The client waits for a transition to this time.
                self.version.ts = self.version.next();
                if response["success"] == true {
                    response["ts"] = encode(self.version.ts);
                }
                return Ok(vec![response, self.transition(before).await?]);
            }
            ClientMessage::Action(call) => {
                self.check_expiry()?;
                let (deployment, caller) = (self.deployment.clone(), self.caller.clone());
                let finish = self.finish.clone();
                tokio::spawn(async move {
                    let result = run(&deployment, &caller, Kind::Action, &call).await;
                    let result = result.unwrap_or_else(|error| {
                        let message = error.message.into_owned();
                        Err(runner::Failure {
                            message,
                            data: None,
                        })
                    });
                    // The client may have gone meanwhile.
                    drop(finish.send(respond("ActionResponse", &call, result)));
                });
                return Ok(Vec::new());
            }
            ClientMessage::Authenticate {
                base_version,
                token,
            } => {
                check_version("identity", base_version, self.version.identity)?;
                self.caller = self.identify(token).await.map_err(|error| Failure {
                    error,
                    auth: Some((self.version.identity, true)),
                })?;
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
        Ok(vec![self.transition(before).await?])
    }

    /// Looks at the data again; returns what changed for the client, if anything did.
    pub async fn refresh(&mut self) -> Result<Vec<Value>, Failure> {
        let transition = self.transition(self.version).await?;
        let news = transition["modifications"]
            .as_array()
            .is_some_and(|news| !news.is_empty());
        Ok(news.then_some(transition).into_iter().collect())
    }

    async fn identify(&self, token: Token) -> Result<Caller, ApiError> {
        Ok(match token {
            Token::None => Caller::NOBODY,
            Token::User { value } => Caller {
                user: Some(self.deployment.user(&value).await?),
                ..Caller::NOBODY
            },
            Token::Admin { value } => Caller {
                identity: self.deployment.settings.authority.by_key(&value)?,
                user: None,
            },
        })
    }

    fn check_expiry(&self) -> Result<(), Failure> {
        self.caller.check_expiry().map_err(|error| Failure {
            error,
            auth: Some((self.version.identity, false)),
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

    async fn transition(&mut self, before: Version) -> Result<Value, Failure> {
        if !self.queries.is_empty() {
            self.check_expiry()?;
        }
        let mut modifications = Vec::new();
        for (id, subscription) in &mut self.queries {
            let call = Call {
                kind: Kind::Query,
                path: &subscription.path,
                arguments: &subscription.arguments,
                format: Format::Encoded,
            };
            let result = functions::run(&self.deployment, &self.caller, call).await?;
            if subscription.told.as_ref() == Some(&result) {
                continue;
            }
            subscription.told = Some(result.clone());
            let (kind, mut news) = match result {
                Ok(value) => ("QueryUpdated", json!({ "value": value })),
                Err(failure) => ("QueryFailed", failure.told("errorMessage")),
            };
            news["type"] = kind.into();
            news["queryId"] = (*id).into();
            news["logLines"] = json!([]);
            news["journal"] = Value::Null;
            modifications.push(news);
        }
        if !modifications.is_empty() {
            self.version.ts = self.version.next();
        }
        Ok(json!({
            "type": "Transition",
            "startVersion": before.to_json(),
            "endVersion": self.version.to_json(),
            "modifications": modifications,
        }))
    }
}

async fn run(
    deployment: &Deployment,
    caller: &Caller,
    kind: Kind,
    call: &message::Call,
) -> Result<Result<Value, runner::Failure>, ApiError> {
    let list = call.args.as_array().and_then(|list| list.first());
    let call = Call {
        kind,
        path: &call.udf_path,
        arguments: list.unwrap_or(&call.args),
        format: Format::Encoded,
    };
    functions::run(deployment, caller, call).await
}

fn respond(kind: &str, call: &message::Call, result: Result<Value, runner::Failure>) -> Value {
    let success = result.is_ok();
    let mut response = result.map_or_else(
        |failure| failure.told("result"),
        |value| json!({ "result": value }),
    );
    response["type"] = kind.into();
    response["requestId"] = call.request_id.into();
    response["success"] = success.into();
    response["logLines"] = json!([]);
    response
}

impl Version {
    fn to_json(self) -> Value {
        json!({ "querySet": self.query_set, "identity": self.identity, "ts": encode(self.ts) })
    }

    /// Now, and later than ever before.
    fn next(self) -> u64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(now.as_nanos())
            .unwrap_or(u64::MAX)
            .max(self.ts + 1)
    }
}

fn encode(ts: u64) -> Value {
    Value::String(BASE64_STANDARD.encode(ts.to_le_bytes()))
}

fn check_version(what: &str, base: u32, current: u32) -> Result<(), ApiError> {
    if base == current {
        return Ok(());
    }
    let message =
        format!("The {what} is at version {current}, and the client changes version {base}.");
    Err(ApiError::bad_request("BaseVersionMismatch", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin_key::{AdminKey, Principal};
    use crate::blobs::Blobs;
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
        let blobs = Blobs::open(&folder.path().join("storage")).unwrap();
        let deployment = Deployment::load(Box::new(store), settings, StorageKind::Local, blobs)
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

    fn session(deployment: &Arc<Deployment>) -> Session {
        Session::new(deployment.clone(), mpsc::unbounded_channel().0)
    }

    /// The one reply to a message.
    async fn reply(session: &mut Session, text: &str) -> Value {
        let replies = session.receive(text).await.unwrap();
        let [reply] = <[Value; 1]>::try_from(replies).unwrap();
        reply
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
        let mut session = session(&deployment);
        assert!(session.receive(CONNECT).await.unwrap().is_empty());
        let greeting = reply(&mut session, &authenticate(true)).await;
        assert_eq!(
            greeting,
            json!({
                "type": "Transition",
                "startVersion": { "querySet": 0, "identity": 0, "ts": NEVER },
                "endVersion": { "querySet": 0, "identity": 1, "ts": NEVER },
                "modifications": [],
            })
        );
        let answer = reply(&mut session, ADD).await;
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
        let end = reply(&mut session, REMOVE).await;
        assert_eq!(
            (version(&end, "endVersion"), &end["modifications"]),
            ((2, 1), &json!([]))
        );
        assert_eq!(end["startVersion"]["ts"], answer["endVersion"]["ts"]);
    }

    #[tokio::test]
    async fn a_subscriber_hears_of_changes_and_of_nothing_else() {
        let (_folder, deployment) = deployment().await;
        let mut session = session(&deployment);
        reply(&mut session, &authenticate(false)).await;
        reply(&mut session, ADD).await;
        assert!(session.refresh().await.unwrap().is_empty());
        set(&deployment, "A", "2").await;
        let news = session.refresh().await.unwrap();
        assert_eq!(news[0]["modifications"][0]["value"][0]["value"], "2");
    }

    #[tokio::test]
    async fn a_wrong_key_ends_the_session_and_no_key_does_not() {
        let (_folder, deployment) = deployment().await;
        let wrong = json!({ "type": "Authenticate", "baseVersion": 0, "tokenType": "Admin", "value": "app|01" });
        let failure = session(&deployment)
            .receive(&wrong.to_string())
            .await
            .unwrap_err();
        assert_eq!(
            (failure.error.code.as_ref(), failure.auth),
            ("BadAdminKey", Some((0, true)))
        );
        // Without a key, a query of the system fails, and the session goes on.
        let replies = session(&deployment).receive(ADD).await.unwrap();
        let message = &replies[0]["modifications"][0]["errorMessage"];
        assert!(
            message
                .to_string()
                .contains("Operation query not permitted"),
            "{message}"
        );
    }

    #[tokio::test]
    async fn nonsense_ends_the_session() {
        let (_folder, deployment) = deployment().await;
        for (text, code) in [
            ("{", "WSMessageInvalidJson"),
            (REMOVE, "BaseVersionMismatch"),
        ] {
            let failure = session(&deployment).receive(text).await.unwrap_err();
            assert_eq!(failure.error.code, code);
        }
    }
}
