//! How few requests variables take, however many they are.

use super::{config, configure, lean};
use crate::support::{
    backend::Backend,
    docker::{Name, port},
    http::Server,
    on_each_core,
    terraform::{Outcome, Project},
};

/// This many variables with this value.
fn variables(count: usize, value: &str) -> String {
    format!("variables = {{ for n in range({count}) : format(\"V%03d\", n) => {value:?} }}")
}

/// What a backend was asked for: how often its variables were read, and how
/// often anything was changed.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    reads: usize,
    changes: usize,
}

impl Count {
    fn of(requests: &[String]) -> Self {
        let count = |request| requests.iter().filter(|it| *it == request).count();
        let count = Self {
            reads: count("GET /api/list_environment_variables"),
            changes: count("POST /api/update_environment_variables"),
        };
        // The deployment itself looks which origins are published.
        let others = requests
            .iter()
            .filter(|it| *it != "GET /api/v1/get_canonical_urls")
            .count();
        assert_eq!(count.reads + count.changes, others, "{requests:?}");
        count
    }
}

const fn count(reads: usize, changes: usize) -> Count {
    Count { reads, changes }
}

/// Goes through the life of `count` variables, and demands of each step how
/// many requests it takes; `ask` tells those since it was last called.
fn live(
    project: &Project,
    size: usize,
    env: &dyn Fn(&str) -> String,
    ask: &dyn Fn() -> Vec<String>,
) {
    let arguments = ["apply", "-no-color", "-auto-approve", "-refresh-only"];
    let refresh = || project.run(&arguments);
    let step = |what: &str, run: &dyn Fn() -> Outcome, expected: Count| {
        ask();
        run().ok();
        assert_eq!(Count::of(&ask()), expected, "{what} of {size} variables");
    };
    // A plan looks once for variables that are there already; during apply
    // Terraform plans again.
    configure(project, &env(&variables(size, "one")));
    step("making", &|| project.apply(), count(3, 1));
    step("a plan without changes", &|| project.plan(), count(1, 0));
    step("an apply without changes", &|| project.apply(), count(1, 0));
    step("a refresh", &refresh, count(1, 0));
    configure(project, &env(&variables(size, "two")));
    step("a plan", &|| project.plan(), count(1, 0));
    step("changing", &|| project.apply(), count(2, 1));
    configure(project, &env(""));
    step("removing", &|| project.apply(), count(2, 1));
    configure(project, &env(&variables(size, "three")));
    step("setting", &|| project.apply(), count(2, 1));
    step(
        "destroying",
        &|| {
            project.run(&[
                "destroy",
                "-no-color",
                "-auto-approve",
                "-target=convex_env.app",
            ])
        },
        count(2, 1),
    );
}

on_each_core! {
    fn a_change_is_one_request_through_the_container(core) {
        let name = Name::new();
        let deployment = lean(&name, "");
        let env = |attributes: &str| format!(
            "{deployment}\nresource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n {attributes}\n}}"
        );
        let project = Project::new(core, &config(&deployment));
        project.apply().ok();
        let backend = Backend::of(&name, &project.state("convex_deployment.app"));
        for size in [1, 512] {
            live(&project, size, &env, &|| backend.requests());
        }
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_change_is_one_request_by_url(core) {
        let backend = Backend::start();
        let server = Server::before(backend.url());
        let env = |attributes: &str| format!(
            "resource \"convex_env\" \"app\" {{\n url = {:?}\n admin_key = {:?}\n {attributes}\n}}",
            server.url(), backend.key()
        );
        let project = Project::new(core, &config(""));
        let ask = || server.take().iter().map(ToString::to_string).collect::<Vec<_>>();
        for size in [1, 512] {
            live(&project, size, &env, &ask);
        }
    }
}

on_each_core! {
    fn values_that_are_not_kept_take_no_more_reads_than_others(core) {
        let (name, port) = (Name::new(), port());
        let env = |value: &str| format!(
            "{}\nresource \"convex_env\" \"app\" {{\n deployment = convex_deployment.app.id\n secrets = {{ for n in range(512) : format(\"V%03d\", n) => {{ value_wo = {value:?} }} }}\n}}",
            lean(&name, &format!("network = {{ publish = {{ api = {port} }} }}"))
        );
        let project = Project::new(core, &config(&env("one")));
        project.apply().ok();
        let backend = Backend::of(&name, &project.state("convex_deployment.app"));
        backend.requests();
        project.assert_no_changes();
        assert_eq!(Count::of(&backend.requests()), count(1, 0));
        configure(&project, &env("two"));
        project.apply().ok();
        // One to plan, one to plan again, and one to apply.
        assert_eq!(Count::of(&backend.requests()), count(3, 1));
        project.destroy().ok();
    }
}
