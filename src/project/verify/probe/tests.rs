use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{
    backend::{Request, Response, TransportError, page::Page},
    convex::auth_keys::KeySize,
    project::verify::{Leads, Place},
};

const API: &str = "http://127.0.0.1:4210";
const ISSUER: &str = "http://127.0.0.1:3211";

/// What answers, by address: a status, a media type and a text, or a redirect.
#[derive(Default)]
struct Web {
    pages: BTreeMap<String, (u16, &'static str, String)>,
    asked: Mutex<Vec<String>>,
    /// How many questions are refused before.
    refuses: usize,
}

impl Web {
    fn with(mut self, url: &str, status: u16, kind: &'static str, text: &str) -> Self {
        self.pages
            .insert(url.to_owned(), (status, kind, text.to_owned()));
        self
    }

    /// An API of this instance at an address, with these keys for tokens of this issuer.
    fn deployment(self, url: &str, instance: &str, issuer: &str, keys: &str) -> Self {
        self.with(&format!("{url}/version"), 200, "text/plain", "1.0")
            .with(&format!("{url}/instance_name"), 200, "text/plain", instance)
            .site(&format!("{url}/http"), issuer, keys)
            .with(
                &format!("{url}/api/query"),
                200,
                "application/json",
                r#"{"status":"error"}"#,
            )
    }

    fn site(self, url: &str, issuer: &str, keys: &str) -> Self {
        let document =
            format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}/.well-known/jwks.json"}}"#);
        self.with(&format!("{url}/"), 404, "text/plain", "no action")
            .with(
                &format!("{url}/.well-known/openid-configuration"),
                200,
                "application/json",
                &document,
            )
            .with(
                &format!("{url}/.well-known/jwks.json"),
                200,
                "application/json; charset=utf-8",
                keys,
            )
    }

    /// A proxy that sends everybody to a login.
    fn login(self, url: &str) -> Self {
        self.with(
            url,
            303,
            "text/html",
            "https://coder.example/login?redirect=x",
        )
    }
}

impl Pages for Web {
    async fn ask(&self, ask: Ask<'_>) -> Result<Page, TransportError> {
        let (Ask::Page(url) | Ask::AsUser { url, .. }) = ask;
        let mut asked = self.asked.lock().unwrap();
        asked.push(url.to_owned());
        if asked.len() <= self.refuses {
            return Err(TransportError::Unreachable("not yet".to_owned()));
        }
        let found = self
            .pages
            .iter()
            .find(|(at, page)| *at == url || page.0 == 303 && url.starts_with(at.as_str()));
        let Some((_, (status, kind, text))) = found else {
            return Err(TransportError::Unreachable("refused".to_owned()));
        };
        let led = *status == 303;
        Ok(Page {
            status: if led { 200 } else { *status },
            content_type: (*kind).to_owned(),
            url: if led { text.clone() } else { url.to_owned() },
            body: text.clone().into_bytes(),
        })
    }
}

/// What answers those who have the key, and how often it was sent.
struct Keyed<'a> {
    replies: Vec<(&'static str, String)>,
    sent: &'a AtomicUsize,
}

impl Transport for Keyed<'_> {
    async fn send(
        &self,
        request: &Request,
        key: Option<&AdminKey>,
    ) -> Result<Response, TransportError> {
        self.sent
            .fetch_add(usize::from(key.is_some()), Ordering::Relaxed);
        let reply = self.replies.iter().find(|(path, _)| *path == request.path);
        let (_, body) = reply.expect("a reply");
        Ok(Response {
            status: 200,
            body: body.clone().into_bytes(),
        })
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }
}

struct Case {
    key: Given,
    here: Web,
    inside: Option<Web>,
    loopback: Loopback,
    browsers: [Vec<String>; 2],
    issuer: &'static str,
    cloud: &'static str,
    public_site: &'static str,
}

fn keys() -> &'static (AuthKeys, String) {
    static KEYS: std::sync::LazyLock<(AuthKeys, String)> = std::sync::LazyLock::new(|| {
        let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
        let set = keys.jwks();
        (keys, set)
    });
    &KEYS
}

const OTHER_KEYS: &str = r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#;

fn case() -> Case {
    let set = &keys().1;
    Case {
        key: Given::Key(AdminKey::parse("app|01").unwrap()),
        here: Web::default().deployment(API, "app", ISSUER, set),
        inside: None,
        loopback: Loopback::Here,
        browsers: [vec![API.to_owned()], Vec::new()],
        issuer: ISSUER,
        cloud: API,
        public_site: "https://site.example",
    }
}

