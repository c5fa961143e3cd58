//! The proof that signing in works: the backend accepts a token as its app signs them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::super::{Answer, Token};
use crate::{
    backend::page::{Ask, Pages},
    convex::AuthKeys,
};

/// Whom the token is for. No user has this ID.
const SUBJECT: &str = "terraform-provider-convex-verify";

/// How long the token is valid. The clocks of this machine and the backend's may differ by less.
const LIFETIME: Duration = Duration::from_mins(5);

/// A query that no app has: the backend looks at the token first, and then runs nothing.
const QUERY: &str = r#"{"path":"terraform_provider_convex:verify","args":{},"format":"json"}"#;

/// How often a token is shown whose signature is refused, and how long is waited in between. The
/// backend keeps the keys of an issuer for 15 s, so they may be those of before a rotation.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(4);

/// Shows the backend a token, signed with `keys` as one of `issuer`.
///
/// The backend then fetches the documents of the issuer from inside its container and checks the
/// signature (upstream `crates/authentication/src/lib.rs`), as it does when a user has signed in.
pub(super) async fn show(
    pages: &impl Pages,
    api: &str,
    keys: &AuthKeys,
    issuer: &str,
) -> Answer<Token> {
    let mut attempt = 1;
    loop {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let token = match keys.token(issuer, SUBJECT, now, LIFETIME) {
            Ok(token) => token,
            Err(error) => return Answer::NotAsked(error.to_string()),
        };
        let ask = Ask::AsUser {
            url: &format!("{api}/api/query"),
            token: &token,
            body: QUERY,
        };
        let answer = match pages.ask(ask).await {
            Ok(page) => read(page.status, &page.body),
            Err(error) => Answer::NotAsked(format!("{api}/api/query does not answer: {error}")),
        };
        let of_old_keys = |code: &str| code == "Unauthenticated";
        match &answer {
            Answer::Known(Token::Refused { code, .. })
                if of_old_keys(code) && attempt < ATTEMPTS =>
            {
                tokio::time::sleep(PAUSE).await;
                attempt += 1;
            }
            _ => return answer,
        }
    }
}

/// What a reply says of the token.
fn read(status: u16, body: &[u8]) -> Answer<Token> {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        #[serde(default)]
        message: String,
    }
    #[derive(Deserialize)]
    struct Outcome {
        status: String,
    }
    let problem = serde_json::from_slice::<Problem>(body).ok();
    match (status, problem) {
        // That there is no such query is said with this status.
        (200, _)
            if serde_json::from_slice::<Outcome>(body).is_ok_and(|it| !it.status.is_empty()) =>
        {
            Answer::Known(Token::Accepted)
        }
        (400..=499, Some(Problem { code, message })) => {
            Answer::Known(Token::Refused { code, message })
        }
        (status, _) => {
            Answer::NotAsked(format!("the backend answers a query with status {status}"))
        }
    }
}
