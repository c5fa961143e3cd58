//! Where the addresses lead that browsers use.

use std::collections::BTreeSet;

use super::{
    super::{Discovery, Fault, Leads, Place, Service},
    Loopback, Views,
    discovery::{KEYS, KeysAt, discover, moduli, text},
};
use crate::backend::page::{Ask, Pages};

/// By what the deployment is recognized without showing its key.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    /// The name of its instance.
    pub instance: Option<String>,
    /// What its own HTTP actions serve as issuer of tokens.
    pub functions: Option<Discovery>,
}

/// What one look at an address finds.
enum Seen {
    Home,
    Astray(String),
    Login(String),
    Silent(String),
    Unclear(String),
}

/// Looks where an address leads: from here, else from inside the container.
pub(super) async fn look(
    service: Service,
    url: &str,
    marks: &Marks,
    views: &Views<'_, impl Pages, impl Pages>,
) -> Place {
    let leads = match (is_loopback(url), views.loopback, views.inside) {
        (true, Loopback::Here, _) => {
            strict(seen(views.here, service, url, marks).await, "from here")
        }
        (true, Loopback::Inside, Some(inside)) => strict(
            seen(inside, service, url, marks).await,
            "from inside the container",
        ),
        (true, ..) => Leads::Unclear(format!(
            "{url} is an address of the browser's own machine, which was not asked"
        )),
        (false, ..) => anywhere(service, url, marks, views).await,
    };
    Place {
        service,
        url: url.to_owned(),
        leads,
    }
}

/// An address of the machine that was asked must answer there.
fn strict(seen: Seen, whence: &'static str) -> Leads {
    match seen {
        Seen::Home => Leads::Home(whence),
        Seen::Astray(why) | Seen::Silent(why) => Leads::Astray(why),
        Seen::Login(why) | Seen::Unclear(why) => Leads::Unclear(why),
    }
}

/// An address that may only be resolved, or only be let in, at one of the places.
async fn anywhere(
    service: Service,
    url: &str,
    marks: &Marks,
    views: &Views<'_, impl Pages, impl Pages>,
) -> Leads {
    let here = match seen(views.here, service, url, marks).await {
        Seen::Home => return Leads::Home("from here"),
        other => other,
    };
    if let Some(inside) = views.inside
        && let Seen::Home = seen(inside, service, url, marks).await
    {
        return Leads::Home("from inside the container");
    }
    match here {
        Seen::Home => Leads::Home("from here"),
        Seen::Astray(why) => Leads::Astray(why),
        Seen::Login(why) => Leads::Unclear(format!(
            "{why}; what is behind it, only a browser that has logged in can tell"
        )),
        Seen::Silent(why) => Leads::Unclear(format!("{why}; browsers may still reach it")),
        Seen::Unclear(why) => Leads::Unclear(why),
    }
}

async fn seen(pages: &impl Pages, service: Service, url: &str, marks: &Marks) -> Seen {
    match service {
        Service::Api => api(pages, url, marks).await,
        Service::Site => site(pages, url, marks).await,
    }
}

async fn api(pages: &impl Pages, url: &str, marks: &Marks) -> Seen {
    let Some(instance) = &marks.instance else {
        return Seen::Unclear("the name of the deployment's instance is not known".to_owned());
    };
    let name = match text(pages, &format!("{url}/instance_name")).await {
        Ok(name) if is_name(&name) => name,
        Ok(_) => return Seen::Astray(format!("{url} is not the API of a Convex deployment")),
        Err(fault @ Fault::Login { .. }) => return Seen::Login(fault.to_string()),
        Err(fault @ Fault::Silent { .. }) => return Seen::Silent(fault.to_string()),
        Err(fault) => {
            return Seen::Astray(format!(
                "{url} is not the API of a Convex deployment: {fault}"
            ));
        }
    };
    if name != instance.as_str() {
        return Seen::Astray(format!(
            "{url} leads to the instance {name:?}, the deployment is {instance:?}"
        ));
    }
    // Two deployments can have the same name, but not the same keys.
    let Some(functions) = &marks.functions else {
        return Seen::Home;
    };
    match pages.ask(Ask::Page(&format!("{url}/http{KEYS}"))).await {
        Ok(page)
            if page.status == 200 && moduli(&page.body).is_some_and(|it| it != functions.keys) =>
        {
            Seen::Astray(format!(
                "{url} leads to another deployment whose instance is called {name:?}, too: its keys for sign-in tokens are others"
            ))
        }
        _ => Seen::Home,
    }
}

async fn site(pages: &impl Pages, url: &str, marks: &Marks) -> Seen {
    let Some(functions) = &marks.functions else {
        return Seen::Unclear(
            "HTTP actions that tell the deployment from others are not deployed".to_owned(),
        );
    };
    match discover(pages, url, KeysAt::Beside).await {
        Ok(found) if found.keys != functions.keys => Seen::Astray(format!(
            "{url} leads to another deployment: its keys for sign-in tokens are others"
        )),
        Ok(found) if found.issuer != functions.issuer => Seen::Astray(format!(
            "{url} leads to another deployment: its issuer is {}",
            found.issuer
        )),
        Ok(_) => Seen::Home,
        Err(fault @ Fault::Login { .. }) => Seen::Login(fault.to_string()),
        Err(fault @ Fault::Silent { .. }) => Seen::Silent(fault.to_string()),
        Err(fault) => Seen::Astray(fault.to_string()),
    }
}

/// Whether an answer can be the name of an instance.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 300 && !text.contains(['<', '{', '\n'])
}

/// Whether an address is one of the very machine that asks for it.
pub(in super::super) fn is_loopback(url: &str) -> bool {
    use url::Host;
    let Ok(url) = url::Url::parse(url) else {
        return false;
    };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The addresses without those that were there before.
pub(super) fn distinct<'a>(urls: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    urls.into_iter()
        .map(|url| url.trim_end_matches('/'))
        .filter(|url| !url.is_empty() && seen.insert(*url))
        .map(str::to_owned)
        .collect()
}