/// What is found out, and how often the key was sent.
async fn run(case: &Case) -> (Probes, usize) {
    let sent = AtomicUsize::new(0);
    let variables = serde_json::json!({ "environmentVariables": {
        "JWT_PRIVATE_KEY": keys().0.private_key_single_line().expose(),
        "JWKS": keys().1,
        "JWT_ISSUER": case.issuer,
        "CUSTOM_AUTH_SITE_URL": case.public_site,
    }});
    let urls = serde_json::json!({ "convexCloudUrl": case.cloud, "convexSiteUrl": case.issuer });
    let way = Way {
        name: API,
        transport: Keyed {
            replies: vec![
                ("/api/check_admin_key", String::new()),
                ("/api/list_environment_variables", variables.to_string()),
                ("/api/v1/get_canonical_urls", urls.to_string()),
            ],
            sent: &sent,
        },
        pages: &case.here,
        api: API,
        site: None,
    };
    let views = Views {
        here: &case.here,
        inside: case.inside.as_ref(),
        loopback: case.loopback,
    };
    let probes = ask(way, &views, &case.key, &case.browsers).await;
    (probes, sent.into_inner())
}

async fn leads(case: &Case, url: &str) -> Leads {
    let (probes, _) = run(case).await;
    let place = probes.places.into_iter().find(|it| it.url == url);
    let Some(Place { leads, .. }) = place else {
        panic!("{url} was not looked at");
    };
    leads
}

