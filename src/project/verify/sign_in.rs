//! Checks of what signing in needs.

use super::{
    Answer, Discovery, Facts, Fault, Keeper, Leads, Service, Snapshot, Token, Verdict,
    env::is_internal,
    files::code,
    keeper::APPLY,
    live::{open, variables},
    probe::is_loopback,
};
use crate::{
    convex::SiteOrigin,
    render::env_deployment::user_variables,
    render::project::{ENV_DEPLOYMENT, ENV_LOCAL},
};

const DEPLOY: &str = "Run: npm run deploy:functions";

fn is_failed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Failed { .. })
}

pub(super) fn issuer(facts: &Facts) -> Verdict {
    if let Some(open) = open(&facts.probes.variables) {
        return open;
    }
    let text = |name| facts.probes.variable(name);
    let (Some(issuer), Some(origin)) = (text("JWT_ISSUER"), text("CONVEX_SITE_ORIGIN")) else {
        return Verdict::open("one of the variables is not set: see variables");
    };
    let failed = |detail: String| Verdict::failed(detail, facts.set_variables());
    if issuer != origin {
        return failed(format!(
            "JWT_ISSUER is {issuer}, CONVEX_SITE_ORIGIN is {origin}; they must be the same, byte for byte"
        ));
    }
    match facts.probes.urls.known() {
        Some(urls) if urls.convex_site_url != issuer => failed(format!(
            "JWT_ISSUER is {issuer}, but the deployment's site origin is {}",
            urls.convex_site_url
        )),
        _ => Verdict::passed(issuer),
    }
}

