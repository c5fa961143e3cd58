//! Asking a deployment.

use std::{future::Future, time::Duration};

use super::{Answer, Probes};
use crate::{
    backend::{self, BackendError, Client, HttpTransport, Method, Request, Transport, api},
    convex::{AdminKey, ApiOrigin},
};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a deployment is asked.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Its API.
    pub api: ApiOrigin,
    /// Its HTTP actions, without a path; `None` when nobody has said.
    pub site: Option<ApiOrigin>,
    /// Its admin key, if there is one.
    pub key: Option<AdminKey>,
}

/// Where the HTTP actions are, if the API is asked at its own port: one further.
#[must_use]
pub fn site_beside(api: &ApiOrigin) -> Option<ApiOrigin> {
    let host = api.as_str().strip_suffix(":3210")?;
    ApiOrigin::parse(&format!("{host}:3211")).ok()
}

/// Asks a deployment at its addresses for everything the checks want to know. Changes nothing.
pub async fn probe(addresses: &Addresses) -> Probes {
    let api = &addresses.api;
    let transport = match HttpTransport::new(api, None) {
        Ok(transport) => transport,
        Err(error) => return silent(&format!("{api} cannot be asked: {error}")),
    };
    let site = match &addresses.site {
        None => Err(Answer::NotAsked(
            "it is not known where HTTP actions answer".to_owned(),
        )),
        Some(site) => match HttpTransport::new(site, None) {
            Ok(transport) => Ok((site.to_string(), transport)),
            Err(error) => Err(Answer::Failed(format!("{site} cannot be asked: {error}"))),
        },
    };
    ask(api.as_str(), transport, site, addresses.key.as_ref()).await
}

/// What is known of a deployment whose API does not answer.
fn silent(why: &str) -> Probes {
    Probes {
        api: Answer::Failed(why.to_owned()),
        ..unasked("the API does not answer")
    }
}

/// What is known of a deployment that was not asked.
#[must_use]
pub fn unasked(why: &str) -> Probes {
    let why = || why.to_owned();
    Probes {
        containers: Answer::NotAsked("no deployment of this provider was named".to_owned()),
        api: Answer::NotAsked(why()),
        site: Answer::NotAsked(why()),
        key: Answer::NotAsked(why()),
        variables: Answer::NotAsked(why()),
        urls: Answer::NotAsked(why()),
        issuer: Answer::NotAsked(why()),
    }
}

/// Asks a deployment by any way to it. The ways have names for messages.
pub async fn ask<T: Transport>(
    api: &str,
    transport: T,
    site: Result<(String, T), Answer<()>>,
    key: Option<&AdminKey>,
) -> Probes {
    let mut probes = match get(&transport, "/version").await {
        Ok((200..=299, release)) => Probes {
            api: Answer::Known(format!("{api} answers, release {}", release.trim())),
            ..silent("")
        },
        Ok((300..=399, _)) => {
            return silent(&format!(
                "{api}/version leads to a login page; it is an address for browsers"
            ));
        }
        Ok((status, _)) => return silent(&format!("{api}/version answers with status {status}")),
        Err(why) => return silent(&format!("{api}/version does not answer: {why}")),
    };
    match key {
        Some(key) => ask_with_key(&mut probes, Client::new(transport, key.clone())).await,
        None => {
            let why = || "there is no admin key to ask with".to_owned();
            probes.key = Answer::NotAsked(why());
            probes.variables = Answer::NotAsked(why());
            probes.urls = Answer::NotAsked(why());
        }
    }
    probes.site = match site {
        Ok((name, transport)) => ask_site(&mut probes, &name, &transport).await,
        Err(why) => why,
    };
    if !matches!(probes.site, Answer::Known(())) {
        probes.issuer = Answer::NotAsked("the site does not answer".to_owned());
    }
    probes
}

async fn ask_with_key<T: Transport>(probes: &mut Probes, client: Client<T>) {
    match within(client.call(&api::check_admin_key())).await {
        Ok(()) => probes.key = Answer::Known(()),
        Err(why) => {
            probes.key = Answer::Failed(why);
            let why = || "the admin key is not accepted".to_owned();
            probes.variables = Answer::NotAsked(why());
            probes.urls = Answer::NotAsked(why());
            return;
        }
    }
    probes.variables = match within(client.variables()).await {
        Ok(variables) => Answer::Known(variables),
        Err(why) => Answer::Failed(format!("the variables cannot be read: {why}")),
    };
    probes.urls = match within(client.call(&api::canonical_urls())).await {
        Ok(urls) => Answer::Known(urls),
        // Older backends do not tell.
        Err(why) => Answer::NotAsked(why),
    };
}

async fn ask_site(probes: &mut Probes, site: &str, transport: &impl Transport) -> Answer<()> {
    match get(transport, "/").await {
        // An app without an action at this path says so.
        Ok((status, _)) if !(300..=399).contains(&status) => {}
        Ok(_) => return Answer::Failed(format!("{site}/ leads to a login page")),
        Err(why) => return Answer::Failed(format!("{site}/ does not answer: {why}")),
    }
    let path = "/.well-known/openid-configuration";
    probes.issuer = match get(transport, path).await {
        Ok((200, body)) => match serde_json::from_str::<serde_json::Value>(&body)
            .ok()
            .and_then(|json| Some(json["issuer"].as_str()?.to_owned()))
        {
            Some(issuer) => Answer::Known(issuer),
            None => Answer::Failed(format!("{site}{path} names no issuer")),
        },
        Ok((status, _)) => Answer::Failed(format!(
            "{site}{path} answers with status {status}: functions with authentication are not deployed"
        )),
        Err(why) => Answer::Failed(format!("{site}{path} does not answer: {why}")),
    };
    Answer::Known(())
}

/// Status and body of a path that needs no key.
async fn get(transport: &impl Transport, path: &'static str) -> Result<(u16, String), String> {
    let request = Request {
        method: Method::Get,
        path,
        body: None,
        authorized: false,
    };
    let reply = tokio::time::timeout(PATIENCE, backend::send(transport, &request, None));
    match reply.await {
        Ok(Ok(response)) => Ok((
            response.status,
            String::from_utf8_lossy(&response.body).into_owned(),
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no reply within {} s", PATIENCE.as_secs())),
    }
}

async fn within<T>(call: impl Future<Output = Result<T, BackendError>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no reply within {} s", PATIENCE.as_secs())),
    }
}