#[tokio::test]
async fn a_deployment_is_asked_all_over() {
    let mut case = case();
    case.inside = Some(Web::default().site(ISSUER, ISSUER, &keys().1));
    let (probes, sent) = run(&case).await;
    assert_eq!(sent, 3);
    assert_eq!(probes.token, Answer::Known(Token::Accepted));
    assert_eq!(probes.issuer.inside, probes.functions);
    assert!(matches!(probes.functions, Answer::Known(Ok(_))));
    // Nobody asks from here what means the container.
    assert!(
        !case
            .here
            .asked
            .lock()
            .unwrap()
            .iter()
            .any(|it| it.starts_with(ISSUER))
    );
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_starting_is_waited_for() {
    let mut case = case();
    case.here.refuses = 8;
    let (probes, sent) = run(&case).await;
    assert_eq!((sent, probes.token), (3, Answer::Known(Token::Accepted)));
    case.here.refuses = usize::MAX;
    let (probes, _) = run(&case).await;
    assert!(matches!(probes.api, Answer::Failed(_)), "{:?}", probes.api);
}

#[tokio::test]
async fn the_key_is_sent_to_no_other_instance_and_never_when_withheld() {
    let mut case = case();
    case.here = Web::default().deployment(API, "other", ISSUER, OTHER_KEYS);
    let (probes, sent) = run(&case).await;
    assert_eq!(sent, 0);
    let instances = probes.instance.known().unwrap();
    assert_eq!(
        (instances.there.as_str(), instances.agree()),
        ("other", false)
    );
    assert!(matches!(probes.key, Answer::NotAsked(_)));
    // What the other one serves is nobody's fault here.
    assert!(matches!(probes.functions, Answer::NotAsked(_)) && probes.places.is_empty());

    let mut case = self::case();
    case.key = Given::Withheld(AdminKey::parse("app|01").unwrap(), "not there".to_owned());
    let (probes, sent) = run(&case).await;
    assert_eq!(
        (sent, probes.key),
        (0, Answer::NotAsked("not there".to_owned()))
    );
    assert!(probes.instance.known().unwrap().agree());
}

#[tokio::test]
async fn an_api_behind_a_redirect_is_told() {
    let mut case = case();
    case.here = Web::default().login(API);
    let (probes, sent) = run(&case).await;
    assert_eq!(sent, 0);
    let Answer::Failed(why) = probes.api else {
        panic!("{:?}", probes.api);
    };
    // Without what is behind the question mark.
    assert_eq!(
        why,
        format!("{API}/version leads to a login page at https://coder.example/login")
    );
}

#[tokio::test]
async fn an_issuer_is_asked_as_the_backend_asks_it() {
    let public = "https://site.example";
    let inside = |web: Web| async move {
        let mut case = case();
        case.issuer = public;
        case.inside = Some(web);
        run(&case).await.0.issuer.inside
    };
    let set = &keys().1;
    let found = inside(Web::default().site(public, public, set)).await;
    assert!(matches!(found, Answer::Known(Ok(_))), "{found:?}");
    let found = inside(Web::default().login(public)).await;
    assert!(
        matches!(found, Answer::Known(Err(Fault::Login { .. }))),
        "{found:?}"
    );
    let found = inside(Web::default()).await;
    assert!(
        matches!(found, Answer::Known(Err(Fault::Silent { .. }))),
        "{found:?}"
    );
    // The keys are where the document says, and of a type that the backend reads.
    let web = Web::default().site(public, public, set);
    let found = inside(web.with(
        &format!("{public}/.well-known/jwks.json"),
        200,
        "text/plain",
        set,
    ))
    .await;
    let Answer::Known(Err(fault)) = found else {
        panic!("{found:?}")
    };
    assert!(
        fault
            .to_string()
            .contains("text/plain in place of application/json"),
        "{fault}"
    );
}

#[tokio::test]
async fn addresses_for_browsers_are_told_from_those_of_other_deployments() {
    let set = &keys().1;
    let public = "https://api.example";
    let at = |web: fn(Web) -> Web| {
        let mut case = case();
        case.cloud = public;
        case.here = web(case.here);
        case
    };
    assert_eq!(
        leads(
            &at(|web| web.deployment("https://api.example", "app", ISSUER, &keys().1)),
            public
        )
        .await,
        Leads::Home("from here")
    );
    for astray in [
        at(|web| web.deployment("https://api.example", "other", ISSUER, OTHER_KEYS)),
        // Many instances are called "app".
        at(|web| web.deployment("https://api.example", "app", ISSUER, OTHER_KEYS)),
        at(|web| {
            web.with(
                "https://api.example/instance_name",
                200,
                "text/html",
                "<html>",
            )
        }),
        at(|web| web.with("https://api.example/instance_name", 404, "text/plain", "")),
    ] {
        let leads = leads(&astray, public).await;
        assert!(matches!(leads, Leads::Astray(_)), "{leads:?}");
    }
    for unclear in [at(|web| web.login("https://api.example")), at(|web| web)] {
        let leads = leads(&unclear, public).await;
        assert!(matches!(leads, Leads::Unclear(_)), "{leads:?}");
    }
    // A name that only the container resolves.
    let mut from_inside = at(|web| web);
    from_inside.inside = Some(Web::default().deployment(public, "app", ISSUER, set));
    assert_eq!(
        leads(&from_inside, public).await,
        Leads::Home("from inside the container")
    );

    let site = "https://site.example";
    let mut case = case();
    case.here = case.here.site(site, ISSUER, set);
    assert_eq!(leads(&case, site).await, Leads::Home("from here"));
    case.here = case.here.site(site, ISSUER, OTHER_KEYS);
    assert!(matches!(leads(&case, site).await, Leads::Astray(_)));
}

#[tokio::test]
async fn an_address_of_ones_own_machine_is_asked_where_browsers_are() {
    let local = "http://localhost:3210";
    let mut case = case();
    case.cloud = local;
    // Another deployment has the port here, and the container has its own.
    case.here = case.here.deployment(local, "other", ISSUER, OTHER_KEYS);
    case.inside = Some(Web::default().deployment(local, "app", ISSUER, &keys().1));
    assert!(matches!(leads(&case, local).await, Leads::Astray(_)));
    case.loopback = Loopback::Inside;
    assert_eq!(
        leads(&case, local).await,
        Leads::Home("from inside the container")
    );
    case.loopback = Loopback::Nowhere;
    assert!(matches!(leads(&case, local).await, Leads::Unclear(_)));
    case.loopback = Loopback::Here;
    case.here.pages.retain(|url, _| !url.starts_with(local));
    assert!(matches!(leads(&case, local).await, Leads::Astray(_)));
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_key_that_is_not_known_yet_is_shown_again() {
    for (code, times) in [("Unauthenticated", 5), ("NoAuthProvider", 1)] {
        let mut case = case();
        let body = format!(r#"{{"code":"{code}","message":"words"}}"#);
        let url = format!("{API}/api/query");
        case.here = case.here.with(&url, 401, "application/json", &body);
        let (probes, _) = run(&case).await;
        let refused = Token::Refused {
            code: code.to_owned(),
            message: "words".to_owned(),
        };
        assert_eq!(probes.token, Answer::Known(refused));
        let asked = case.here.asked.lock().unwrap();
        assert_eq!(
            asked.iter().filter(|it| **it == url).count(),
            times,
            "{code}"
        );
    }
}

#[test]
fn the_site_is_one_port_further_only_at_the_usual_port() {
    let beside = |api: &str| {
        let api = ApiOrigin::parse(api).unwrap();
        site_beside(&api).map(|it| it.to_string())
    };
    assert_eq!(
        beside("http://convex:3210").as_deref(),
        Some("http://convex:3211")
    );
    assert_eq!(beside("https://api.example"), None);
}
