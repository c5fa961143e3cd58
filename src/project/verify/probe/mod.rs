//! Asking a deployment. Nothing is changed.

mod discovery;
mod nowhere;
mod places;
mod token;

#[cfg(test)]
mod tests;

use std::{future::Future, time::Duration};

use tokio::time::Instant;

pub use self::nowhere::{Nowhere, Why};
pub(super) use self::{discovery::moduli, places::is_loopback};
use self::{
    discovery::{KeysAt, discover, login, text},
    places::{Marks, distinct, is_name, look},
};
use super::{Answer, Discovery, Fault, Instances, Issuer, Probes, Service, Source, Token};
use crate::{
    backend::{
        BackendError, Client, HttpTransport, Transport, TransportError, api,
        page::{Ask, FromHere, Pages},
    },
    convex::{AdminKey, ApiOrigin, AuthKeys},
};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two questions whether a backend listens by now.
const LISTENING: Duration = Duration::from_millis(250);

/// The admin key of a deployment.
#[derive(Debug, Clone)]
pub enum Given {
    /// This one.
    Key(AdminKey),
    /// This one, which must not be sent, for this reason.
    Withheld(AdminKey, String),
    /// There is a text that is no key, for this reason.
    Broken(String),
    /// There is none.
    Nothing,
}

impl Given {
    /// The instance that the key says it is for.
    pub(super) fn instance(&self) -> Option<&str> {
        match self {
            Self::Key(key) | Self::Withheld(key, _) => key.instance_name(),
            Self::Broken(_) | Self::Nothing => None,
        }
    }
}

/// Where a deployment is asked.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Its API.
    pub api: ApiOrigin,
    /// Its HTTP actions, without a path; `None` when nobody has said.
    pub site: Option<ApiOrigin>,
    /// Its admin key.
    pub key: Given,
    /// What a project gives browsers for its API, and for its HTTP actions.
    pub browsers: [Vec<String>; 2],
}

/// A way to a deployment.
pub struct Way<'a, T, P> {
    /// What it is called in messages.
    pub name: &'a str,
    /// What carries its admin key.
    pub transport: T,
    /// What pages are asked from.
    pub pages: &'a P,
    /// Its API, for `pages`.
    pub api: &'a str,
    /// Its HTTP actions, for `pages`; `None` when nobody has said.
    pub site: Option<String>,
}

/// Whose machine an address such as `http://localhost` is taken to mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loopback {
    /// This one.
    Here,
    /// The container, which shares its network with what browsers are tunnelled to.
    Inside,
    /// One that cannot be asked.
    Nowhere,
}

/// The places from which addresses can be looked at.
pub struct Views<'a, H, I> {
    /// This machine.
    pub here: &'a H,
    /// The inside of the backend's container, if it can be had.
    pub inside: Option<&'a I>,
    /// What loopback addresses mean to browsers.
    pub loopback: Loopback,
}

/// Where the HTTP actions are, if the API is asked at its own port: one further.
#[must_use]
pub fn site_beside(api: &ApiOrigin) -> Option<ApiOrigin> {
    let host = api.as_str().strip_suffix(":3210")?;
    ApiOrigin::parse(&format!("{host}:3211")).ok()
}

