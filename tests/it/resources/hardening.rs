//! What the containers may use, do and write.

use super::{configure, deployment, project};
use crate::support::{
    docker::{Name, docker, images},
    terraform::Core,
};

fn inspect(name: &Name, role: &str, format: &str) -> String {
    docker(&["inspect", "-f", format, &name.container(role)])
}

#[test]
fn limits_change_while_it_runs_and_rights_with_new_containers() {
    let name = Name::new();
    let project = project(Core::Installed, &name, "");
    project.apply().ok();
    let id = || inspect(&name, "backend", "{{.Id}}");
    let first = id();
    let security = "{{.HostConfig.SecurityOpt}} {{.HostConfig.CapDrop}}";
    assert_eq!(
        inspect(&name, "backend", security),
        "[no-new-privileges:true] []"
    );

    let limits = |backend: &str, dashboard: &str, rest: &str| {
        let images = images();
        deployment(
            &name,
            &format!(
                "backend = {{\n image = {:?}\n {backend}\n}}\ndashboard = {{\n image = {:?}\n {dashboard}\n}}\n{rest}",
                images.backend, images.dashboard
            ),
        )
    };
    let some = "memory_mb = 512\n cpus = 1.5\n pids = 400";
    configure(&project, &limits(some, "memory_mb = 256", ""));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(id(), first, "a limit needs no new container");
    let format = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
    assert_eq!(
        inspect(&name, "backend", format),
        format!("{} 1500000000 400", 512 << 20)
    );
    assert_eq!(
        inspect(&name, "dashboard", "{{.HostConfig.Memory}}"),
        (256 << 20).to_string()
    );

    // Drift is seen, and put right in place.
    docker(&["update", "--pids-limit", "100", &name.container("backend")]);
    project.plan().ok().says(&["pids"]);
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(id(), first);

    // Docker takes no limit away.
    configure(&project, &limits("", "", ""));
    project.apply().ok();
    project.assert_no_changes();
    let second = id();
    assert_ne!(second, first);

    let rest = "hardening = { cap_drop = [\"ALL\"] }\nlog = { max_size_mb = 10, max_files = 3 }";
    configure(&project, &limits("", "", rest));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(
        inspect(&name, "backend", security),
        "[no-new-privileges:true] [ALL]"
    );
    assert_eq!(
        inspect(&name, "dashboard", "{{json .HostConfig.LogConfig}}"),
        r#"{"Type":"json-file","Config":{"max-file":"3","max-size":"10000000"}}"#
    );
    project.run(&["state", "rm", "convex_deployment.app"]).ok();
    project
        .run(&[
            "import",
            "-no-color",
            "convex_deployment.app",
            name.as_str(),
        ])
        .ok();
    let third = id();
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(id(), third, "an import finds the same");

    let open = "hardening = { no_new_privileges = false }";
    configure(&project, &limits("", "", open));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(inspect(&name, "backend", security), "[] []");

    configure(
        &project,
        &limits(
            "cpus = 0",
            "",
            "hardening = { cap_drop = [\"CAP_NET_RAW\"] }",
        ),
    );
    project
        .plan()
        .fails_with(&["cpus", "0.01 to 1024", "without CAP_"]);
    configure(&project, &limits("", "", ""));
    project.destroy().ok();
    assert_eq!(name.objects(), Vec::<String>::new());
}
