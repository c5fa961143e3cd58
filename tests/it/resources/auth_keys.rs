//! The key pair as a resource of its own, run by real Terraform. Nothing of it needs Docker.

use std::{fs, process::Command};

use serde_json::Value as Json;
use terraform_provider_convex::convex::{
    AuthKeys,
    auth_keys::{BetterAuthSecret, KeySize},
};

use super::{config, configure};
use crate::{
    convex::better_auth,
    support::{
        node, on_each_core,
        terraform::{Core, Outcome, Project},
    },
};

const ADDRESS: &str = "convex_auth_keys.app";

/// What the plan says of every replaced pair.
const REPLACED: &str = "accepts tokens signed with the old key for up to 15 s";

/// One resource with these attributes.
fn keys(attributes: &str) -> String {
    format!("resource \"convex_auth_keys\" \"app\" {{\n{attributes}\n}}")
}

fn project(core: Core, attributes: &str) -> Project {
    Project::new(core, &config(&keys(attributes)))
}

fn text<'a>(state: &'a Json, attribute: &str) -> &'a str {
    state[attribute]
        .as_str()
        .unwrap_or_else(|| panic!("{attribute} is no text in the state"))
}

/// The pair in the state, after a look at whether all its forms belong together.
#[track_caller]
fn pair(project: &Project) -> AuthKeys {
    let state = project.state(ADDRESS);
    let keys = AuthKeys::parse(text(&state, "private_key_pem")).expect("a key");
    assert_eq!(
        text(&state, "private_key_line"),
        text(&state, "private_key_pem")
            .trim_end()
            .replace('\n', " ")
    );
    assert_eq!(text(&state, "jwks"), keys.jwks());
    assert_eq!(text(&state, "id"), keys.thumbprint());
    assert_eq!(text(&state, "thumbprint"), keys.thumbprint());
    assert_eq!(text(&state, "public_key_pem"), keys.public_key_pem());
    assert_eq!(state["bits"], keys.bits());
    keys
}

/// What a plan leaves open, by attribute.
fn unknown(plan: &Json) -> Vec<String> {
    let change = &plan["resource_changes"][0]["change"]["after_unknown"];
    let mut names: Vec<_> = change
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(_, unknown)| **unknown == Json::Bool(true))
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names
}

/// What no plan can know of a pair that is yet to be made.
const OPEN: [&str; 6] = [
    "id",
    "jwks",
    "private_key_line",
    "private_key_pem",
    "public_key_pem",
    "thumbprint",
];

fn no_warning(outcome: Outcome) -> Outcome {
    assert!(!outcome.text().contains("Warning"), "{}", outcome.text());
    outcome
}

on_each_core! {
    fn a_pair_is_made_once_and_replaced_when_asked(core) {
        let project = project(core, "");
        let plan = project.plan_json();
        assert_eq!(unknown(&plan), OPEN);
        assert_eq!(plan["resource_changes"][0]["change"]["after"]["bits"], 2048);
        no_warning(project.apply().ok());
        project.assert_no_changes();
        let first = pair(&project);
        assert_eq!(first.bits(), 2048);
        assert_eq!(project.state(ADDRESS)["private_key"], Json::Null);
        assert_eq!(project.state(ADDRESS)["better_auth_jwks"], Json::Null);

        // In place, and the plan says what stops working.
        configure(&project, &keys("rotate_trigger = \"2026-11\""));
        project.plan().ok().says(&[
            "0 to add, 1 to change, 0 to destroy", REPLACED, "rotate_trigger has changed",
        ]);
        assert_eq!(unknown(&project.plan_json()), OPEN);
        project.apply().ok();
        project.assert_no_changes();
        let second = pair(&project);
        assert_ne!(second.thumbprint(), first.thumbprint());

        // Each change is one rotation, the removal too.
        configure(&project, &keys(""));
        project.plan().ok().says(&[REPLACED]);
        project.apply().ok();
        project.assert_no_changes();
        let third = pair(&project);
        assert_ne!(third.thumbprint(), second.thumbprint());

        // Another size is another pair.
        configure(&project, &keys("bits = 3072"));
        project.plan().ok().says(&[
            "0 to add, 1 to change, 0 to destroy", REPLACED, "bits has changed",
        ]);
        project.apply().ok();
        project.assert_no_changes();
        let larger = pair(&project);
        assert_eq!(larger.bits(), 3072);

        // Nothing is said of the size any more: the pair stays.
        configure(&project, &keys(""));
        project.assert_no_changes();
        configure(&project, &keys("bits = 3072"));
        project.assert_no_changes();

        project.destroy().ok().says(&["1 destroyed"]);
    }
}

