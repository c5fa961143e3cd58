use super::*;

fn pushed(modules: &[(&str, &str)]) -> Pushed {
    let sent = modules.iter().map(|(path, source)| Sent {
        path: (*path).to_owned(),
        source: (*source).to_owned(),
        source_map: None,
        environment: Environment::Isolate,
    });
    let none = Pushed::default();
    none.after("convex/".into(), "1.48.0".into(), sent.collect(), vec![])
        .unwrap()
}

const AUTH: &str =
    r#"var c = { providers: [{ domain: process.env.CONVEX_SITE_URL, applicationID: "convex" }] };"#;

#[test]
fn the_providers_have_the_values_of_the_variables() {
    let site = |name: &str| (name == "CONVEX_SITE_URL").then(|| "https://s.example".to_owned());
    let providers = pushed(&[(AUTH_CONFIG, AUTH)]).providers(site).unwrap();
    assert_eq!(
        providers,
        [Provider {
            application_id: "convex".into(),
            domain: "https://s.example".into()
        }]
    );
    let refused = |source: &str| {
        let outcome = pushed(&[(AUTH_CONFIG, source)]).providers(site);
        outcome.unwrap_err().code.into_owned()
    };
    assert_eq!(
        refused("[{ domain: process.env.OTHER }]"),
        "AuthConfigMissingEnvironmentVariable"
    );
    assert_eq!(
        refused("[{ domain: 'nowhere', applicationID: 'x' }]"),
        "InvalidAuthConfig"
    );
    assert_eq!(pushed(&[]).providers(site).unwrap(), []);
}

#[test]
fn a_module_stays_only_in_the_form_it_has() {
    let before = pushed(&[("a.js", "a"), ("b.js", "b")]);
    let stay = |sha256: &str| {
        let unchanged = vec![Unchanged {
            path: "a.js".into(),
            environment: Environment::Isolate,
            sha256: sha256.into(),
        }];
        before.after("convex/".into(), "1".into(), vec![], unchanged)
    };
    // SHA-256 of "a".
    let after = stay("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb").unwrap();
    assert_eq!(after.modules["a.js"], before.modules["a.js"]);
    assert_eq!(after.lacks(&before), ["b.js"]);
    assert_eq!(before.lacks(&after), [""; 0]);
    assert_eq!(stay("00").unwrap_err().code, "ModuleNotFound");
}
