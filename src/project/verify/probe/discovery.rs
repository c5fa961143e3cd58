//! The documents of a token issuer, read as the backend reads them.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::super::{Discovery, Fault};
use crate::backend::page::{Ask, Page, Pages};

/// Where an issuer says who it is.
pub(super) const DOCUMENT: &str = "/.well-known/openid-configuration";

/// Where `@convex-dev/auth` serves its keys.
pub(super) const KEYS: &str = "/.well-known/jwks.json";

/// Where the keys are looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum KeysAt {
    /// Where the document says. So does the backend.
    Document,
    /// Beside the document: it may name an address that only the backend reaches.
    Beside,
}

/// Reads the documents below an address.
pub(super) async fn discover(
    pages: &impl Pages,
    base: &str,
    keys: KeysAt,
) -> Result<Discovery, Fault> {
    #[derive(Deserialize)]
    struct Document {
        issuer: String,
        jwks_uri: String,
    }
    let base = base.trim_end_matches('/');
    let url = format!("{base}{DOCUMENT}");
    let page = json(pages, &url).await?;
    let document: Document = serde_json::from_slice(&page.body).map_err(|_| Fault::Wrong {
        url: url.clone(),
        what: "names no issuer and no keys".to_owned(),
    })?;
    let url = match keys {
        KeysAt::Document => document.jwks_uri.clone(),
        KeysAt::Beside => format!("{base}{KEYS}"),
    };
    let page = json(pages, &url).await?;
    let keys = moduli(&page.body).ok_or(Fault::Wrong {
        url,
        what: "has no set of keys".to_owned(),
    })?;
    Ok(Discovery {
        issuer: document.issuer,
        jwks_uri: document.jwks_uri,
        keys,
    })
}

/// A page that is JSON.
async fn json(pages: &impl Pages, url: &str) -> Result<Page, Fault> {
    let page = fetch(pages, url).await?;
    let essence = page.content_type.split(';').next().unwrap_or_default();
    match essence.trim().to_ascii_lowercase().as_str() {
        // The backend takes it where no type is named.
        "" | "application/json" | "application/jwk-set+json" => Ok(page),
        other => Err(Fault::Wrong {
            url: url.to_owned(),
            what: format!("answers with {other} in place of application/json"),
        }),
    }
}

/// The text of a page that must be at this very address, since its readers follow no redirect.
pub(super) async fn text(pages: &impl Pages, url: &str) -> Result<String, Fault> {
    let page = fetch(pages, url).await?;
    match moved(&page, url) {
        Some(to) => Err(Fault::Wrong {
            url: url.to_owned(),
            what: format!("leads on to {to}"),
        }),
        None => Ok(String::from_utf8_lossy(&page.body).into_owned()),
    }
}

/// A page that exists, and is none for people.
async fn fetch(pages: &impl Pages, url: &str) -> Result<Page, Fault> {
    let asked = || url.to_owned();
    let page = pages
        .ask(Ask::Page(url))
        .await
        .map_err(|error| Fault::Silent {
            url: asked(),
            why: error.to_string(),
        })?;
    if let Some(login) = login(&page, url) {
        return Err(Fault::Login {
            url: asked(),
            login,
        });
    }
    match page.status {
        200 => Ok(page),
        status => Err(Fault::Status {
            url: asked(),
            status,
        }),
    }
}

/// The address of the page for people that a redirect has led to.
pub(super) fn login(page: &Page, asked: &str) -> Option<String> {
    let for_people = page.content_type.starts_with("text/html") || is_redirect(page);
    moved(page, asked).filter(|_| for_people)
}

/// Where a redirect has led to.
fn moved(page: &Page, asked: &str) -> Option<String> {
    let place = url::Url::parse(&page.url).ok()?;
    let same = url::Url::parse(asked).is_ok_and(|asked| asked == place);
    // What is behind the question mark says where the person came from.
    (!same || is_redirect(page))
        .then(|| format!("{}{}", place.origin().ascii_serialization(), place.path()))
}

/// Whether nothing answers where it leads.
fn is_redirect(page: &Page) -> bool {
    (300..=399).contains(&page.status)
}

/// What tells the keys of a set apart; `None` when it is no set.
pub(in super::super) fn moduli(set: &[u8]) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Key>,
    }
    #[derive(Deserialize)]
    struct Key {
        n: Option<String>,
    }
    let set: Set = serde_json::from_slice(set).ok()?;
    Some(set.keys.into_iter().filter_map(|key| key.n).collect())
}
