//! Whose variables they are.

use super::{config, configure, env_of, lean};
use crate::support::{
    backend::Backend,
    docker::{Name, images},
    on_each_core,
    terraform::{Core, Project},
};

/// A deployment with variables that nobody has declared.
fn found(core: Core, name: &Name, variables: &[(&str, &str)]) -> (Project, Backend) {
    let project = Project::new(core, &config(&lean(name, "")));
    project.apply().ok();
    let backend = Backend::of(name, &project.state("convex_deployment.app"));
    let changes: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, Some(*value)))
        .collect();
    backend.set(&changes);
    (project, backend)
}

fn env(name: &Name, attributes: &str) -> String {
    lean(name, "") + &env_of(attributes)
}

#[track_caller]
fn holds(backend: &Backend, expected: &[(&str, &str)]) {
    let live = backend.variables();
    let live: Vec<_> = live
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(live, expected);
}

on_each_core! {
    fn an_exclusive_owner_removes_what_it_does_not_declare_and_names_it_before(core) {
        let name = Name::new();
        let (project, backend) = found(core, &name, &[("OLD", "1"), ("OTHER", "2")]);
        configure(&project, &env(&name, "exclusive = true\n variables = { A = \"1\" }"));
        project.plan().ok().says(&["Variables will be removed", "so these go: OLD, OTHER."]);
        holds(&backend, &[("OLD", "1"), ("OTHER", "2")]);
        project.apply().ok();
        holds(&backend, &[("A", "1")]);
        project.assert_no_changes();

        backend.set(&[("LATER", Some("3")), ("AGAIN", Some("4"))]);
        project.plan().ok().says(&[r#"- "AGAIN""#, r#"- "LATER""#, "1 to change"]);
        project.apply().ok();
        holds(&backend, &[("A", "1")]);
        project.assert_no_changes();

        // Not exclusive any more: others may come.
        configure(&project, &env(&name, "variables = { A = \"1\" }"));
        project.apply().ok();
        backend.set(&[("THEIRS", Some("5"))]);
        project.assert_no_changes();
        configure(&project, &lean(&name, ""));
        project.apply().ok();
        holds(&backend, &[("THEIRS", "5")]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn destroying_keeps_variables_where_that_is_wished(core) {
        let name = Name::new();
        let (project, backend) = found(core, &name, &[]);
        configure(&project, &env(&name, "on_destroy = \"keep\"\n variables = { A = \"1\" }\n auth = {}"));
        project.apply().ok();
        let made = backend.variables();
        configure(&project, &lean(&name, ""));
        project.apply().ok();
        assert_eq!(backend.variables(), made);
        // Taken up again: the keys that are there stay.
        configure(&project, &env(&name, "variables = { A = \"1\" }\n auth = {}"));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.variables(), made);
        configure(&project, &lean(&name, ""));
        project.apply().ok();
        holds(&backend, &[]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_variable_that_exists_with_another_value_is_refused_adopted_or_overwritten(core) {
        let name = Name::new();
        let (project, backend) = found(core, &name, &[("A", "theirs"), ("B", "same")]);
        let declared = |on_conflict: &str, value: &str| env(&name, &format!(
            "on_conflict = {on_conflict:?}\n variables = {{ A = {value:?}, B = \"same\", C = \"new\" }}"
        ));
        // Refused by the plan already, with the attribute.
        configure(&project, &declared("fail", "ours"));
        project.plan().fails_with(&["Variable A exists already", "on_conflict"]);
        project.apply().fails_with(&["Variable A exists already"]);
        holds(&backend, &[("A", "theirs"), ("B", "same")]);

        // Adopted: left until another value is declared.
        configure(&project, &declared("adopt", "ours"));
        project.apply().ok();
        project.assert_no_changes();
        holds(&backend, &[("A", "theirs"), ("B", "same"), ("C", "new")]);
        assert_eq!(project.state("convex_env.app")["adopted"], serde_json::json!(["A"]));
        backend.set(&[("A", Some("theirs again"))]);
        project.assert_no_changes();
        configure(&project, &declared("adopt", "ours at last"));
        project.plan().ok().says(&[r#"~ "A" = "ours" -> "ours at last""#]);
        project.apply().ok();
        project.assert_no_changes();
        holds(&backend, &[("A", "ours at last"), ("B", "same"), ("C", "new")]);
        assert_eq!(project.state("convex_env.app")["adopted"], serde_json::json!([]));

        // What is ours is put right without a question.
        configure(&project, &declared("fail", "ours at last"));
        project.apply().ok();
        backend.set(&[("A", Some("theirs"))]);
        project.apply().ok();
        project.assert_no_changes();
        holds(&backend, &[("A", "ours at last"), ("B", "same"), ("C", "new")]);

        // A name that comes later, overwritten.
        backend.set(&[("D", Some("theirs"))]);
        let with_d = declared("overwrite", "ours at last").replace("C = \"new\"", "C = \"new\", D = \"ours\"");
        configure(&project, &with_d.replace("overwrite", "fail"));
        project.plan().fails_with(&["Variable D exists already"]);
        configure(&project, &with_d);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("D").as_deref(), Some("ours"));
        project.destroy().ok();
    }
}

on_each_core! {
    fn what_was_adopted_is_not_removed_with_the_rest(core) {
        let name = Name::new();
        let (project, backend) = found(core, &name, &[("A", "theirs")]);
        // What to do is not known before apply.
        let unknown = r#"
            resource "terraform_data" "how" { input = "adopt" }
        "#;
        let blocks = env(&name, "on_conflict = terraform_data.how.output\n variables = { A = \"ours\", B = \"1\" }");
        configure(&project, &(blocks + unknown));
        project.apply().ok();
        project.assert_no_changes();
        holds(&backend, &[("A", "theirs"), ("B", "1")]);
        configure(&project, &(lean(&name, "") + unknown));
        project.apply().ok();
        holds(&backend, &[("A", "theirs")]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn what_a_backend_holds_is_decided_by_the_backend(core) {
        let name = Name::new();
        let (project, backend) = found(core, &name, &[]);
        let theirs: Vec<_> = (0..10).map(|n| format!("THEIRS_{n}")).collect();
        let changes: Vec<_> = theirs.iter().map(|name| (name.as_str(), Some("x"))).collect();
        backend.set(&changes);
        let many = |count: usize| env(&name, &format!(
            "variables = {{ for n in range({count}) : format(\"V%03d\", n) => \"x\" }}"
        ));
        configure(&project, &many(502));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &many(503));
        let warning = ["More variables than by default", "513 variables", "V502 is the first", "ENV_VAR_LIMIT"];
        project.plan().ok().says(&warning);
        project.apply().fails_with(&["Too many variables", "limit (512) has been met", "raise ENV_VAR_LIMIT"]);
        assert_eq!(backend.variables().len(), 512);

        let raised = format!(
            "backend = {{ image = {:?}, env = {{ ENV_VAR_LIMIT = \"600\" }} }}",
            images().backend
        );
        let variables = many(503).replacen(&lean(&name, ""), &lean(&name, &raised), 1);
        configure(&project, &variables);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.variables().len(), 513);
        // One that holds more already has another limit.
        configure(&project, &variables.replace("range(503)", "range(504)"));
        let plan = project.plan().ok().text();
        assert!(!plan.contains("than by default"), "{plan}");
        project.destroy().ok();
    }
}
