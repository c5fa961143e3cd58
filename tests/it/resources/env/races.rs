//! What happens between a plan and its apply.
//!
//! During apply Terraform plans again, and stops with "Provider produced
//! inconsistent final plan" if anything has moved that was shown as known.

use super::{config, env_of, lean};
use crate::support::{
    backend::Backend,
    docker::{Name, docker},
    on_each_core,
    terraform::{Core, Outcome, Project},
};

/// Three resources, one after the other, and a deployment that changes too.
fn blocks(name: &Name, label: &str, value: &str) -> String {
    let next = |of: &str, name: &str, secret: &str| {
        format!(
            r#"
            resource "convex_env" "{name}" {{
              deployment = convex_deployment.app.id
              variables  = {{ {name}_SEEN = {value:?} }}
              secrets    = {{ {name}_HIDDEN = {{ value_wo = {secret:?} }} }}
              depends_on = [convex_env.{of}]
            }}
            "#
        )
    };
    lean(name, &format!("labels = {{ round = {label:?} }}"))
        + &env_of(&format!(
            "variables = {{ SEEN = {value:?} }}\n secrets = {{ HIDDEN = {{ value_wo = {value:?} }}, SAME = {{ value_wo = \"same\" }} }}\n auth = {{}}"
        ))
        + &next("app", "second", "same")
        + &next("second", "third", "same")
}

/// The values of the variables in [`blocks`], in the order of the test.
fn after(value: &str) -> [&str; 6] {
    [value, value, "same", value, "same", "same"]
}

/// What others do while a plan waits that has this value.
type Happening<'a> = &'a dyn Fn(&str);

fn save(project: &Project) -> Outcome {
    project.run(&["plan", "-no-color", "-out=plan.bin"]).ok()
}

fn apply(project: &Project) -> Outcome {
    let outcome = project.run(&["apply", "-no-color", "plan.bin"]);
    let text = outcome.text();
    assert!(!text.contains("inconsistent"), "{text}");
    assert!(!text.contains("bug in the provider"), "{text}");
    outcome
}

fn made(core: Core, name: &Name) -> (Project, Backend) {
    let project = Project::new(core, &config(&blocks(name, "0", "0")));
    project.apply().ok();
    project.assert_no_changes();
    let backend = Backend::of(name, &project.state("convex_deployment.app"));
    (project, backend)
}

on_each_core! {
    fn a_saved_plan_holds_whatever_others_do_to_the_variables(core) {
        let name = Name::new();
        let (project, backend) = made(core, &name);
        let all = ["SEEN", "HIDDEN", "SAME", "second_SEEN", "second_HIDDEN", "third_HIDDEN"];
        let between: [(&str, Happening<'_>); 5] = [
            ("nothing", &|_| {}),
            ("others change values", &|_| {
                let theirs: Vec<_> = all.iter().map(|name| (*name, Some("theirs"))).collect();
                backend.set(&theirs);
            }),
            ("others set just what is planned", &|value| {
                let same: Vec<_> = all.into_iter().zip(after(value).map(Some)).collect();
                backend.set(&same);
            }),
            ("others change what is not planned to change", &|_| {
                backend.set(&[("SAME", Some("x")), ("second_HIDDEN", Some("x")), ("third_HIDDEN", Some("x"))]);
            }),
            ("others add", &|_| backend.set(&[("FOREIGN", Some("x"))])),
        ];
        for (round, (what, happens)) in between.into_iter().enumerate() {
            let value = (round + 1).to_string();
            project.write("main.tf", &config(&blocks(&name, &value, &value)));
            save(&project);
            happens(&value);
            apply(&project).ok();
            project.assert_no_changes();
            let live = backend.variables();
            for (name, value) in all.into_iter().zip(after(&value)) {
                assert_eq!(live.get(name).map(String::as_str), Some(value), "{name} when {what}");
            }
        }

        // Others remove them. What the plan did not know of is found by the
        // next one at the latest.
        project.write("main.tf", &config(&blocks(&name, "9", "9")));
        save(&project);
        let gone: Vec<_> = all.iter().map(|name| (*name, None)).collect();
        backend.set(&gone);
        apply(&project).ok();
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("SEEN").as_deref(), Some("9"));

        // Somebody else is quicker with a name that is new.
        let conflict = blocks(&name, "9", "9").replace("SAME", "NEW");
        project.write("main.tf", &config(&conflict));
        save(&project);
        backend.set(&[("NEW", Some("theirs"))]);
        apply(&project).fails_with(&["Variable NEW exists already"]);
        assert_eq!(backend.get("NEW").as_deref(), Some("theirs"));
        backend.set(&[("NEW", None)]);
        project.apply().ok();
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_saved_plan_holds_when_the_backend_stops(core) {
        let name = Name::new();
        let (project, backend) = made(core, &name);
        project.write("main.tf", &config(&blocks(&name, "0", "1")));
        save(&project);
        docker(&["stop", "-t", "1", backend.container()]);
        apply(&project).fails_with(&["The backend does not run", "Apply again"]);
        project.apply().ok();
        project.assert_no_changes();
        let backend = Backend::of(&name, &project.state("convex_deployment.app"));
        assert_eq!(backend.get("HIDDEN").as_deref(), Some("1"));
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_plan_without_a_refresh_holds_too(core) {
        let name = Name::new();
        let (project, backend) = made(core, &name);
        project.write("main.tf", &config(&blocks(&name, "1", "1")));
        project.run(&["plan", "-no-color", "-refresh=false", "-out=plan.bin"]).ok();
        backend.set(&[("SAME", Some("x")), ("second_HIDDEN", Some("x")), ("SEEN", Some("x"))]);
        apply(&project).ok();
        project.apply().ok();
        project.assert_no_changes();
        let live = backend.variables();
        assert_eq!((live["SAME"].as_str(), live["SEEN"].as_str()), ("same", "1"));
        project.destroy().ok();
    }
}
