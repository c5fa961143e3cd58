//! Variables that are there already, taken over.

use serde_json::{Value as Json, json};

use super::{config, configure, env_of, lean};
use crate::support::{
    backend::Backend,
    docker::Name,
    on_each_core,
    terraform::{Core, Outcome, Project},
};

fn made(core: Core, name: &Name, env: &str) -> (Project, Backend) {
    let project = Project::new(core, &config(&(lean(name, "") + &env_of(env))));
    project.apply().ok();
    let backend = Backend::of(name, &project.state("convex_deployment.app"));
    (project, backend)
}

fn import(project: &Project, id: &str) -> Outcome {
    if project.find_state("convex_env.app").is_some() {
        project.run(&["state", "rm", "convex_env.app"]).ok();
    }
    project.run(&["import", "-no-color", "convex_env.app", id])
}

on_each_core! {
    fn variables_are_imported_all_or_by_name(core) {
        let name = Name::new();
        let (project, backend) = made(core, &name, "variables = { A = \"1\", B = \"2\", C = \"3\" }");
        import(&project, &format!("{}/A, C", name.as_str())).ok();
        let secret = |value: &str| json!({
            "value": value, "value_wo": null, "value_wo_version": null, "set": true,
        });
        let state = project.state("convex_env.app");
        assert_eq!(state["secrets"], json!({ "A": secret("1"), "C": secret("3") }));
        assert_eq!(state["auth"], Json::Null);
        import(&project, name.as_str()).ok();
        let all = project.state("convex_env.app")["secrets"].clone();
        assert_eq!(all, json!({ "A": secret("1"), "B": secret("2"), "C": secret("3") }));

        // Declared as before: nothing is sent.
        backend.requests();
        project.apply().ok();
        let requests = backend.requests();
        assert!(!requests.iter().any(|it| it.ends_with("/update_environment_variables")), "{requests:?}");
        project.assert_no_changes();

        // Declared less: what was imported is ours.
        import(&project, name.as_str()).ok();
        configure(&project, &(lean(&name, "") + &env_of("variables = { A = \"1\" }")));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.variables().into_keys().collect::<Vec<_>>(), ["A"]);

        let id = format!("{}/A,NOPE", name.as_str());
        import(&project, &id).fails_with(&["No such variable", "has no variable \"NOPE\""]);
        import(&project, "no-such-deployment").fails_with(&["No such deployment"]);
        import(&project, "https://happy-otter-123.convex.cloud").fails_with(&[
            "Only variables of a deployment of this provider are imported",
            "https://happy-otter-123.convex.cloud",
            "declare them with url and admin_key_wo",
        ]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn the_keys_of_signing_in_are_imported_as_such_and_stay(core) {
        let name = Name::new();
        let env = "auth = { site_url = \"http://localhost:5173\" }\n secrets = { KEY = { value = \"1\" } }";
        let (project, backend) = made(core, &name, env);
        let before = backend.variables();
        let state = project.state("convex_env.app");

        // Imported in full, nothing is left to be done.
        import(&project, name.as_str()).ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_env.app")["auth"], state["auth"]);
        assert_eq!(project.state("convex_env.app")["secrets"], state["secrets"]);

        // Written by others in other forms: the key stays, what is around it
        // becomes what this provider writes.
        let pem = state["auth"]["private_key"].as_str().expect("a key");
        let jwks = before["JWKS"].replace("\"use\":\"sig\"", "\"alg\":\"RS256\",\"kid\":\"1\"");
        backend.set(&[("JWT_PRIVATE_KEY", Some(pem)), ("JWKS", Some(&jwks))]);
        import(&project, name.as_str()).ok();
        assert_eq!(project.state("convex_env.app")["auth"]["private_key"], pem);
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.variables(), before);

        // A part of it is no pair, and neither are halves that do not fit.
        import(&project, &format!("{}/JWKS,JWT_PRIVATE_KEY", name.as_str())).ok();
        assert_eq!(project.state("convex_env.app")["auth"], Json::Null);
        backend.set(&[("JWKS", Some("{\"keys\":[]}"))]);
        import(&project, name.as_str()).ok();
        assert_eq!(project.state("convex_env.app")["auth"], Json::Null);
        assert_eq!(project.state("convex_env.app")["secrets"]["JWKS"]["value"], "{\"keys\":[]}");
        project.destroy().ok();
    }
}

on_each_core! {
    fn what_is_not_to_be_in_the_state_is_not_imported_into_it(core) {
        let name = Name::new();
        let deployment = lean(&name, "secrets_in_state = false");
        let env = env_of("auth = {}\n secrets = { KEY = { value_wo = \"canary-0123456789\" } }");
        let project = Project::new(core, &config(&(deployment + &env)));
        project.apply().ok();
        let before = project.state("convex_env.app");
        project.run(&["state", "rm", "convex_env.app"]).ok();
        std::fs::remove_file(project.path().join("terraform.tfstate.backup")).ok();
        import(&project, name.as_str()).ok();
        let state = project.read("terraform.tfstate");
        assert!(!state.contains("canary") && !state.contains("PRIVATE KEY"), "{state}");
        project.assert_no_changes();
        project.apply().ok();
        assert_eq!(project.state("convex_env.app")["auth"], before["auth"]);

        // A value that would be kept is refused by the plan, for a resource
        // that is there as for a new one.
        let kept = env_of("secrets = { KEY = { value = \"canary-0123456789\" } }");
        configure(&project, &(lean(&name, "secrets_in_state = false") + &kept));
        let refused = || {
            project.plan().fails_with(&["A secret that would be in the state", "Use value_wo"]);
        };
        refused();
        project.run(&["state", "rm", "convex_env.app"]).ok();
        refused();
        configure(&project, &lean(&name, "secrets_in_state = false"));
        project.destroy().ok();
    }
}

on_each_core! {
    fn imported_keys_leave_the_state_where_secrets_are_not_kept(core) {
        let name = Name::new();
        let (project, backend) = made(core, &name, "auth = {}");
        let before = backend.variables();
        import(&project, name.as_str()).ok();
        configure(&project, &(lean(&name, "") + &env_of("secrets_in_state = false\n auth = {}")));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.variables(), before);
        assert_eq!(project.state("convex_env.app")["auth"]["private_key"], Json::Null);
        project.destroy().ok();
    }
}
