//! A project and a deployment, and what becomes of them.

use std::{collections::BTreeMap, sync::LazyLock};

use super::super::*;
use crate::{
    backend::api::CanonicalUrls,
    convex::{AuthKeys, Secret, auth_keys::KeySize},
};

pub const API: &str = "https://api.example";
/// Where browsers reach HTTP actions.
pub const SITE: &str = "https://site.example";
pub const ISSUER: &str = "http://127.0.0.1:3211";

static KEYS: LazyLock<AuthKeys> = LazyLock::new(|| AuthKeys::generate(KeySize::Rsa2048).unwrap());

/// A project and a deployment in which all is well.
pub fn good() -> Facts {
    let files = [
        (
            ".env.convex.local",
            format!(
                "CONVEX_CLOUD_ORIGIN={API}\nCONVEX_SITE_ORIGIN={ISSUER}\nCONVEX_SITE_URL={ISSUER}\nCONVEX_DEPLOYMENT_URL={API}\nVITE_CONVEX_URL={API}\nVITE_CONVEX_SITE_URL={SITE}\nJWT_ISSUER={ISSUER}\nCONVEX_SELF_HOSTED_URL=http://127.0.0.1:3210\nCONVEX_SELF_HOSTED_ADMIN_KEY='app|hunter2'\n"
            ),
        ),
        (".gitignore", ".env.convex.local\n.env.convex.deployment\njwt_private_key.pem\n".to_owned()),
        ("package.json", r#"{"dependencies":{"convex":"~1.48.0","@convex-dev/auth":"0"}}"#.to_owned()),
        ("convex/_generated/api.d.ts", String::new()),
        ("convex/_generated/server.js", String::new()),
        ("convex/_generated/dataModel.d.ts", String::new()),
        ("convex/schema.ts", "defineSchema({\n  ...authTables,\n})".to_owned()),
        ("convex/auth.ts", "export const { auth } = convexAuth({ providers: [] });".to_owned()),
        (
            "convex/auth.config.ts",
            "export default { providers: [{ domain: process.env.CONVEX_SITE_URL, applicationID: 'convex' }] }".to_owned(),
        ),
        ("convex/http.ts", "auth.addHttpRoutes(http);".to_owned()),
        ("src/App.tsx", "import { api } from \"../convex/_generated/api\";".to_owned()),
    ];
    let files = files
        .into_iter()
        .map(|(path, text)| {
            let seen = SeenFile {
                text: text.into(),
                bits: 0o600,
            };
            (path.to_owned(), seen)
        })
        .collect();
    let keys = &*KEYS;
    let variables: [(&str, Secret); 6] = [
        ("JWT_PRIVATE_KEY", keys.private_key_single_line()),
        ("JWKS", keys.jwks().into()),
        ("JWT_ISSUER", ISSUER.into()),
        ("CONVEX_SITE_ORIGIN", ISSUER.into()),
        ("CUSTOM_AUTH_SITE_URL", SITE.into()),
        ("SITE_URL", "https://app.example".into()),
    ];
    let served = Discovery {
        issuer: ISSUER.to_owned(),
        jwks_uri: format!("{ISSUER}/.well-known/jwks.json"),
        keys: probe::moduli(keys.jwks().as_bytes()).unwrap(),
    };
    let place = |service, url: &str| Place {
        service,
        url: url.to_owned(),
        leads: Leads::Home("from here"),
    };
    Facts {
        snapshot: Some(Snapshot {
            files,
            node: Some("v22.12.0".to_owned()),
            ..Snapshot::default()
        }),
        frontend_url: Some("https://app.example".to_owned()),
        probes: Probes {
            keeper: Some(Keeper::Terraform),
            sources: [Source::File; 2],
            containers: Answer::Known(true),
            nowhere: None,
            api: Answer::Known("1.0".to_owned()),
            instance: Answer::Known(Instances {
                there: "app".to_owned(),
                of_key: Some("app".to_owned()),
            }),
            site: Answer::Known(()),
            key: Answer::Known(()),
            variables: Answer::Known(
                variables
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect::<BTreeMap<_, _>>(),
            ),
            urls: Answer::Known(CanonicalUrls {
                convex_cloud_url: API.to_owned(),
                convex_site_url: ISSUER.to_owned(),
            }),
            functions: Answer::Known(Ok(served.clone())),
            issuer: Issuer {
                inside: Answer::Known(Ok(served)),
                here: Answer::NotAsked("it was asked from inside".to_owned()),
            },
            token: Answer::Known(Token::Accepted),
            places: vec![place(Service::Api, API), place(Service::Site, SITE)],
        },
    }
}

/// The same, where Docker cannot be asked.
pub fn without_docker() -> Facts {
    let mut facts = good();
    facts.probes.keeper = None;
    facts.probes.containers = Answer::NotAsked("no Docker".to_owned());
    facts.probes.issuer.inside = Answer::NotAsked("no Docker".to_owned());
    facts
}

/// The same, where the backend runs on its public origins, with this issuer.
pub fn issued_by(issuer: &str, mut facts: Facts) -> Facts {
    for name in ["JWT_ISSUER", "CONVEX_SITE_ORIGIN"] {
        set(&mut facts, name, Some(issuer));
    }
    set(&mut facts, "CUSTOM_AUTH_SITE_URL", None);
    edit(&mut facts, ".env.convex.local", |text| {
        text.replace(ISSUER, issuer).replace(SITE, issuer)
    });
    let probes = &mut facts.probes;
    if let Answer::Known(urls) = &mut probes.urls {
        urls.convex_site_url = issuer.to_owned();
    }
    for found in [&mut probes.functions, &mut probes.issuer.inside] {
        if let Answer::Known(Ok(found)) = found {
            found.issuer = issuer.to_owned();
        }
    }
    probes.places[1].url = issuer.to_owned();
    facts
}

pub fn refused(code: &str) -> Answer<Token> {
    Answer::Known(Token::Refused {
        code: code.to_owned(),
        message: "words of the backend".to_owned(),
    })
}

pub fn failed(facts: &Facts) -> Vec<&'static str> {
    verify(facts).failed().map(|it| it.name).collect()
}

pub fn edit(facts: &mut Facts, path: &str, change: impl FnOnce(&str) -> String) {
    let file = facts
        .snapshot
        .as_mut()
        .unwrap()
        .files
        .get_mut(path)
        .unwrap();
    file.text = change(file.text.expose()).into();
}

pub fn remove(facts: &mut Facts, path: &str) {
    facts.snapshot.as_mut().unwrap().files.remove(path).unwrap();
}

pub fn set(facts: &mut Facts, name: &str, value: Option<&str>) {
    let Answer::Known(variables) = &mut facts.probes.variables else {
        panic!("variables");
    };
    match value {
        Some(value) => variables.insert(name.to_owned(), value.into()),
        None => variables.remove(name),
    };
}

/// Puts a file into the directory.
pub fn put(facts: &mut Facts, path: &str, text: &str) {
    let seen = SeenFile {
        text: text.into(),
        bits: 0o600,
    };
    let files = &mut facts.snapshot.as_mut().unwrap().files;
    files.insert(path.to_owned(), seen);
}
