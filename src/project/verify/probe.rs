//! Asking a deployment.

use std::{future::Future, time::Duration};

use super::{Answer, Probes};
use crate::{
    backend::{BackendError, Client, HttpTransport, Method, Request, Transport, api},
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

/// Asks a deployment for everything the checks want to know. Changes nothing.
pub async fn probe(addresses: &Addresses) -> Probes {
    let nobody = |why: &str| Probes {
        containers: Answer::NotAsked("no deployment of this provider was named".to_owned()),
        api: Answer::Failed(why.to_owned()),
        site: Answer::NotAsked("the API does not answer".to_owned()),
        key: Answer::NotAsked("the API does not answer".to_owned()),
        variables: Answer::NotAsked("the API does not answer".to_owned()),
        urls: Answer::NotAsked("the API does not answer".to_owned()),
        issuer: Answer::NotAsked("the API does not answer".to_owned()),
    };
    let api = &addresses.api;
    let transport = match HttpTransport::new(api, None) {
        Ok(transport) => transport,
        Err(error) => return nobody(&format!("{api} cannot be asked: {error}")),
    };
    let version = get(&transport, "/version").await;
    let mut probes = match version {
        Ok((200..=299, release)) => Probes {
            api: Answer::Known(format!("{api} answers, release {}", release.trim())),
            ..nobody("")
        },
        Ok((300..=399, _)) => {
            return nobody(&format!("{api}/version leads to a login page; it is an address for browsers"));
        }
        Ok((status, _)) => return nobody(&format!("{api}/version answers with status {status}")),
        Err(why) => return nobody(&format!("{api}/version does not answer: {why}")),
    };
    match &addresses.key {
        Some(key) => ask_with_key(&mut probes, Client::new(transport, key.clone())).await,
        None => {
            let why = || "there is no admin key to ask with".to_owned();
            probes.key = Answer::NotAsked(why());
            probes.variables = Answer::NotAsked(why());
            probes.urls = Answer::NotAsked(why());
        }
    }
    match &addresses.site {
        Some(site) => ask_site(&mut probes, site).await,
        None => {
            let why = || "it is not known where HTTP actions answer".to_owned();
            probes.site = Answer::NotAsked(why());
            probes.issuer = Answer::NotAsked(why());
        }
    }
    probes
}

async fn ask_with_key(probes: &mut Probes, client: Client<HttpTransport>) {
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

async fn ask_site(probes: &mut Probes, site: &ApiOrigin) {
    let transport = match HttpTransport::new(site, None) {
        Ok(transport) => transport,
        Err(error) => {
            probes.site = Answer::Failed(format!("{site} cannot be asked: {error}"));
            probes.issuer = Answer::NotAsked("the site does not answer".to_owned());
            return;
        }
    };
    match get(&transport, "/").await {
        // An app without an action at this path says so.
        Ok((status, _)) if !(300..=399).contains(&status) => probes.site = Answer::Known(()),
        Ok(_) => {
            probes.site = Answer::Failed(format!("{site}/ leads to a login page"));
            probes.issuer = Answer::NotAsked("the site does not answer".to_owned());
            return;
        }
        Err(why) => {
            probes.site = Answer::Failed(format!("{site}/ does not answer: {why}"));
            probes.issuer = Answer::NotAsked("the site does not answer".to_owned());
            return;
        }
    }
    let path = "/.well-known/openid-configuration";
    probes.issuer = match get(&transport, path).await {
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
}

/// Status and body of a path that needs no key.
async fn get(transport: &HttpTransport, path: &'static str) -> Result<(u16, String), String> {
    let request = Request {
        method: Method::Get,
        path,
        body: None,
        authorized: false,
    };
    let reply = tokio::time::timeout(PATIENCE, transport.send(&request, None));
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
