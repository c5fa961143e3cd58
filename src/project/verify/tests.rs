use super::*;
use crate::convex::{AuthKeys, auth_keys::KeySize};

const API: &str = "https://api.example";
const SITE: &str = "https://site.example";

/// A project and a deployment in which all is well.
fn good() -> Facts {
    let files = [
        (
            ".env.convex.local",
            format!(
                "CONVEX_CLOUD_ORIGIN={API}\nCONVEX_SITE_ORIGIN={SITE}\nCONVEX_SITE_URL={SITE}\nCONVEX_DEPLOYMENT_URL={API}\nVITE_CONVEX_URL={API}\nJWT_ISSUER={SITE}\nCONVEX_SELF_HOSTED_URL=http://127.0.0.1:3210\nCONVEX_SELF_HOSTED_ADMIN_KEY='app|hunter2'\n"
            ),
        ),
        (".gitignore", ".env.convex.local\n.env.convex.deployment\njwt_private_key.pem\n".to_owned()),
        ("package.json", r#"{"dependencies":{"convex":"1","@convex-dev/auth":"0"}}"#.to_owned()),
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
    let keys = AuthKeys::generate(KeySize::Rsa2048).unwrap();
    let variables = [
        ("JWT_PRIVATE_KEY", keys.private_key_single_line()),
        ("JWKS", keys.jwks().into()),
        ("JWT_ISSUER", SITE.into()),
        ("CONVEX_SITE_ORIGIN", SITE.into()),
    ];
    Facts {
        snapshot: Some(Snapshot { files }),
        probes: Probes {
            containers: Answer::Known(true),
            api: Answer::Known("1.0".to_owned()),
            site: Answer::Known(()),
            key: Answer::Known(()),
            variables: Answer::Known(
                variables
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect(),
            ),
            urls: Answer::Known(CanonicalUrls {
                convex_cloud_url: API.to_owned(),
                convex_site_url: SITE.to_owned(),
            }),
            issuer: Answer::Known(SITE.to_owned()),
        },
    }
}

fn failed(facts: &Facts) -> Vec<&'static str> {
    verify(facts).failed().map(|it| it.name).collect()
}

fn edit(facts: &mut Facts, path: &str, change: impl FnOnce(&str) -> String) {
    let file = facts
        .snapshot
        .as_mut()
        .unwrap()
        .files
        .get_mut(path)
        .unwrap();
    file.text = change(file.text.expose()).into();
}

fn remove(facts: &mut Facts, path: &str) {
    facts.snapshot.as_mut().unwrap().files.remove(path).unwrap();
}

fn set(facts: &mut Facts, name: &str, value: Option<&str>) {
    let Answer::Known(variables) = &mut facts.probes.variables else {
        panic!("variables");
    };
    match value {
        Some(value) => variables.insert(name.to_owned(), value.into()),
        None => variables.remove(name),
    };
}

#[test]
fn all_is_well_where_all_is_well() {
    let report = verify(&good());
    for check in &report.checks {
        assert_eq!(check.passed, Some(true), "{check:?}");
        assert!(!check.detail.is_empty() && check.remedy.is_empty());
    }
    assert!(report.passed());
}

#[test]
fn each_fault_turns_exactly_its_check_red() {
    type Fault = fn(&mut Facts);
    let faults: [(&str, Fault); 26] = [
        ("env_file", |it| remove(it, ".env.convex.local")),
        ("env_file", |it| {
            edit(it, ".env.convex.local", |text| format!("{text}nonsense\n"));
        }),
        ("env_file", |it| {
            edit(it, ".env.convex.local", |text| {
                text.replace("JWT_ISSUER=", "# ")
            });
        }),
        ("env_urls", |it| {
            edit(it, ".env.convex.local", |text| {
                text.replace("VITE_CONVEX_URL=https", "VITE_CONVEX_URL=http")
            });
        }),
        ("env_urls", |it| {
            edit(it, ".env.convex.local", |text| {
                text.replace(API, "https://old.example")
            });
        }),
        ("env_issuer", |it| {
            edit(it, ".env.convex.local", |text| {
                text.replace(
                    "CONVEX_SITE_URL=https://site",
                    "CONVEX_SITE_URL=https://api",
                )
            });
        }),
        ("env_issuer", |it| {
            edit(it, ".env.convex.local", |text| text.replace(SITE, API));
        }),
        ("secrets_private", |it| {
            it.snapshot
                .as_mut()
                .unwrap()
                .files
                .get_mut(".env.convex.local")
                .unwrap()
                .bits = 0o644;
        }),
        ("secrets_ignored", |it| {
            edit(it, ".gitignore", |text| {
                text.replace("jwt_private_key.pem", "")
            });
        }),
        ("packages", |it| {
            edit(it, "package.json", |text| {
                text.replace("\"convex\"", "\"x\"")
            });
        }),
        ("packages", |it| {
            edit(it, "package.json", |_| "{".to_owned());
        }),
        ("generated_code", |it| {
            remove(it, "convex/_generated/api.d.ts");
        }),
        ("schema_auth_tables", |it| {
            edit(it, "convex/schema.ts", |text| {
                text.replace("...auth", "// ...auth")
            });
        }),
        ("auth_providers", |it| {
            edit(it, "convex/auth.ts", |_| "/* convexAuth() */".to_owned());
        }),
        ("auth_config", |it| remove(it, "convex/auth.config.ts")),
        ("http_routes", |it| {
            edit(it, "convex/http.ts", |text| format!("// {text}"));
        }),
        ("frontend_imports", |it| {
            edit(it, "src/App.tsx", |_| "export {}".to_owned());
        }),
        ("containers", |it| {
            let not_asked = || "they do not run".to_owned();
            it.probes = Probes {
                containers: Answer::Known(false),
                api: Answer::NotAsked(not_asked()),
                site: Answer::NotAsked(not_asked()),
                key: Answer::NotAsked(not_asked()),
                variables: Answer::NotAsked(not_asked()),
                urls: Answer::NotAsked(not_asked()),
                issuer: Answer::NotAsked(not_asked()),
            };
        }),
        ("site_answers", |it| {
            it.probes.site = Answer::Failed("refused".to_owned());
            it.probes.issuer = Answer::NotAsked("no".to_owned());
        }),
        ("admin_key", |it| {
            it.probes.key = Answer::Failed("refused".to_owned());
            it.probes.variables = Answer::NotAsked("no".to_owned());
        }),
        ("variables", |it| set(it, "CONVEX_SITE_ORIGIN", None)),
        ("variables", |it| {
            set(it, "JWT_PRIVATE_KEY", Some("nonsense"));
        }),
        ("variables", |it| {
            set(it, "JWKS", Some(r#"{"keys":[{"n":"AQAB"}]}"#));
        }),
        ("issuer", |it| {
            set(it, "JWT_ISSUER", Some("https://site.example/"));
        }),
        ("issuer", |it| {
            set(it, "JWT_ISSUER", Some(API));
            set(it, "CONVEX_SITE_ORIGIN", Some(API));
        }),
        ("functions_deployed", |it| {
            it.probes.issuer = Answer::Failed("status 404".to_owned());
        }),
    ];
    for (name, inject) in faults {
        let mut facts = good();
        inject(&mut facts);
        assert_eq!(failed(&facts), [name]);
        let report = verify(&facts);
        let check = report.failed().next().unwrap();
        assert!(check.remedy.len() > 20, "{check:?}");
        assert!(!report.json().contains("hunter2") && !report.json().contains("MII"));
    }
    let named: std::collections::BTreeSet<&str> = faults.iter().map(|(name, _)| *name).collect();
    assert!(named.len() >= 12);
}

#[test]
fn another_directory_of_functions_is_heeded() {
    let mut facts = good();
    let files = &mut facts.snapshot.as_mut().unwrap().files;
    *files = std::mem::take(files)
        .into_iter()
        .map(|(path, file)| (path.replace("convex/", "backend/functions/"), file))
        .collect();
    let seen = SeenFile {
        text: r#"{"functions":"backend/functions/"}"#.into(),
        bits: 0o644,
    };
    files.insert("convex.json".to_owned(), seen);
    assert_eq!(failed(&facts), Vec::<&str>::new());
}

#[test]
fn what_was_not_asked_is_neither_well_nor_wrong() {
    let mut facts = good();
    facts.snapshot = None;
    facts.probes.containers = Answer::NotAsked("nobody \u{1b}[31m knows".to_owned());
    let report = verify(&facts);
    assert!(report.passed());
    let table = report.table(Style::Plain);
    assert!(
        table.contains("-     containers            nobody  [31m knows\n"),
        "{table}"
    );
    assert!(
        table.ends_with("\n6 passed, 0 failed, 13 could not be checked\n"),
        "{table}"
    );
    assert!(!table.contains('\u{1b}'));
    let coloured = report.table(Style::Coloured);
    assert!(
        coloured.contains("\u{1b}[32mok  \u{1b}[0m  api_answers"),
        "{coloured}"
    );
}

#[test]
fn comments_are_no_code() {
    let text = "a(); // b()\n/* c() \n */ d(\"// e\", 'f /* g */')\n\n`\\`// h`";
    assert_eq!(files::code(text), "a(); d(\"// e\", 'f /* g */') `\\`// h`");
}

#[test]
fn the_site_is_one_port_further_only_at_the_usual_port() {
    let beside = |api: &str| {
        let api = crate::convex::ApiOrigin::parse(api).unwrap();
        site_beside(&api).map(|it| it.to_string())
    };
    assert_eq!(
        beside("http://convex:3210").as_deref(),
        Some("http://convex:3211")
    );
    assert_eq!(beside("https://api.example"), None);
}
