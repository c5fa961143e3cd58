//! The protocol, spoken by real Terraform with a provider about nothing.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::{
    binaries, on_each_core, on_every_core,
    terraform::{Core, Project},
};

/// A configuration around these blocks.
fn config(blocks: &str) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    thin = {{ source = \"test/thin\" }}\n  }}\n}}\n{blocks}\n"
    )
}

/// A configuration of one thing with these attributes.
fn thing(attributes: &str) -> String {
    config(&format!(
        "resource \"thin_thing\" \"it\" {{\n  {attributes}\n}}"
    ))
}

on_every_core! {
    fn every_kind_of_object_and_attribute_works(core) {
        let project = Project::new(core, &config(r#"
            provider "thin" {
              prefix = "p-"
            }
            resource "thin_thing" "it" {
              name     = "a"
              size     = 123456789012345678901.5
              tags     = ["y", "x", "y"]
              words    = ["y", "x", "y", "é"]
              labels   = { "a b" = "1", "ü" = "2" }
              ports    = [{ number = 1 }, { number = 2, label = "two" }]
              rules    = [{ allow = "b" }, { allow = "a" }]
              secrets  = { K = { value = "a-secret" }, W = { value_wo = ephemeral.thin_token.it.token } }
              settings = { extra = { a = "" } }
            }
            data "thin_echo" "it" {
              text = thin_thing.it.id
            }
            ephemeral "thin_token" "it" {
              name = "me"
            }
            output "joined" {
              value = provider::thin::join({ separator = "-" }, 1, 2, 3).joined
            }
            output "echo" {
              value = provider::thin::echo({ a = [1, null, 0.5, true] })
            }
            output "shout" {
              value = data.thin_echo.it.shout
            }
        "#));
        project.validate().ok();
        project.apply().ok();
        project.assert_no_changes();
        let state = project.state("thin_thing.it");
        assert_eq!(state["id"], "p-a");
        // The file itself: reading it as JSON would round the number.
        assert!(project.read("terraform.tfstate").contains("\"size\": 123456789012345678901.5"));
        assert_eq!(state["ports"][0]["label"], "port-1");
        assert_eq!(state["lengths"]["W"], "token-of-me".len());
        assert_eq!(state["secrets"]["W"]["value_wo"], serde_json::Value::Null);
        assert_eq!(project.output("joined"), "1-2-3");
        assert_eq!(project.output("echo"), r#"{"a":[1,null,0.5,true]}"#);
        assert_eq!(project.output("shout"), "P-A");
        project.destroy().ok().says(&["Going away"]);
    }
}

on_every_core! {
    fn its_version_is_on_the_page_of_compatibility(core) {
        let page = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/tools/tfplugindocs/templates/guides/compatibility.md.tmpl"
        );
        let page = fs::read_to_string(page).expect("the page");
        let printed = Project::new(core, "").run(&["version", "-json"]).ok().stdout;
        let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
        let version = printed["terraform_version"].as_str().expect("a version");
        // Others may have another one installed.
        assert!(core == Core::Installed || page.contains(&format!("| {version} |")), "{version}");
    }
}

on_each_core! {
    fn a_plan_shows_defaults_and_marks_only_what_changes(core) {
        let project = Project::new(core, &thing("name = \"a\""));
        project.apply().ok();
        project.write("main.tf", &thing("name = \"a\"\n on = false"));
        let plan = project.plan_json();
        let change = &plan["resource_changes"][0]["change"];
        assert_eq!(change["actions"], serde_json::json!(["update"]));
        assert_eq!(change["after"]["on"], false);
        assert_eq!(change["after"]["settings"]["limit"], 10);
        assert_eq!(
            change["after_unknown"],
            serde_json::json!({"lengths": true, "revision": true, "settings": {}})
        );
        project.apply().ok();
        project.assert_no_changes();
        // What leaves the configuration returns to its default.
        project.write("main.tf", &thing("name = \"a\"\n settings = { level = \"debug\" }"));
        project.apply().ok();
        project.write("main.tf", &thing("name = \"a\""));
        project.apply().ok();
        assert_eq!(project.state("thin_thing.it")["settings"]["level"], "info");
        project.assert_no_changes();
    }
}

on_each_core! {
    fn a_change_that_replaces_says_so(core) {
        let project = Project::new(core, &thing("name = \"a\"\n fixed = \"x\""));
        project.apply().ok();
        for changed in ["name = \"a\"\n fixed = \"y\"", "name = \"b\"\n fixed = \"y\""] {
            project.write("main.tf", &thing(changed));
            let plan = project.plan_json();
            let actions = &plan["resource_changes"][0]["change"]["actions"];
            assert_eq!(*actions, serde_json::json!(["delete", "create"]));
            project.apply().ok();
            project.assert_no_changes();
        }
    }
}

on_each_core! {
    fn values_not_known_at_plan_arrive_at_apply(core) {
        let blocks = r#"
            resource "terraform_data" "later" {
              input = "later"
            }
            provider "thin" {
              prefix = terraform_data.later.output
            }
            resource "thin_thing" "it" {
              name    = terraform_data.later.output
              tags    = [terraform_data.later.output]
              labels  = { (terraform_data.later.output) = "x" }
              secrets = { K = { value = "b-${terraform_data.later.output}" } }
              ports   = [{ number = length(terraform_data.later.output) }]
            }
            output "echo" {
              value = provider::thin::echo(terraform_data.later.output)
            }
        "#;
        let project = Project::new(core, &config(blocks));
        project.apply().ok();
        assert_eq!(project.state("thin_thing.it")["labels"]["later"], "x");
        project.assert_no_changes();
    }
}

on_every_core! {
    fn bad_input_is_refused_at_validate_with_its_path(core) {
        let project = Project::new(core, &thing("name = \"a\"\n ports = [{ number = 0 }, { number = 70000 }]"));
        project.validate().fails_with(&[
            "Invalid value for ports[0].number",
            "0 is not a whole number from 1 to 65535",
            "Invalid value for ports[1].number",
            "on main.tf line",
        ]);
        project.write("main.tf", &thing("name = \"a\"\n nmae = \"b\""));
        project.validate().fails_with(&["Unsupported argument"]);
        project.write("main.tf", &config("output \"x\" {\n value = provider::thin::join({ separater = \"-\" }, 1)\n}"));
        project.plan().fails_with(&["unknown field `separater`, expected `separator`"]);
        project.write("main.tf", &config("output \"x\" {\n value = provider::thin::join({ separator = \"-\" }, 1, -1)\n}"));
        project.plan().fails_with(&["Negative numbers are not joined"]);
        project.write("main.tf", &config("output \"x\" {\n value = provider::thin::crash()\n}"));
        project.plan().fails_with(&["a function crashed on request"]);
    }
}

on_each_core! {
    fn a_failed_create_keeps_what_exists(core) {
        let project = Project::new(core, &thing("name = \"a\"\n mode = \"fail\""));
        project.apply().fails_with(&["Failed on request", "mode = \"fail\""]);
        assert_eq!(project.find_state("thin_thing.it"), None);
        for mode in ["fail-half-made", "panic-half-made"] {
            project.write("main.tf", &thing(&format!("name = \"a\"\n mode = \"{mode}\"")));
            let outcome = project.apply();
            assert_eq!(outcome.code, 1, "{}", outcome.text());
            assert_eq!(project.state("thin_thing.it")["mode"], mode);
            project.destroy().ok();
        }
    }
}

on_each_core! {
    fn a_failed_update_or_delete_keeps_the_state(core) {
        let project = Project::new(core, &thing("name = \"a\""));
        project.apply().ok();
        for (mode, said) in [("fail", "Failed on request"), ("panic", "crashed on request")] {
            project.write("main.tf", &thing(&format!("name = \"a\"\n mode = \"{mode}\"")));
            project.apply().fails_with(&[said]);
            assert_eq!(project.state("thin_thing.it")["mode"], serde_json::Value::Null);
        }
        project.write("main.tf", &thing("name = \"a\"\n mode = \"immortal\""));
        project.apply().ok();
        project.destroy().fails_with(&["Not deleted"]);
        assert_eq!(project.state("thin_thing.it")["name"], "a");
    }
}

on_each_core! {
    fn our_own_bugs_are_found_with_their_path(core) {
        let project = Project::new(core, &thing("name = \"a\"\n mode = \"invent\""));
        project.plan().fails_with(&["Bug in the provider", "fixed: a value the configuration does not give"]);
        project.write("main.tf", &thing("name = \"a\"\n mode = \"break-promise\""));
        project.apply().fails_with(&["Bug in the provider", "on: another value than planned"]);
        project.write("main.tf", &thing("name = \"b\"\n mode = \"panic-in-plan\""));
        project.plan().fails_with(&["The provider crashed", "crashed in the plan"]);
    }
}

on_each_core! {
    fn what_is_gone_is_made_again_and_what_is_found_is_imported(core) {
        let project = Project::new(core, &thing("name = \"a\"\n mode = \"vanish\""));
        project.apply().ok();
        project.plan().ok().says(&["1 to add"]);
        project.run(&["state", "rm", "thin_thing.it"]).ok();
        project.write("main.tf", &thing("name = \"found\""));
        project.run(&["import", "-no-color", "thin_thing.it", "found"]).ok();
        project.assert_no_changes();
    }
}

on_each_core! {
    fn secrets_are_struck_out_of_logs_warnings_and_panics(core) {
        let secret = "hunter2-is-the-secret";
        let mut project = Project::new(core, &thing(&format!(
            "name = \"a\"\n mode = \"log\"\n secrets = {{ K = {{ value = \"{secret}\" }} }}"
        )));
        project.set_env("TF_LOG", "trace");
        let outcome = project.apply().ok();
        let text = outcome.text();
        assert!(text.contains("The secret is [secret]."), "{text}");
        if core == Core::Installed {
            // The embedded core writes its log to its own process's stderr.
            assert!(text.contains("[INFO]  provider.terraform-provider-thin"), "{text}");
            assert!(text.contains("secret=[secret]"), "{text}");
        }
        assert!(!text.contains(secret));
        project.write("main.tf", &thing(&format!(
            "name = \"a\"\n mode = \"panic\"\n secrets = {{ K = {{ value = \"{secret}\" }} }}"
        )));
        let text = project.apply().fails_with(&["crashed on request, with [secret]"]).text();
        assert!(!text.contains(secret));
    }
}

on_every_core! {
    fn a_debugging_process_serves_many_runs(core) {
        let mut server = Command::new(binaries::fixture())
            .arg("--debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(server.stdout.take().expect("a pipe"));
        stdout.read_line(&mut line).expect("a line");
        let reattach = line
            .trim()
            .strip_prefix("TF_REATTACH_PROVIDERS='")
            .and_then(|rest| rest.strip_suffix('\''))
            .expect("a variable to set");

        let mut project = Project::new(core, "");
        project.set_env("TF_REATTACH_PROVIDERS", &core.addressed(reattach));
        for on in ["true", "false"] {
            project.write("main.tf", &thing(&format!("name = \"a\"\n on = {on}")));
            project.run(&["init", "-no-color"]).ok();
            project.apply().ok();
            project.assert_no_changes();
        }
        assert!(server.try_wait().expect("a child").is_none(), "still there");
        let status = Command::new("kill").arg("-INT").arg(server.id().to_string()).status();
        assert!(status.expect("kill runs").success());
        assert!(server.wait().expect("it ends").success());
    }
}

/// Terraform tells a provider to stop at the first interrupt.
#[test]
fn an_interrupted_apply_keeps_what_exists() {
    let project = Project::new(Core::Installed, &thing("name = \"a\"\n mode = \"wait\""));
    let mut apply = project
        .command(&["apply", "-no-color", "-input=false", "-auto-approve"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("Terraform starts");
    let stdout = BufReader::new(apply.stdout.take().expect("a pipe"));
    let mut said = String::new();
    for line in stdout.lines() {
        let line = line.expect("text");
        if line.contains("Creating...") {
            std::thread::sleep(Duration::from_millis(300));
            let status = Command::new("kill")
                .arg("-INT")
                .arg(apply.id().to_string())
                .status();
            assert!(status.expect("kill runs").success());
        }
        said.push_str(&line);
    }
    assert!(!apply.wait().expect("it ends").success(), "{said}");
    assert_eq!(project.state("thin_thing.it")["name"], "a");
}

/// Terraform waits two seconds for a plugin that does not answer its goodbye.
#[test]
fn no_process_outlives_a_run() {
    let project = Project::new(Core::Installed, &thing("name = \"a\""));
    let mark = format!("MARK_{}", std::process::id());
    let status = project
        .command(&["plan", "-no-color"])
        .env(&mark, "1")
        .stdout(Stdio::null())
        .status()
        .expect("Terraform starts");
    assert!(status.success());
    let ours = |entry: &fs::DirEntry| {
        fs::read(entry.path().join("environ")).is_ok_and(|environ| {
            environ
                .windows(mark.len())
                .any(|part| part == mark.as_bytes())
        })
    };
    let left = fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(Result::ok)
        .filter(ours)
        .count();
    assert_eq!(left, 0);
}
