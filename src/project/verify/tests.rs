mod given;

use self::given::*;
use super::*;

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
    type Inject = fn(&mut Facts);
    let faults: [(&str, Inject); 56] = [
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
                text.replace("\nCONVEX_SITE_URL=http:", "\nCONVEX_SITE_URL=https:")
            });
        }),
        ("env_issuer", |it| {
            edit(it, ".env.convex.local", |text| text.replace(ISSUER, API));
        }),
        ("env_issuer", |it| {
            edit(it, ".env.convex.local", |text| {
                text.replace(ISSUER, "http://localhost:3211")
            });
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
        ("node", |it| {
            it.snapshot.as_mut().unwrap().node = Some("v18.20.8\n".to_owned());
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
            it.probes = Probes {
                containers: Answer::Known(false),
                ..unasked("they do not run")
            };
        }),
        ("api_answers", |it| {
            it.probes = Probes {
                api: Answer::Failed("refused".to_owned()),
                ..unasked("no answer")
            };
        }),
        // The URL, or the key, of another deployment.
        ("api_instance", |it| {
            it.probes = Probes {
                api: Answer::Known("1.0".to_owned()),
                instance: Answer::Known(Instances {
                    there: "other".to_owned(),
                    of_key: Some("app".to_owned()),
                }),
                ..unasked("the key was not sent")
            };
        }),
        ("site_answers", |it| {
            it.probes.site = Answer::Failed("refused".to_owned());
        }),
        ("admin_key", |it| {
            it.probes = Probes {
                key: Answer::Failed("refused".to_owned()),
                ..unasked("the key is not accepted")
            };
        }),
        ("variables", |it| set(it, "CONVEX_SITE_ORIGIN", None)),
        ("variables", |it| {
            set(it, "JWT_PRIVATE_KEY", Some("nonsense"));
        }),
        // Read here, but not by the libraries of the app.
        ("variables", |it| {
            let key = it.probes.variable("JWT_PRIVATE_KEY").unwrap();
            let escaped = key.replacen("----- ", "-----\\n", 1);
            set(it, "JWT_PRIVATE_KEY", Some(&escaped));
        }),
        // One half of the key was rotated.
        ("variables", |it| {
            set(it, "JWKS", Some(r#"{"keys":[{"n":"AQAB"}]}"#));
            it.probes.token = refused("Unauthenticated");
        }),
        ("variables", |it| {
            let two = it
                .probes
                .variable("JWKS")
                .unwrap()
                .replace("[{", r#"[{"n":"AQAB"},{"#);
            set(it, "JWKS", Some(&two));
            it.probes.token = refused("Unauthenticated");
        }),
        ("issuer", |it| {
            set(it, "JWT_ISSUER", Some("http://127.0.0.1:3211/"));
        }),
        ("issuer", |it| {
            set(it, "JWT_ISSUER", Some(API));
            set(it, "CONVEX_SITE_ORIGIN", Some(API));
        }),
        ("functions_deployed", |it| {
            let fault = Fault::Status {
                url: SITE.to_owned(),
                status: 404,
            };
            it.probes.functions = Answer::Known(Err(fault.clone()));
            it.probes.issuer.inside = Answer::Known(Err(fault));
            it.probes.token = refused("NoAuthProvider");
        }),
        ("functions_deployed", |it| {
            let Answer::Known(Ok(found)) = &mut it.probes.functions else {
                panic!()
            };
            found.issuer = "https://old.example".to_owned();
            it.probes.token = refused("NoAuthProvider");
        }),
        // Other published ports, and public origins that fit them.
        ("issuer_reachable", |it| {
            *it = issued_by("http://localhost:4211", it.clone());
            let url = "http://localhost:4211/.well-known/openid-configuration".to_owned();
            let fault = Fault::Silent {
                url,
                why: "refused".to_owned(),
            };
            it.probes.issuer.inside = Answer::Known(Err(fault));
            it.probes.token = refused("AuthProviderDiscoveryFailed");
        }),
        ("issuer_reachable", |it| {
            *it = issued_by("http://localhost:4211", without_docker());
            it.probes.token = refused("AuthProviderDiscoveryFailed");
        }),
        // A proxy that asks for a login.
        ("issuer_reachable", |it| {
            *it = issued_by(SITE, it.clone());
            it.probes.issuer.inside = Answer::Known(Err(Fault::Login {
                url: SITE.to_owned(),
                login: "https://coder.example/login".to_owned(),
            }));
            it.probes.token = refused("AuthProviderDiscoveryFailed");
        }),
        ("issuer_reachable", |it| {
            *it = issued_by(SITE, without_docker());
            it.probes.issuer.here = Answer::Known(Err(Fault::Login {
                url: SITE.to_owned(),
                login: "https://coder.example/login".to_owned(),
            }));
            it.probes.token = refused("AuthProviderDiscoveryFailed");
        }),
        // Another deployment answers at the issuer.
        ("issuer_reachable", |it| {
            let Answer::Known(Ok(found)) = &mut it.probes.issuer.inside else {
                panic!()
            };
            found.keys = ["AQAB".to_owned()].into();
            it.probes.token = refused("Unauthenticated");
        }),
        ("sign_in", |it| it.probes.token = refused("NoAuthProvider")),
        ("sign_in", |it| it.probes.token = refused("Unauthenticated")),
        // Only the backend could tell that it does not reach the issuer.
        ("sign_in", |it| {
            *it = issued_by(SITE, without_docker());
            it.probes.issuer.here = it.probes.functions.clone();
            it.probes.token = refused("AuthProviderDiscoveryFailed");
        }),
        ("browser_api", |it| {
            it.probes.places[0].leads = Leads::Astray("to another one".to_owned());
        }),
        ("browser_site", |it| {
            it.probes.places[1].leads = Leads::Astray("to another one".to_owned());
        }),
        ("env_site", |it| {
            edit(it, ".env.convex.local", |text| text.replace(SITE, ISSUER));
        }),
        ("env_site", |it| {
            edit(it, ".env.convex.local", |text| {
                text.replace(SITE, "https://old.example")
            });
        }),
        // What `convex dev` writes counts where the mode's own file says nothing.
        ("env_site", |it| {
            edit(it, ".env.convex.local", |text| {
                text.replace("VITE_CONVEX_SITE_URL", "#")
            });
            let text = format!("VITE_CONVEX_SITE_URL={ISSUER}\n").into();
            let files = &mut it.snapshot.as_mut().unwrap().files;
            files.insert(".env.local".to_owned(), SeenFile { text, bits: 0o644 });
        }),
        ("env_urls", |it| {
            let environment = &mut it.snapshot.as_mut().unwrap().environment;
            environment.insert(
                "VITE_CONVEX_URL".to_owned(),
                "https://old.example".to_owned(),
            );
        }),
        // What a project that was on Convex Cloud still has.
        ("other_deployment", |it| {
            put(it, ".env.local", "CONVEX_DEPLOYMENT=dev:happy-animal-123\n");
            with_key_in_the_environment(it);
        }),
        ("other_deployment", |it| {
            edit(it, ".env.convex.local", |text| {
                format!("{text}CONVEX_DEPLOYMENT=dev:happy-animal-123\n")
            });
        }),
        ("other_deployment", |it| {
            with_key_in_the_environment(it);
            let environment = &mut it.snapshot.as_mut().unwrap().environment;
            let key = "prod:happy-animal-123|hunter2".to_owned();
            environment.insert("CONVEX_DEPLOY_KEY".to_owned(), key);
        }),
        ("other_deployment", |it| {
            edit(it, ".env.convex.local", |text| {
                text.replace(
                    &format!("VITE_CONVEX_URL={API}"),
                    "VITE_CONVEX_URL=https://happy-animal-123.convex.cloud",
                )
            });
        }),
        ("other_deployment", |it| {
            put(
                it,
                ".env.production",
                "NEXT_PUBLIC_CONVEX_SITE_URL=https://happy-animal-123.eu-west-1.convex.site\n",
            );
        }),
        ("site_url", |it| {
            set(it, "SITE_URL", Some("https://old.example"));
        }),
        ("site_url", |it| set(it, "SITE_URL", Some(SITE))),
        ("site_url", |it| set(it, "SITE_URL", Some("app.example"))),
        ("site_url", |it| {
            set(it, "SITE_URL", None);
            edit(it, "convex/auth.ts", |text| {
                format!("import GitHub from \"@auth/core/providers/github\"; {text}")
            });
        }),
    ];
    for (name, inject) in faults {
        let mut facts = good();
        inject(&mut facts);
        assert_eq!(failed(&facts), [name]);
        let report = verify(&facts);
        let check = report.failed().next().unwrap();
        assert!(
            check.remedy.len() > 20 && check.remedy.len() < 900,
            "{check:?}"
        );
        // Terraform keeps this deployment: nothing else may start it or make its keys.
        let by_hand = ["start-convex-backend", "scripts/", "convex:start"];
        assert!(
            by_hand.iter().all(|it| !check.remedy.contains(it)),
            "{check:?}"
        );
        assert!(!report.json().contains("hunter2") && !report.json().contains("MII"));
    }
    let named: std::collections::BTreeSet<&str> = faults.iter().map(|(name, _)| *name).collect();
    let all = CHECKS.map(|(name, _)| name);
    assert_eq!(named, all.into());
}

/// As in a Coder workspace, where the project's commands do without `--env-file`.
fn with_key_in_the_environment(facts: &mut Facts) {
    let environment = &mut facts.snapshot.as_mut().unwrap().environment;
    let (name, key) = ("CONVEX_SELF_HOSTED_ADMIN_KEY", "app|hunter2");
    environment.insert(name.to_owned(), key.to_owned());
}

#[test]
fn what_the_projects_commands_and_vite_do_not_read_is_no_fault() {
    let mut facts = good();
    put(
        &mut facts,
        ".env.local",
        "CONVEX_DEPLOYMENT=dev:happy-animal-123\nVITE_CONVEX_URL=https://happy-animal-123.convex.cloud\n",
    );
    assert_eq!(failed(&facts), <[&str; 0]>::default());
    with_key_in_the_environment(&mut facts);
    assert_eq!(failed(&facts), ["other_deployment"]);
}

#[test]
fn a_deployment_on_convex_cloud_is_not_another_one() {
    let mut facts = good();
    put(
        &mut facts,
        ".env.local",
        "CONVEX_URL=https://happy-animal-123.convex.cloud\n",
    );
    assert_eq!(failed(&facts), ["other_deployment"]);
    let Answer::Known(urls) = &mut facts.probes.urls else {
        panic!()
    };
    urls.convex_cloud_url = "https://happy-animal-123.convex.cloud".to_owned();
    assert!(!failed(&facts).contains(&"other_deployment"));
}

#[test]
fn an_address_that_leads_nowhere_is_said_with_what_leads_there() {
    for (why, detail, remedy) in [
        (
            Why::Unknown,
            "\"db\" does not resolve here",
            "Docker networks",
        ),
        (
            Why::Here,
            "nothing listens on port 3210 of this machine",
            "docker ps",
        ),
        (
            Why::InContainer,
            "of db, which is the container",
            "network.container",
        ),
        (
            Why::Elsewhere,
            "db refuses connections to port 3210",
            "port 3210 is published",
        ),
    ] {
        let mut facts = good();
        facts.probes = Probes {
            api: Answer::Failed("http://db:3210/version does not answer".to_owned()),
            nowhere: Some(Nowhere {
                host: "db".to_owned(),
                port: 3210,
                why,
            }),
            ..unasked("the API does not answer")
        };
        let report = verify(&facts);
        let check = report.failed().next().unwrap();
        assert_eq!(check.name, "api_answers");
        assert!(check.detail.contains(detail), "{check:?}");
        assert!(check.remedy.contains(remedy), "{check:?}");
    }
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
        table.contains("-     containers            nobody  knows\n"),
        "{table}"
    );
    assert!(
        table.ends_with("\n12 passed, 0 failed, 16 could not be checked\n"),
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
fn what_the_backend_says_of_a_token_is_proof_without_docker() {
    for issuer in ["http://localhost:4211", SITE] {
        let facts = issued_by(issuer, without_docker());
        assert_eq!(failed(&facts), Vec::<&str>::new(), "{issuer}");
        let report = verify(&facts);
        let reached = report
            .checks
            .iter()
            .find(|it| it.name == "issuer_reachable")
            .unwrap();
        assert_eq!(reached.passed, Some(true), "{reached:?}");
    }
    // And where it says nothing, only what was seen from its container is.
    let passed = |issuer: &str, here: Option<Fault>| {
        let mut facts = issued_by(issuer, without_docker());
        facts.probes.token = Answer::NotAsked("no answer".to_owned());
        facts.probes.issuer.here = match here {
            Some(fault) => Answer::Known(Err(fault)),
            None => facts.probes.functions.clone(),
        };
        let report = verify(&facts);
        report
            .checks
            .iter()
            .find(|it| it.name == "issuer_reachable")
            .unwrap()
            .passed
    };
    let silent = || Fault::Silent {
        url: SITE.to_owned(),
        why: "no such host".to_owned(),
    };
    assert_eq!(passed(ISSUER, Some(silent())), Some(true));
    assert_eq!(passed("http://localhost:4211", None), Some(false));
    assert_eq!(passed(SITE, None), None);
    assert_eq!(passed(SITE, Some(silent())), None);
}

#[test]
fn a_login_page_is_neither_well_nor_wrong_for_browsers() {
    let mut facts = good();
    for place in &mut facts.probes.places {
        place.leads = Leads::Unclear("leads to a login page".to_owned());
    }
    let report = verify(&facts);
    assert!(report.passed());
    for name in ["browser_api", "browser_site"] {
        let check = report.checks.iter().find(|it| it.name == name).unwrap();
        assert_eq!(
            (check.passed, check.detail.as_str()),
            (None, "leads to a login page")
        );
    }
}

#[test]
fn a_site_whose_name_only_browsers_resolve_is_not_said_to_be_down() {
    let mut facts = good();
    facts.probes.site = Answer::Failed("no such host".to_owned());
    for place in &mut facts.probes.places {
        place.leads = Leads::Unclear("no such host; browsers may still reach it".to_owned());
    }
    assert_eq!(failed(&facts), Vec::<&str>::new());
    facts.probes.places[1].leads = Leads::Astray("nothing listens".to_owned());
    assert_eq!(failed(&facts), ["site_answers", "browser_site"]);
}

#[test]
fn another_address_of_the_same_deployment_is_as_good() {
    let mut facts = good();
    let there = "http://localhost:4210";
    edit(&mut facts, ".env.convex.local", |text| {
        text.replace(
            &format!("VITE_CONVEX_URL={API}"),
            &format!("VITE_CONVEX_URL={there}"),
        )
    });
    assert_eq!(failed(&facts), ["env_urls"]);
    facts.probes.places.push(Place {
        service: Service::Api,
        url: there.to_owned(),
        leads: Leads::Home("from here"),
    });
    assert_eq!(failed(&facts), Vec::<&str>::new());
}

#[test]
fn who_keeps_the_deployment_is_told_by_docker_or_else_by_the_directory() {
    let remedy = |change: fn(&mut Facts)| {
        let mut facts = without_docker();
        remove(&mut facts, ".env.convex.local");
        change(&mut facts);
        verify(&facts).failed().next().unwrap().remedy.clone()
    };
    let script = |it: &mut Facts| {
        let seen = SeenFile {
            text: "".into(),
            bits: 0o755,
        };
        let files = &mut it.snapshot.as_mut().unwrap().files;
        files.insert("start-convex-backend.sh".to_owned(), seen);
    };
    assert!(remedy(|_| {}).contains("terraform apply"));
    assert!(remedy(script).contains("scripts/setup-convex.sh"));
    // The scripts of an earlier version may still be there.
    let of_an_agent: fn(&mut Facts) = |it| {
        let seen = SeenFile {
            text: "".into(),
            bits: 0o755,
        };
        let snapshot = it.snapshot.as_mut().unwrap();
        snapshot
            .files
            .insert("start-convex-backend.sh".to_owned(), seen);
        let name = crate::render::env_local::ADMIN_KEY.to_owned();
        snapshot.environment.insert(name, "app|01".to_owned());
    };
    assert!(remedy(of_an_agent).contains("terraform apply"));
    assert!(remedy(|it| it.probes.keeper = Some(Keeper::Hand)).contains("scripts/"));
}

#[test]
fn functions_outside_the_project_are_named_and_nothing_of_theirs_is_removed() {
    for functions in ["../..", "/etc", "", "a/../../b"] {
        let mut facts = good();
        let text = format!("{{\"functions\":\"{functions}\"}}").into();
        let files = &mut facts.snapshot.as_mut().unwrap().files;
        files.insert("convex.json".to_owned(), SeenFile { text, bits: 0o644 });
        let report = verify(&facts);
        let check = report
            .checks
            .iter()
            .find(|it| it.name == "generated_code")
            .unwrap();
        assert_eq!(check.passed, Some(false));
        assert!(
            check.detail.contains(&format!("{functions:?}")),
            "{check:?}"
        );
        assert!(!check.remedy.to_lowercase().contains("remove"), "{check:?}");
    }
}

#[test]
fn words_of_others_drive_no_terminal() {
    let mut facts = good();
    let text = format!("a\u{1b}[2J\u{9b}31m\u{202e}b{}", "x".repeat(5000));
    facts.probes.api = Answer::Failed(text);
    let report = verify(&facts);
    let check = report.failed().next().unwrap();
    assert!(check.detail.starts_with("abxxx"), "{check:?}");
    assert!(check.detail.chars().count() <= 901);
}