on_each_core! {
    fn a_given_key_is_known_at_plan_in_all_its_forms(core) {
        let own = AuthKeys::generate(KeySize::Rsa2048).expect("a pair");
        let other = AuthKeys::generate(KeySize::Rsa3072).expect("a pair");
        let project = project(core, "private_key = file(\"own.pem\")");
        project.write("own.pem", own.private_key_pem().expose());
        let plan = project.plan_json();
        assert_eq!(unknown(&plan), Vec::<String>::new());
        let after = &plan["resource_changes"][0]["change"]["after"];
        assert_eq!(after["jwks"], own.jwks());
        assert_eq!(after["bits"], 2048);
        assert_eq!(plan["resource_changes"][0]["change"]["after_sensitive"]["private_key_line"], true);
        no_warning(project.apply().ok());
        project.assert_no_changes();
        assert_eq!(pair(&project).thumbprint(), own.thumbprint());

        // The same key in any other spelling is no change.
        let pem = own.private_key_pem();
        for spelling in [
            pem.expose().replace('\n', "\r\n"),
            pem.expose().replace('\n', "\\n"),
            own.private_key_single_line().expose().to_owned(),
        ] {
            project.write("own.pem", &spelling);
            project.assert_no_changes();
        }

        // Another key replaces it, known at plan again.
        project.write("own.pem", other.private_key_single_line().expose());
        project.plan().ok().says(&[
            "0 to add, 1 to change, 0 to destroy", REPLACED, "private_key has changed",
        ]);
        assert_eq!(unknown(&project.plan_json()), Vec::<String>::new());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(pair(&project).thumbprint(), other.thumbprint());

        // A given key is not rotated; and its size is what it is.
        configure(&project, &keys("private_key = file(\"own.pem\")\nrotate_trigger = \"1\""));
        project.plan().fails_with(&["A given key is not rotated", "Remove one of the two"]);
        configure(&project, &keys("private_key = file(\"own.pem\")\nbits = 2048"));
        project.plan().fails_with(&["private_key has 3072 bits, and bits is 2048"]);

        // Given no more, it stays, and from then on can be rotated.
        configure(&project, &keys(""));
        project.assert_no_changes();
        configure(&project, &keys("rotate_trigger = \"1\""));
        project.plan().ok().says(&[REPLACED]);
        project.apply().ok();
        project.assert_no_changes();
        let made = pair(&project);
        assert_ne!(made.thumbprint(), other.thumbprint());
        assert_eq!(made.bits(), 3072);
        assert_eq!(project.state(ADDRESS)["private_key"], Json::Null);

        // A generated key that is written down is the same pair.
        project.write("own.pem", made.private_key_pem().expose());
        configure(&project, &keys("private_key = file(\"own.pem\")\nrotate_trigger = \"1\""));
        no_warning(project.apply().ok());
        project.assert_no_changes();
        assert_eq!(pair(&project).thumbprint(), made.thumbprint());
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_key_that_is_made_by_the_same_apply_is_taken(core) {
        let project = Project::new(core, &config(&format!(
            "resource \"convex_auth_keys\" \"first\" {{}}\n{}",
            keys("private_key = convex_auth_keys.first.private_key_pem"),
        )));
        project.apply().ok();
        project.assert_no_changes();
        let first = project.state("convex_auth_keys.first")["thumbprint"].clone();
        assert_eq!(project.state(ADDRESS)["thumbprint"], first);
        assert_eq!(pair(&project).bits(), 2048);
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_size_that_is_known_late_replaces_the_pair_only_if_it_is_another(core) {
        let sized = |bits: u32| format!(
            "resource \"terraform_data\" \"bits\" {{\n  input = {bits}\n}}\n{}",
            keys("bits = tonumber(terraform_data.bits.output)"),
        );
        let project = Project::new(core, &config(&sized(2048)));
        project.apply().ok();
        project.assert_no_changes();
        let first = pair(&project);

        // Only the way to the number changes.
        configure(&project, &sized(2048).replace("input = 2048", "input = 2048\n  triggers_replace = 1"));
        project.plan().ok().says(&["Sign-in tokens may be signed with a new key", "bits is only known during apply"]);
        project.apply().ok().says(&["1 added, 0 changed, 1 destroyed"]);
        project.assert_no_changes();
        assert_eq!(pair(&project).thumbprint(), first.thumbprint());

        configure(&project, &sized(3072).replace("input = 3072", "input = 3072\n  triggers_replace = 1"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(pair(&project).bits(), 3072);
        project.destroy().ok();
    }
}

on_each_core! {
    fn better_auth_gets_its_own_form(core) {
        let secret = "canary-of-this-application-0123456789";
        let own = AuthKeys::generate(KeySize::Rsa2048).expect("a pair");
        let with = |attributes: &str| format!(
            "variable \"secret\" {{\n  type      = string\n  ephemeral = true\n  default   = {secret:?}\n}}\n{}",
            keys(attributes),
        );
        let mut project = Project::new(core, &config(&with(&format!(
            "private_key = file(\"own.pem\")\nbetter_auth_secret = {secret:?}"
        ))));
        project.write("own.pem", own.private_key_pem().expose());
        assert_eq!(unknown(&project.plan_json()), Vec::<String>::new());
        project.apply().ok();
        project.assert_no_changes();
        let state = project.state(ADDRESS);
        let expected = own.better_auth_jwks(&BetterAuthSecret::parse(secret).expect("a secret")).expect("a row");
        assert_eq!(text(&state, "better_auth_jwks"), expected.expose());

        // Better-auth itself signs with it.
        let printed = node::run_node(&better_auth::packages(), better_auth::SIGN_UP, &[], &[
            ("JWKS", text(&state, "better_auth_jwks")),
            ("BETTER_AUTH_SECRET", secret),
            ("CONVEX_SITE_URL", "http://127.0.0.1:3211"),
        ]);
        assert!(printed.contains(&own.thumbprint()), "{printed}");

        // The secret is not part of the pair: another one rotates nothing.
        configure(&project, &with("private_key = file(\"own.pem\")\nbetter_auth_secret = \"another\""));
        no_warning(project.apply().ok());
        project.assert_no_changes();
        let state = project.state(ADDRESS);
        assert_ne!(text(&state, "better_auth_jwks"), expected.expose());
        assert_eq!(text(&state, "id"), own.thumbprint());

        // Write-only, it is nowhere, and does the same.
        project.set_env("TF_LOG", "trace");
        configure(&project, &with("better_auth_secret_wo = var.secret"));
        let mut said = project.plan().ok().text();
        said += &project.apply().ok().text();
        project.set_env("TF_LOG", "");
        project.assert_no_changes();
        let state = project.state(ADDRESS);
        assert_eq!(text(&state, "better_auth_jwks"), expected.expose());
        said += &state.to_string();
        assert!(!said.contains(secret), "the secret is shown");

        // A rotated pair has a row of its own.
        configure(&project, &with("better_auth_secret_wo = var.secret\nrotate_trigger = \"1\""));
        assert!(unknown(&project.plan_json()).contains(&"better_auth_jwks".to_owned()));
        project.apply().ok();
        project.assert_no_changes();
        let rotated = pair(&project).better_auth_jwks(&BetterAuthSecret::parse(secret).expect("a secret")).expect("a row");
        assert_eq!(text(&project.state(ADDRESS), "better_auth_jwks"), rotated.expose());

        configure(&project, &with(""));
        project.plan().ok();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_pair_is_imported_by_the_path_of_its_file(core) {
        let own = AuthKeys::generate(KeySize::Rsa3072).expect("a pair");
        let project = project(core, "");
        project.write("jwt_private_key.pem", own.private_key_pem().expose());
        let import = |id: &str| project.run(&["import", "-no-color", ADDRESS, id]);
        import("jwt_private_key.pem").ok();
        assert_eq!(pair(&project).thumbprint(), own.thumbprint());

        // Whichever of these is the configuration that matches, it changes nothing.
        for attributes in [
            "",
            "bits = 3072",
            "private_key = file(\"jwt_private_key.pem\")",
            "private_key = trimspace(file(\"jwt_private_key.pem\"))",
        ] {
            configure(&project, &keys(attributes));
            project.assert_no_changes();
        }

        // What the configuration says of rotation, it says of this pair.
        configure(&project, &keys("rotate_trigger = \"2026-11\""));
        let plan = project.plan().ok().says(&["The imported key pair stays", "0 to add, 1 to change"]);
        assert!(!plan.text().contains(REPLACED), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(pair(&project).thumbprint(), own.thumbprint());
        configure(&project, &keys("rotate_trigger = \"2026-12\""));
        project.plan().ok().says(&[REPLACED]);
        project.apply().ok();
        project.assert_no_changes();
        let rotated = pair(&project);
        assert_ne!(rotated.thumbprint(), own.thumbprint());
        assert_eq!(rotated.bits(), 3072);

        // An import block plans the same.
        project.run(&["state", "rm", ADDRESS]).ok();
        let block = format!("import {{\n  to = {ADDRESS}\n  id = \"${{path.module}}/jwt_private_key.pem\"\n}}\n");
        configure(&project, &format!("{block}{}", keys("private_key = file(\"jwt_private_key.pem\")\nrotate_trigger = \"1\"")));
        let plan = project.plan().ok().says(&["1 to import"]);
        assert!(!plan.text().contains(REPLACED), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(pair(&project).thumbprint(), own.thumbprint());
    }
}

on_each_core! {
    fn what_is_no_key_file_is_not_imported(core) {
        let own = AuthKeys::generate(KeySize::Rsa2048).expect("a pair");
        let pem = own.private_key_pem();
        let project = project(core, "");
        project.write("large.pem", &"x".repeat(70_000));
        project.write("other.pem", "hunter2-hunter2");
        project.write("public.pem", &own.public_key_pem());
        fs::write(project.path().join("der.pem"), [0x30, 0x82, 0xff, 0xfe]).expect("a file");
        let pipe = Command::new("mkfifo").arg(project.path().join("pipe.pem")).status();
        assert!(pipe.expect("mkfifo runs").success());
        // Whoever reads it gets a key, and nobody has to wait for ever.
        let (end, key) = (project.path().join("pipe.pem"), pem.expose().to_owned());
        std::thread::spawn(move || fs::write(end, key));
        let import = |id: &str| project.run(&["import", "-no-color", ADDRESS, id]);
        for (id, says) in [
            ("missing.pem", "\"missing.pem\" cannot be read on the machine that runs Terraform: entity not found"),
            (".", "\".\" is not a file"),
            ("pipe.pem", "\"pipe.pem\" is not a file"),
            ("/dev/zero", "\"/dev/zero\" is not a file"),
            ("large.pem", "is larger than 64 KiB"),
            ("der.pem", "is not text"),
            ("other.pem", "The private key is not a single PEM block"),
            ("public.pem", "Give the private key"),
        ] {
            let outcome = import(id).fails_with(&["Cannot import a key pair", says]);
            assert!(!outcome.text().contains("hunter2"), "{}", outcome.text());
        }
        assert_eq!(project.find_state(ADDRESS), None);

        // A key as the ID is refused, and not printed once more. Terraform has done so already.
        let ours = |outcome: &Outcome| {
            let text = outcome.text();
            let start = text.find("Cannot import a key pair").expect("our words");
            text[start..].to_owned()
        };
        let line = own.private_key_single_line();
        let middle: String = pem.expose().lines().filter(|line| !line.starts_with("-----")).collect();
        for id in [format!(" {}", line.expose()), middle] {
            let outcome = import(&id).fails_with(&["The import ID is a key, and Terraform prints import IDs"]);
            let said = ours(&outcome);
            assert!(!said.contains(&id[40..80]), "{said}");
        }
    }
}

on_each_core! {
    fn wrong_attributes_are_named_before_anything_is_made(core) {
        let project = project(core, "");
        let own = AuthKeys::generate(KeySize::Rsa2048).expect("a pair");
        project.write("public.pem", &own.public_key_pem());
        project.write("small.pem", include_str!("../convex/data/rsa_1024_for_tests.pem"));
        for (attributes, says) in [
            ("bits = 1024", "A key of 1024 bits cannot be made. Ask for 2048, 3072 or 4096."),
            ("bits = -1", "-1 is no number of bits"),
            ("bits = 2048.5", "2048.5 is no number of bits"),
            ("private_key = \"hunter2-hunter2\"", "Invalid value for private_key"),
            ("private_key = \"\"", "The private key is empty"),
            ("private_key = file(\"public.pem\")", "This is a public key or a certificate"),
            ("private_key = file(\"small.pem\")", "fewer than 2048 bits"),
            ("better_auth_secret = \"\"", "The secret is empty"),
            ("better_auth_secret_wo = \"\"", "The secret is empty"),
            ("better_auth_secret = \"a\"\nbetter_auth_secret_wo = \"b\"", "Which secret?"),
            ("jwks = \"{}\"", "jwks is decided by the provider, and only read"),
        ] {
            configure(&project, &keys(attributes));
            let outcome = project.validate().fails_with(&[says]);
            let ours = outcome.text().lines().filter(|line| !line.contains(" private_key = ")).collect::<String>();
            assert!(!ours.contains("hunter2"), "{ours}");
        }
        // What is only known later is checked then.
        configure(&project, &format!(
            "variable \"bits\" {{\n  default = 512\n}}\n{}", keys("bits = var.bits")
        ));
        project.validate().ok();
        project.plan().fails_with(&["A key of 512 bits cannot be made"]);
    }
}

on_each_core! {
    fn jose_reads_every_form_of_the_pair(core) {
        let script = r#"
            import { SignJWT, calculateJwkThumbprint, createLocalJWKSet, importPKCS8, importSPKI, jwtVerify } from "jose";

            const { PEM, LINE, PUBLIC, JWKS } = process.env;
            const set = JSON.parse(JWKS);
            for (const text of [PEM, LINE]) {
                const token = await new SignJWT({ sub: "user|session" })
                    .setProtectedHeader({ alg: "RS256" })
                    .sign(await importPKCS8(text, "RS256"));
                await jwtVerify(token, createLocalJWKSet(set));
                await jwtVerify(token, await importSPKI(PUBLIC, "RS256"));
            }
            console.log(await calculateJwkThumbprint(set.keys[0]));
        "#;
        let project = project(core, "bits = 4096");
        project.apply().ok();
        let state = project.state(ADDRESS);
        let printed = node::run_node(&node::npm_install(&[("jose", "5")]), script, &[], &[
            ("PEM", text(&state, "private_key_pem")),
            ("LINE", text(&state, "private_key_line")),
            ("PUBLIC", text(&state, "public_key_pem")),
            ("JWKS", text(&state, "jwks")),
        ]);
        assert_eq!(printed.trim(), text(&state, "thumbprint"));
        assert_eq!(state["bits"], 4096);
    }
}

on_each_core! {
    fn no_private_key_is_in_what_terraform_shows(core) {
        let mut project = project(core, "better_auth_secret = \"canary-canary-canary\"");
        project.set_env("TF_LOG", "trace");
        let mut said = project.apply().ok().text();
        configure(&project, &keys("better_auth_secret = \"canary-canary-canary\"\nrotate_trigger = \"1\""));
        let before = project.find_state(ADDRESS);
        said += &project.plan().ok().text();
        said += &project.apply().ok().text();
        project.set_env("TF_LOG", "");
        let after = project.state(ADDRESS);
        for state in before.iter().chain([&after]) {
            let pem = text(state, "private_key_pem");
            for secret in pem.lines().filter(|line| !line.starts_with("-----")) {
                assert!(!said.contains(secret), "a line of the key is shown");
            }
            let sealed = &text(state, "better_auth_jwks");
            let at = sealed.find("privateKey").expect("a sealed key");
            assert!(!said.contains(&sealed[at + 20..at + 60]), "the sealed key is shown");
        }
        assert!(!said.contains("canary-canary-canary"));
    }
}