pub(super) fn functions_deployed(facts: &Facts) -> Verdict {
    let remedy = || match facts.keeper() {
        Keeper::Terraform => {
            format!("{DEPLOY}. If it fails because a variable is not set, apply convex_env first.")
        }
        Keeper::Hand => format!(
            "{DEPLOY}. If it fails because a variable is not set, run scripts/init-convex-env.sh first."
        ),
    };
    match &facts.probes.functions {
        Answer::Known(Ok(found)) => match facts.probes.urls.known() {
            Some(urls) if urls.convex_site_url != found.issuer => Verdict::failed(
                format!(
                    "the functions name the issuer {}, the deployment's site origin is {}",
                    found.issuer, urls.convex_site_url
                ),
                remedy(),
            ),
            _ => Verdict::passed(format!("they name the issuer {}", found.issuer)),
        },
        Answer::Known(Err(Fault::Status { url, status })) => Verdict::failed(
            format!(
                "{url} answers with status {status}: functions with authentication are not deployed"
            ),
            remedy(),
        ),
        Answer::Known(Err(fault)) => Verdict::failed(fault.to_string(), remedy()),
        Answer::Failed(why) => Verdict::failed(why.as_str(), remedy()),
        Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

/// What makes an issuer one that the container reaches.
fn make_reachable(facts: &Facts) -> String {
    match facts.keeper() {
        Keeper::Terraform => format!(
            "Set internal_origins = true on convex_deployment, and {APPLY}: the issuer is then an address in the container, and browsers keep their addresses. Or give origins.site an address that the container reaches without a login."
        ),
        Keeper::Hand => format!(
            "Set CONVEX_SITE_ORIGIN, CONVEX_SITE_URL and JWT_ISSUER in {ENV_LOCAL} to http://127.0.0.1:3211; then run ./start-convex-backend.sh and scripts/init-convex-env.sh."
        ),
    }
}

/// What is wrong with what an issuer serves.
fn unfit(facts: &Facts, issuer: &str, found: &Discovery) -> Option<String> {
    if found.issuer != issuer {
        return Some(format!(
            "{issuer} leads to another deployment: its document names the issuer {}",
            found.issuer
        ));
    }
    let own = facts
        .probes
        .functions
        .known()
        .and_then(|it| it.as_ref().ok());
    own.is_some_and(|own| own.keys != found.keys).then(|| {
        format!(
            "the keys at {} are not those of the deployment",
            found.jwks_uri
        )
    })
}

pub(super) fn issuer_reachable(facts: &Facts) -> Verdict {
    let Some(issuer) = facts.probes.issuer_name() else {
        return open(&facts.probes.variables)
            .unwrap_or_else(|| Verdict::open("the issuer is not known"));
    };
    if is_failed(&functions_deployed(facts)) {
        return Verdict::open(
            "what the issuer should serve is not deployed: see functions_deployed",
        );
    }
    let failed = |detail: String| Verdict::failed(detail, make_reachable(facts));
    let seen = &facts.probes.issuer;
    let from_inside = "from inside the container";
    match (&seen.inside, &facts.probes.token) {
        (Answer::Known(Ok(found)), _) if unfit(facts, issuer, found).is_none() => Verdict::passed(
            format!("{from_inside}, {issuer} serves the keys of the deployment"),
        ),
        (_, Answer::Known(Token::Accepted)) => Verdict::passed(format!(
            "the backend has read its keys at {issuer}: it accepts a token"
        )),
        (Answer::Known(Ok(found)), _) => {
            let why = unfit(facts, issuer, found).unwrap_or_default();
            failed(format!("{from_inside}, {why}"))
        }
        (Answer::Known(Err(fault)), _) => failed(format!("{from_inside}, {fault}")),
        (Answer::Failed(why) | Answer::NotAsked(why), _) => from_here(facts, issuer, why),
    }
}

/// What can be said of an issuer that was not asked from inside the container, for this reason.
fn from_here(facts: &Facts, issuer: &str, why_not: &str) -> Verdict {
    let failed = |detail: String| Verdict::failed(detail, make_reachable(facts));
    let own = facts
        .probes
        .functions
        .known()
        .and_then(|it| it.as_ref().ok());
    if is_internal(issuer) || issuer == "http://localhost:3211" {
        return match own.map(|found| unfit(facts, issuer, found)) {
            Some(None) => Verdict::passed(format!(
                "{issuer} is the backend's own port, and its functions serve the keys of the deployment"
            )),
            Some(Some(why)) => failed(why),
            None => Verdict::open(why_not),
        };
    }
    if is_loopback(issuer) {
        return failed(format!(
            "{issuer} means the container itself to the backend, where it listens on 3210 and 3211 only"
        ));
    }
    match &facts.probes.issuer.here {
        Answer::Known(Err(fault @ Fault::Login { .. })) => failed(format!(
            "from here, {fault}; the backend would meet it, too"
        )),
        Answer::Known(Err(fault)) => Verdict::open(format!("from here, {fault}; {why_not}")),
        Answer::Known(Ok(found)) => match unfit(facts, issuer, found) {
            Some(why) => failed(format!("from here, {why}")),
            None => Verdict::open(format!(
                "from here, {issuer} serves the keys of the deployment; whether the backend reaches it is not known: {why_not}"
            )),
        },
        Answer::Failed(why) | Answer::NotAsked(why) => Verdict::open(why.as_str()),
    }
}

pub(super) fn sign_in(facts: &Facts) -> Verdict {
    let (code, message) = match &facts.probes.token {
        Answer::Known(Token::Accepted) => {
            return Verdict::passed("the backend accepts a token that JWT_PRIVATE_KEY has signed");
        }
        Answer::Known(Token::Refused { code, message }) => (code, message),
        Answer::Failed(why) | Answer::NotAsked(why) => return Verdict::open(why.as_str()),
    };
    // The cause is told by the check that has found it.
    let causes: [(&str, super::Make); 4] = [
        ("variables", variables),
        ("issuer", issuer),
        ("functions_deployed", functions_deployed),
        ("issuer_reachable", issuer_reachable),
    ];
    for (name, check) in causes {
        if is_failed(&check(facts)) {
            return Verdict::open(format!("the backend refuses a token ({code}): see {name}"));
        }
    }
    let detail =
        format!("the backend refuses a token that JWT_PRIVATE_KEY has signed: {message} ({code})");
    let remedy = match code.as_str() {
        "AuthProviderDiscoveryFailed" => make_reachable(facts),
        "NoAuthProvider" => format!(
            "The deployed convex/auth.config.ts does not name this issuer, or was evaluated before it changed. {DEPLOY}"
        ),
        _ => "If the key was rotated within the last 15 s, try again: the backend keeps the old one for so long. Else deploy the functions: npm run deploy:functions".to_owned(),
    };
    Verdict::failed(detail, remedy)
}

pub(super) fn browser_api(facts: &Facts) -> Verdict {
    browser(
        facts,
        Service::Api,
        facts
            .probes
            .urls
            .known()
            .map(|it| it.convex_cloud_url.as_str()),
    )
}

pub(super) fn browser_site(facts: &Facts) -> Verdict {
    browser(facts, Service::Site, facts.probes.public_site())
}

/// Where the address leads that the deployment gives browsers. Those of the project are compared
/// with it.
fn browser(facts: &Facts, service: Service, url: Option<&str>) -> Verdict {
    let is_meant = |of_place: &str| match url {
        Some(url) => url.trim_end_matches('/') == of_place,
        None => !facts.leads_to_cloud(of_place),
    };
    let mut places = facts.probes.places.iter();
    let place = places.find(|it| it.service == service && is_meant(&it.url));
    let Some(place) = place else {
        return open(&facts.probes.variables)
            .unwrap_or_else(|| Verdict::open("the address for browsers is not known"));
    };
    match &place.leads {
        Leads::Home(whence) => {
            Verdict::passed(format!("{} leads to the deployment, {whence}", place.url))
        }
        Leads::Astray(why) => Verdict::failed(
            why.as_str(),
            match (facts.keeper(), service) {
                (Keeper::Terraform, Service::Api) => format!(
                    "Correct origins.api of convex_deployment, or network.publish, so that browsers reach the API there; then {APPLY}."
                ),
                (Keeper::Terraform, Service::Site) => format!(
                    "Correct origins.site of convex_deployment, or network.publish, so that browsers reach the HTTP actions there; then {APPLY}."
                ),
                (Keeper::Hand, _) => format!(
                    "Correct the addresses in {ENV_LOCAL}; then run ./start-convex-backend.sh and scripts/init-convex-env.sh."
                ),
            },
        ),
        Leads::Unclear(why) => Verdict::open(why.as_str()),
    }
}

impl Snapshot {
    /// Where the frontend is, as far as the env files say.
    fn frontend(&self) -> Option<(String, &'static str)> {
        let local = self
            .variables()
            .and_then(|mut it| it.remove("SITE_URL"))
            .map(|it| (it, ENV_LOCAL));
        let own = || {
            let variables = user_variables(self.text(ENV_DEPLOYMENT)?).ok()?;
            let url = variables.get("SITE_URL")?;
            Some((url.expose().to_owned(), ENV_DEPLOYMENT))
        };
        local.or_else(own).filter(|(url, _)| !url.is_empty())
    }

    /// Whether its users sign in by ways that lead back to the page: OAuth, links and codes.
    fn leads_back(&self) -> bool {
        let functions = self.functions().unwrap_or_default();
        let auth = ["ts", "tsx", "js", "jsx", "mjs"]
            .iter()
            .find_map(|end| self.text(&format!("{functions}/auth.{end}")))
            .map(code)
            .unwrap_or_default();
        ["@auth/core/providers", "providers/Email", "providers/Phone"]
            .iter()
            .any(|import| auth.contains(import))
    }
}

pub(super) fn site_url(facts: &Facts) -> Verdict {
    if let Some(open) = open(&facts.probes.variables) {
        return open;
    }
    if facts.probes.variables.known().is_none() {
        return Verdict::open("the variables cannot be read: see variables");
    }
    let failed = |detail: String| {
        Verdict::failed(
            detail,
            match facts.keeper() {
                Keeper::Terraform => format!(
                    "Set auth.site_url of convex_env to the address of the frontend, and {APPLY}."
                ),
                Keeper::Hand => format!(
                    "Set SITE_URL below USER VARIABLES in {ENV_DEPLOYMENT} to the address of the frontend; then run scripts/init-convex-env.sh."
                ),
            },
        )
    };
    let Some(url) = facts.probes.variable("SITE_URL") else {
        return match &facts.snapshot {
            Some(snapshot) if snapshot.leads_back() => failed(
                "SITE_URL is not set, and the providers in auth.ts send users back to it"
                    .to_owned(),
            ),
            Some(_) => {
                Verdict::passed("SITE_URL is not set; passwords and anonymous users do not need it")
            }
            None => Verdict::open("SITE_URL is not set; only OAuth, links and codes need it"),
        };
    };
    if let Err(error) = SiteOrigin::parse(url.trim_end_matches('/')) {
        return failed(format!("SITE_URL is not the address of a page: {error}"));
    }
    let same = |other: &str| other.trim_end_matches('/') == url.trim_end_matches('/');
    let own = facts.probes.places.iter().find(|place| same(&place.url));
    if own.is_some() || facts.probes.issuer_name().is_some_and(same) {
        return failed(format!(
            "SITE_URL is {url}, which is an address of the deployment and not of the frontend"
        ));
    }
    let frontend = facts
        .frontend_url
        .as_ref()
        .map(|url| (url.clone(), "the configuration"));
    match frontend.or_else(|| facts.snapshot.as_ref()?.frontend()) {
        Some((known, from)) if !same(&known) => failed(format!(
            "SITE_URL is {url}, but the frontend is at {known}, as {from} says"
        )),
        Some(_) => Verdict::passed(url),
        None => Verdict::open(format!(
            "SITE_URL is {url}; whether the frontend is there is not known"
        )),
    }
}
