//! A prebuilt workspace, and the person who gets it.

use super::{
    Id,
    inside::{Inside, text},
    provisioner::Transition,
    template,
};
use crate::support::{docker::docker, on_each_core};

// By the Terraform that Coder brings along, too.
on_each_core! {
    fn a_claim_of_a_prebuilt_workspace_replaces_nothing(core) {
        let id = Id::new();
        let mut workspace = id.workspace(template("docker").with("prebuilds", "1").by(core));
        workspace.prebuilt = true;
        "prebuilds".clone_into(&mut workspace.owner);
        let name = workspace.name.clone();
        workspace.name = format!("prebuild-{name}");
        let ready = workspace.build(Transition::Start);
        let before = ready.resource("convex_deployment.app").clone();
        let container = Inside::of(&ready).container().to_owned();
        workspace.assert_settled(Transition::Start);

        let claimed = workspace.claim("ann", &name);
        assert_eq!(
            claimed.foreign_with_action("update"),
            [
                "convex_deployment.app",
                "convex_env.app",
                "convex_project.app"
            ],
            "{:?}",
            claimed.changes()
        );
        for action in ["create", "delete", "delete, create", "create, delete"] {
            assert_eq!(
                claimed.foreign_with_action(action),
                <[&str; 0]>::default(),
                "{action}"
            );
        }
        assert!(!claimed.changes()["coder_agent.main[0]"].contains("delete"));
        assert_eq!(
            claimed.resource_of_agent().as_deref(),
            Some("docker_container.workspace")
        );

        let after = claimed.resource("convex_deployment.app");
        assert_eq!(after["admin_key"], before["admin_key"]);
        assert_eq!(after["instance_secret"], before["instance_secret"]);
        let api = format!("http://convex-api--{name}--ann.apps.example.com:7080");
        assert_eq!(after["origins"]["api"], api.as_str());
        let inside = Inside::of(&claimed);
        assert_eq!(inside.container(), container);
        assert_eq!(
            inside.healthy_apps(),
            ["convex", "convex-api", "convex-site"]
        );
        assert_eq!(inside.environment()["VITE_CONVEX_URL"], api);
        assert_eq!(inside.environment()["GIT_AUTHOR_EMAIL"], "ann@example.com");
        let env_file = inside.sh("cat ~/app/.env.convex.local");
        assert!(env_file.contains(&api), "{env_file}");
        assert!(!env_file.contains("prebuild"), "{env_file}");
        // The backend runs on its own ports, and is told the new address while it does.
        assert_eq!(
            after["container_ids"]["backend"],
            before["container_ids"]["backend"]
        );
        let dashboard = format!("{}-dashboard", id.deployment());
        let page = docker(&["inspect", "-f", "{{.Config.Env}}", &dashboard]);
        assert!(
            page.contains(&api) && !page.contains("prebuild"),
            "{page}"
        );
        inside.run_scripts();
        workspace.assert_settled(Transition::Start);

        // The container goes by its new owner's name from the next start on.
        workspace.build(Transition::Stop);
        let started = workspace.build(Transition::Start);
        let container = started.resource("docker_container.workspace[0]");
        let prefix = format!("coder-ann-{name}-");
        assert!(text(&container["name"]).starts_with(&prefix), "{container}");
        assert_eq!(text(&container["hostname"]), name);
        assert_eq!(
            started.resource("convex_deployment.app")["admin_key"],
            before["admin_key"]
        );
        workspace.build(Transition::Destroy);
        assert_eq!(id.objects(), <[&str; 0]>::default());
    }
}
