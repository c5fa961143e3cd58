//! What a client of the sync protocol says.

use serde::Deserialize;
use serde_json::Value;

/// One text frame. Fields that make no difference here are not read.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub enum ClientMessage {
    /// The first message of a session.
    Connect {},
    /// Who the client is. The second message of a session of the CLI.
    #[serde(rename_all = "camelCase")]
    Authenticate {
        /// The version of the identity that it believes to replace.
        base_version: u32,
        /// The credential.
        #[serde(flatten)]
        token: Token,
    },
    /// Which queries the client wants to be kept informed of.
    #[serde(rename_all = "camelCase")]
    ModifyQuerySet {
        /// The version of the set that it believes to change.
        base_version: u32,
        /// The version after the change.
        new_version: u32,
        /// What changes.
        modifications: Vec<Modification>,
    },
    /// Something measured by the client. Needs no answer.
    Event {},
    /// A call that may change something.
    Mutation(Call),
    /// A call of another kind.
    Action(Call),
}

/// A call of a function.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// The client's number for it.
    pub request_id: u32,
    /// The function, `module:function`.
    pub udf_path: String,
    /// Its arguments: a list that holds one object.
    pub args: Value,
}

/// The credential of a client.
#[derive(Debug, Deserialize)]
#[serde(tag = "tokenType")]
pub enum Token {
    /// An admin key.
    Admin {
        /// The key.
        value: String,
    },
    /// A token of a user.
    User {
        /// The token.
        value: String,
    },
    /// No credential any more.
    None,
}

/// One change of a set of queries.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub enum Modification {
    /// One more query.
    #[serde(rename_all = "camelCase")]
    Add {
        /// The client's number for it.
        query_id: u32,
        /// The function, `module:function`.
        udf_path: String,
        /// Its arguments: a list that holds one object.
        #[serde(default)]
        args: Vec<Value>,
    },
    /// One query less.
    #[serde(rename_all = "camelCase")]
    Remove {
        /// The client's number for it.
        query_id: u32,
    },
}
