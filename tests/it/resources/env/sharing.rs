//! Several resources on one deployment.

use super::{config, configure, lean};
use crate::support::{
    backend::Backend,
    docker::Name,
    on_each_core,
    terraform::{Core, Project},
};

fn resource(name: &str, attributes: &str) -> String {
    format!(
        "resource \"convex_env\" {name:?} {{\n deployment = convex_deployment.app.id\n {attributes}\n}}\n"
    )
}

/// Variables with their own name as value.
fn named(names: &[&str]) -> String {
    let list: Vec<_> = names
        .iter()
        .map(|name| format!("{name} = {name:?}"))
        .collect();
    format!("variables = {{ {} }}", list.join(", "))
}

struct Shared {
    name: Name,
    project: Project,
    backend: Backend,
}

impl Shared {
    fn new(core: Core) -> Self {
        let name = Name::new();
        let project = Project::new(core, &config(&lean(&name, "")));
        project.apply().ok();
        let backend = Backend::of(&name, &project.state("convex_deployment.app"));
        Self {
            name,
            project,
            backend,
        }
    }

    fn declare(&self, resources: &[String]) {
        configure(&self.project, &(lean(&self.name, "") + &resources.concat()));
    }

    /// Applies once, after which the backend has these names and nothing more
    /// is to be done.
    #[track_caller]
    fn becomes(&self, resources: &[String], names: &[&str]) {
        self.declare(resources);
        self.project.apply().ok();
        let live = self.backend.variables();
        assert_eq!(live.keys().map(String::as_str).collect::<Vec<_>>(), names);
        assert!(live.iter().all(|(name, value)| name == value), "{live:?}");
        self.project.assert_no_changes();
    }
}

on_each_core! {
    fn two_resources_share_a_deployment_but_no_name(core) {
        let shared = Shared::new(core);
        let (one, two) = (resource("one", &named(&["A", "B"])), resource("two", &named(&["C"])));
        shared.becomes(&[one.clone(), two.clone()], &["A", "B", "C"]);

        // What one does is nothing to the other.
        shared.becomes(&[one.clone(), resource("two", &named(&["D"]))], &["A", "B", "D"]);
        shared.becomes(std::slice::from_ref(&one), &["A", "B"]);

        // Overlapping ones are refused, with the attribute: two new ones, a new
        // one beside an old one, and two old ones.
        let refused = |resources: &[String], texts: &[&str]| {
            shared.declare(resources);
            shared.project.plan().fails_with(texts);
        };
        let declared_twice = ["Declared by two resources", "A, B", "variables = { A"];
        refused(&[one.clone(), resource("two", &named(&["A", "B"]))], &declared_twice);
        refused(&[one.clone(), resource("two", &named(&["A", "X"]))], &["Declared by two resources", "declares A of"]);
        refused(
            &[one.clone(), resource("two", &named(&["X"])), resource("three", &named(&["X"]))],
            &["Declared by two resources", "declares X of"],
        );
        refused(
            &[one.clone(), resource("two", "secrets = { B = { value_wo = \"B\" } }")],
            &["Declared by two resources", "declares B of"],
        );
        refused(&[one.clone(), resource("two", "exclusive = true\n variables = { X = \"X\" }")], &["Not the only one"]);
        shared.becomes(&[one.clone(), two], &["A", "B", "C"]);
        refused(&[one, resource("two", &named(&["B", "C"]))], &["Declared by two resources", "declares B of"]);
        shared.becomes(&[], &[]);
        shared.project.destroy().ok();
    }
}

on_each_core! {
    fn a_name_moves_from_one_resource_to_another_in_one_apply(core) {
        let shared = Shared::new(core);
        // In either order, and without any.
        let orders = [("", ""), ("depends_on = [convex_env.two]", ""), ("", "depends_on = [convex_env.one]")];
        for (first, second) in orders {
            let one = |names: &[&str]| resource("one", &(named(names) + "\n" + first));
            let two = |names: &[&str]| resource("two", &(named(names) + "\n" + second));
            let all = ["A", "B", "MOVED"];
            shared.becomes(&[one(&["A", "MOVED"]), two(&["B"])], &all);
            shared.becomes(&[one(&["A"]), two(&["B", "MOVED"])], &all);
            shared.becomes(&[one(&["A", "MOVED"]), two(&["B"])], &all);
            // Both ways at once.
            shared.becomes(&[one(&["B"]), two(&["A", "MOVED"])], &all);
        }
        // The whole resource goes, or gets another name.
        shared.becomes(&[resource("one", &named(&["A", "B", "MOVED"]))], &["A", "B", "MOVED"]);
        shared.becomes(&[resource("renamed", &named(&["A", "B", "MOVED"]))], &["A", "B", "MOVED"]);
        shared.project.destroy().ok();
    }
}

on_each_core! {
    fn a_secret_moves_and_nobody_sees_it_missing(core) {
        let shared = Shared::new(core);
        let secret = |name: &str, more: &str| resource(name, &format!(
            "secrets = {{ KEY = {{ value_wo = \"KEY\" }} }}\n {more}"
        ));
        shared.becomes(&[secret("one", "")], &["KEY"]);
        // Made before the old one goes: there is nothing to be sent.
        let replacing = "lifecycle {\n create_before_destroy = true\n }";
        shared.becomes(&[secret("one", replacing)], &["KEY"]);
        shared.backend.requests();
        shared.project.run(&["apply", "-no-color", "-auto-approve", "-replace=convex_env.one"]).ok();
        let requests = shared.backend.requests();
        assert!(!requests.iter().any(|it| it.ends_with("/update_environment_variables")), "{requests:?}");
        shared.project.assert_no_changes();
        // The usual order.
        shared.becomes(&[secret("one", "")], &["KEY"]);
        shared.project.run(&["apply", "-no-color", "-auto-approve", "-replace=convex_env.one"]).ok();
        shared.project.assert_no_changes();
        shared.becomes(&[secret("one", "")], &["KEY"]);
        shared.project.destroy().ok();
    }
}

on_each_core! {
    fn another_deployment_is_another_place(core) {
        let (one, two) = (Shared::new(core), Shared::new(core));
        let env = |of: &Shared| format!(
            "resource \"convex_env\" \"app\" {{\n deployment = {:?}\n {}\n}}\n",
            of.name.as_str(), named(&["A", "B"])
        );
        let project = Project::new(core, &config(&env(&one)));
        project.apply().ok();
        configure(&project, &env(&two));
        project.plan().ok().says(&["forces replacement", "1 to add, 0 to change, 1 to destroy"]);
        project.apply().ok();
        project.assert_no_changes();
        assert!(one.backend.variables().is_empty());
        assert_eq!(two.backend.variables().len(), 2);
        project.destroy().ok();
        one.project.destroy().ok();
        two.project.destroy().ok();
    }
}
