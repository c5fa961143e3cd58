//! Exports and imports of snapshots.

use serde::Deserialize;

use super::{Call, refusal};
use crate::{
    backend::{BackendError, Response},
    convex::Secret,
    plugin::redact::Foreign,
};

/// A snapshot export.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Export {
    /// Its name for later requests.
    #[serde(rename = "_id")]
    pub id: String,
    /// `requested`, `in_progress`, `completed` or `failed`.
    pub state: String,
}

impl Export {
    /// Whether nothing more will come of it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !matches!(self.state.as_str(), "requested" | "in_progress")
    }
}

/// Begins a snapshot export of documents and files. A backend has one in
/// progress at a time.
#[must_use]
pub fn request_export() -> Call<()> {
    let path = "/api/export/request/zip?includeStorage=true";
    Call::post(path, "{}".into(), |_| Some(()))
}

/// The latest snapshot export, should there have been one.
#[must_use]
pub fn latest_export() -> Call<Option<Export>> {
    let path = "_system/cli/exports:getLatest";
    Call::query(path, &serde_json::json!({}), |value| {
        serde_json::from_value(value).ok()
    })
}

/// Begins the upload of a snapshot, whose parts show the token that comes back.
#[must_use]
pub fn start_upload() -> Call<Secret> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Reply {
        upload_token: Secret,
    }
    Call::post("/api/import/start_upload", "{}".into(), |body| {
        let reply: Reply = serde_json::from_slice(body).ok()?;
        Some(reply.upload_token)
    })
}

/// Reads the reply to a part of an upload: the token of that part.
pub fn read_part(response: &Response) -> Result<Secret, BackendError> {
    match response.status {
        200..=299 => serde_json::from_slice(&response.body)
            .ok()
            .ok_or(BackendError::Unexpected {
                status: response.status,
            }),
        status => Err(refusal(status, &response.body)),
    }
}

/// Ends an upload and makes an import of it, whose ID comes back. It fails
/// where a table that it fills has documents, and it waits to be performed.
#[must_use]
pub fn finish_upload(upload: &Secret, parts: &[Secret]) -> Call<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Reply {
        import_id: String,
    }
    let parts: Vec<_> = parts.iter().map(Secret::expose).collect();
    let body = serde_json::json!({
        "import": { "mode": "requireEmpty", "format": "zip" },
        "uploadToken": upload.expose(),
        "partTokens": parts,
    });
    let path = "/api/import/finish_upload";
    Call::post(path, body.to_string().into(), |body| {
        let reply: Reply = serde_json::from_slice(body).ok()?;
        Some(reply.import_id)
    })
}

/// Performs an import that waits for that. Doing it twice is the same as doing
/// it once.
#[must_use]
pub fn perform_import(id: &str) -> Call<()> {
    let body = serde_json::json!({ "importId": id });
    Call::post("/api/perform_import", body.to_string().into(), |_| Some(()))
}

/// Where an import stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Import {
    /// Its file is being read.
    Uploaded,
    /// It waits to be performed.
    WaitingForConfirmation,
    /// It is being performed.
    InProgress {
        /// How far it is, in words.
        #[serde(default)]
        progress_message: Option<Foreign>,
    },
    /// All of it is in the tables.
    Completed,
    /// Nothing of it is in the tables.
    Failed {
        /// Why.
        error_message: Foreign,
    },
}

/// The import with this ID, should there be one.
#[must_use]
pub fn import(id: &str) -> Call<Option<Import>> {
    #[derive(Deserialize)]
    struct Document {
        state: Import,
    }
    let arguments = serde_json::json!({ "importId": id });
    Call::query("_system/cli/queryImport", &arguments, |value| {
        let document: Option<Document> = serde_json::from_value(value).ok()?;
        Some(document.map(|it| it.state))
    })
}

#[cfg(test)]
mod tests {
    use super::{Import, finish_upload, import, latest_export, read_part};
    use crate::backend::Response;

    fn reply(status: u16, body: &str) -> Response {
        Response {
            status,
            body: body.as_bytes().to_vec(),
        }
    }

    #[test]
    fn an_export_is_there_or_not_or_the_query_failed() {
        let read = |body: &str| latest_export().read(&reply(200, body));
        assert_eq!(read(r#"{"status":"success","value":null}"#).unwrap(), None);
        let body = r#"{"status":"success","value":{"_id":"e1","state":"in_progress","start_ts":{"$integer":"AAAAAAAAAAA="}}}"#;
        let export = read(body).unwrap().unwrap();
        assert_eq!((export.id.as_str(), export.has_ended()), ("e1", false));
        assert!(read(r#"{"status":"error","errorMessage":"no such function"}"#).is_err());
    }

    #[test]
    fn an_import_says_where_it_stands() {
        let read = |state: &str| {
            let body = format!(r#"{{"status":"success","value":{{"_id":"i","state":{state}}}}}"#);
            import("i").read(&reply(200, &body)).unwrap()
        };
        assert_eq!(read(r#"{"state":"uploaded"}"#), Some(Import::Uploaded));
        let waits = r#"{"state":"waiting_for_confirmation","message_to_confirm":"?","require_manual_confirmation":true}"#;
        assert_eq!(read(waits), Some(Import::WaitingForConfirmation));
        let goes_on =
            r#"{"state":"in_progress","progress_message":"half","checkpoint_messages":[]}"#;
        let progress_message = Some("half".into());
        assert_eq!(read(goes_on), Some(Import::InProgress { progress_message }));
        let done = r#"{"state":"completed","timestamp":{"$integer":"AAAAAAAAAAA="},"num_rows_written":{"$integer":"AAAAAAAAAAA="}}"#;
        assert_eq!(read(done), Some(Import::Completed));
        let error_message = "why".into();
        assert_eq!(
            read(r#"{"state":"failed","error_message":"why"}"#),
            Some(Import::Failed { error_message })
        );
        let none = import("i").read(&reply(200, r#"{"status":"success","value":null}"#));
        assert_eq!(none.unwrap(), None);
        assert!(
            import("i")
                .read(&reply(200, r#"{"status":"error","errorMessage":"?"}"#))
                .is_err()
        );
    }

    #[test]
    fn an_upload_is_finished_with_the_tokens_of_its_parts() {
        let part = read_part(&reply(200, "\"p1\"")).unwrap();
        assert!(read_part(&reply(200, "<html>")).is_err());
        let body = finish_upload(&"u".into(), &[part]).request.body.unwrap();
        let body: serde_json::Value = serde_json::from_str(body.expose()).unwrap();
        let expected = serde_json::json!({
            "import": { "mode": "requireEmpty", "format": "zip" },
            "uploadToken": "u",
            "partTokens": ["p1"],
        });
        assert_eq!(body, expected);
    }
}