/// Asks a deployment at its addresses for everything the checks want to know, and from inside its
/// container where that can be had.
pub async fn probe(addresses: &Addresses, inside: Option<&impl Pages>) -> Probes {
    let api = &addresses.api;
    let ways = HttpTransport::new(api, None).and_then(|it| Ok((it, FromHere::new()?)));
    let (transport, here) = match ways {
        Ok(ways) => ways,
        Err(error) => return silent(&format!("{api} cannot be asked: {error}")),
    };
    let way = Way {
        name: api.as_str(),
        transport,
        pages: &here,
        api: api.as_str(),
        site: addresses.site.as_ref().map(ToString::to_string),
    };
    let views = Views {
        here: &here,
        inside,
        loopback: Loopback::Here,
    };
    let probes = ask(way, &views, &addresses.key, &addresses.browsers).await;
    let nowhere = match probes.api {
        Answer::Failed(_) => nowhere::look(api.as_str()).await,
        _ => None,
    };
    Probes { nowhere, ..probes }
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
    fn not_asked<T>(why: &str) -> Answer<T> {
        Answer::NotAsked(why.to_owned())
    }
    Probes {
        keeper: None,
        sources: [Source::File; 2],
        containers: not_asked("no deployment of this provider was named"),
        api: not_asked(why),
        nowhere: None,
        instance: not_asked(why),
        site: not_asked(why),
        key: not_asked(why),
        variables: not_asked(why),
        urls: not_asked(why),
        functions: not_asked(why),
        issuer: Issuer {
            inside: not_asked(why),
            here: not_asked(why),
        },
        token: not_asked(why),
        places: Vec::new(),
    }
}

/// Asks a deployment by a way to it. `browsers` are the addresses that a project gives browsers
/// for its API and for its HTTP actions.
pub async fn ask<T: Transport, P: Pages>(
    way: Way<'_, T, P>,
    views: &Views<'_, impl Pages, impl Pages>,
    key: &Given,
    browsers: &[Vec<String>; 2],
) -> Probes {
    let version = format!("{}/version", way.api);
    let name = format!("{}/instance_name", way.api);
    let mut probes = match ask_version(way.pages, &version).await {
        Ok(release) => Probes {
            api: Answer::Known(format!("{} answers, release {}", way.name, release.trim())),
            ..silent("")
        },
        Err(fault) => return silent(&fault.to_string()),
    };
    let (name, site) = tokio::join!(
        text(way.pages, &name),
        ask_site(way.pages, way.site.as_deref()),
    );
    probes.site = site;
    let there = name.ok().filter(|name| is_name(name));
    probes.instance = match &there {
        Some(there) => Answer::Known(Instances {
            there: there.clone(),
            of_key: key.instance().map(str::to_owned),
        }),
        None => Answer::NotAsked("the backend does not tell the name of its instance".to_owned()),
    };
    if probes.instance.known().is_some_and(|it| !it.agree()) {
        // Which of the two is meant is not known, so nothing more can be said of either.
        return Probes {
            api: probes.api,
            instance: probes.instance,
            site: probes.site,
            ..unasked("another instance answers: see api_instance")
        };
    }
    let (functions, ()) = tokio::join!(
        ask_functions(way.pages, way.api, way.site.as_deref()),
        ask_with_key(&mut probes, way.transport, key),
    );
    probes.functions = Answer::Known(functions);
    let marks = Marks {
        instance: key.instance().map(str::to_owned).or(there),
        functions: probes.functions.known().and_then(|it| it.clone().ok()),
    };
    let urls = probes.urls.known();
    let api = urls.map(|urls| urls.convex_cloud_url.as_str());
    let api = distinct(
        api.into_iter()
            .chain(browsers[0].iter().map(String::as_str)),
    );
    let site = probes.public_site();
    let site = distinct(
        site.into_iter()
            .chain(browsers[1].iter().map(String::as_str)),
    );
    let places = api
        .iter()
        .map(|url| look(Service::Api, url, &marks, views))
        .chain(
            site.iter()
                .map(|url| look(Service::Site, url, &marks, views)),
        );
    let (issuer, token, places) = tokio::join!(
        ask_issuer(&probes, views),
        ask_token(&probes, way.pages, way.api),
        futures_util::future::join_all(places),
    );
    Probes {
        issuer,
        token,
        places,
        ..probes
    }
}

/// The release of a backend, as soon as it listens: one that was just started takes a moment.
async fn ask_version(pages: &impl Pages, url: &str) -> Result<String, Fault> {
    let until = Instant::now() + PATIENCE;
    while let Err(TransportError::Unreachable(_)) = pages.ask(Ask::Page(url)).await
        && Instant::now() < until
    {
        tokio::time::sleep(LISTENING).await;
    }
    text(pages, url).await
}

/// What HTTP actions serve of a token issuer. The API has them below `/http`, where they are
/// those of this instance for sure.
async fn ask_functions(
    pages: &impl Pages,
    api: &str,
    site: Option<&str>,
) -> Result<Discovery, Fault> {
    let below = format!("{api}/http");
    match (discover(pages, &below, KeysAt::Beside).await, site) {
        (Err(_), Some(site)) => discover(pages, site, KeysAt::Beside).await,
        (found, _) => found,
    }
}

async fn ask_issuer(probes: &Probes, views: &Views<'_, impl Pages, impl Pages>) -> Issuer {
    let Some(issuer) = probes.issuer_name() else {
        return unasked("the issuer is not known").issuer;
    };
    match views.inside {
        Some(inside) => Issuer {
            inside: Answer::Known(discover(inside, issuer, KeysAt::Document).await),
            here: Answer::NotAsked("it was asked from inside the container".to_owned()),
        },
        None => Issuer {
            inside: Answer::NotAsked(
                "Docker cannot be asked, so nothing can be asked from inside the container"
                    .to_owned(),
            ),
            here: Answer::Known(discover(views.here, issuer, KeysAt::Document).await),
        },
    }
}

async fn ask_token(probes: &Probes, pages: &impl Pages, api: &str) -> Answer<Token> {
    let keys = probes
        .variable("JWT_PRIVATE_KEY")
        .and_then(|pem| AuthKeys::parse(pem).ok());
    match (keys, probes.issuer_name()) {
        (Some(keys), Some(issuer)) => token::show(pages, api, &keys, issuer).await,
        _ => Answer::NotAsked("the signing key or the issuer is not known".to_owned()),
    }
}

async fn ask_with_key(probes: &mut Probes, transport: impl Transport, key: &Given) {
    let refuse = |probes: &mut Probes, answer: Answer<()>, why: &str| {
        probes.key = answer;
        probes.variables = Answer::NotAsked(why.to_owned());
        probes.urls = Answer::NotAsked(why.to_owned());
    };
    let key = match key {
        Given::Key(key) => key,
        Given::Withheld(_, why) => {
            return refuse(
                probes,
                Answer::NotAsked(why.clone()),
                "the admin key was not sent",
            );
        }
        Given::Broken(why) => {
            return refuse(
                probes,
                Answer::Failed(why.clone()),
                "there is no usable admin key",
            );
        }
        Given::Nothing => {
            let why = "there is no admin key to ask with";
            return refuse(probes, Answer::NotAsked(why.to_owned()), why);
        }
    };
    let client = Client::new(transport, key.clone());
    if let Err(why) = within(client.call(&api::check_admin_key())).await {
        return refuse(probes, Answer::Failed(why), "the admin key is not accepted");
    }
    probes.key = Answer::Known(());
    let urls = api::canonical_urls();
    let (variables, urls) = tokio::join!(within(client.variables()), within(client.call(&urls)));
    probes.variables = match variables {
        Ok(variables) => Answer::Known(variables),
        Err(why) => Answer::Failed(format!("the variables cannot be read: {why}")),
    };
    // Older backends do not tell.
    probes.urls = urls.map_or_else(Answer::NotAsked, Answer::Known);
}

async fn ask_site(pages: &impl Pages, site: Option<&str>) -> Answer<()> {
    let Some(site) = site else {
        return Answer::NotAsked("it is not known where HTTP actions answer".to_owned());
    };
    let url = format!("{site}/");
    match pages.ask(Ask::Page(&url)).await {
        Ok(page) => match login(&page, &url) {
            Some(login) => Answer::Failed(format!("{url} leads to a login page at {login}")),
            // An app without an action at this path says so.
            None => Answer::Known(()),
        },
        Err(error) => Answer::Failed(format!("{url} does not answer: {error}")),
    }
}

async fn within<T>(call: impl Future<Output = Result<T, BackendError>>) -> Result<T, String> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no reply within {} s", PATIENCE.as_secs())),
    }
}
