//! The files of a project in a workspace's container, written through Docker.

use tempfile::TempDir;
use terraform_provider_convex::convex::auth_keys::{AuthKeys, KeySize};

use super::{config, configure};
use crate::support::{
    apps,
    docker::{Name, docker, images},
    on_each_core,
    proxy::Proxy,
    terraform::{Core, Project},
};

/// A workspace: a container with a home directory on a volume of its own.
struct Workspace {
    name: String,
}

impl Workspace {
    fn start() -> Self {
        let name = format!("{}-workspace", Name::new().as_str());
        let workspace = Self { name };
        workspace.run();
        workspace
    }

    fn volume(&self) -> String {
        format!("{}-home:/home/coder", self.name)
    }

    /// Makes the container anew, as each start of a workspace does, and returns its ID.
    fn run(&self) -> String {
        let _ = std::process::Command::new("docker")
            .args(["rm", "-f", "-v", &self.name])
            .output();
        let id = docker(&[
            "run",
            "-d",
            "--name",
            &self.name,
            "--user",
            "1000:1001",
            "-v",
            &self.volume(),
            "--entrypoint",
            "sleep",
            &images().backend,
            "1000",
        ]);
        docker(&[
            "exec",
            "-u",
            "0",
            &self.name,
            "chown",
            "1000:1001",
            "/home/coder",
        ]);
        id
    }

    /// What a shell in the workspace says.
    fn sh(&self, script: &str) -> String {
        docker(&["exec", &self.name, "sh", "-c", script])
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        for arguments in [
            ["rm", "-f", "-v", &self.name],
            ["volume", "rm", "-f", &format!("{}-home", self.name)],
        ] {
            let _ = std::process::Command::new("docker")
                .args(arguments)
                .output();
        }
    }
}

fn blocks(container: &str, attributes: &str) -> String {
    format!(
        "resource \"convex_project\" \"app\" {{\n  directory = \"/home/coder/work/app\"\n  admin_key = \"app|01hunter2\"\n  compose = true\n  container = {{ {container} }}\n{attributes}\n}}\n"
    )
}

on_each_core! {
    fn files_are_the_users_and_follow_the_workspace_through_its_starts(core) {
        let workspace = Workspace::start();
        let by_id = |id: &str| blocks(&format!("id = {id:?}"), "");
        let project = Project::new(core, &config(&by_id(&workspace.name)));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_project.app")["pending"], false);
        let list = |paths: &str| workspace.sh(&format!("cd /home/coder/work/app && stat -c '%n %a %u:%g' {paths}"));
        assert_eq!(
            list(".env.convex.local start-convex-backend.sh package.json convex convex/lib ."),
            ".env.convex.local 600 1000:1001\nstart-convex-backend.sh 755 1000:1001\npackage.json 644 1000:1001\nconvex 755 1000:1001\nconvex/lib 755 1000:1001\n. 755 1000:1001"
        );
        // A directory that was there keeps its bits and its owner.
        assert_eq!(workspace.sh("stat -c '%a %u:%g' /home /home/coder"), "755 0:0\n755 1000:1001");

        // A person edits, gives away, and opens up.
        workspace.sh("cd /home/coder/work/app && echo MINE=1 >>.env.convex.local && echo mine >start-convex-backend.sh && rm scripts/setup-convex.sh && chmod 644 .env.convex.local && touch pnpm-lock.yaml");
        docker(&["exec", "-u", "0", &workspace.name, "chown", "5:6", "/home/coder/work/app/package.json"]);
        project.plan().ok().says(&["scripts/setup-convex.sh", "start-convex-backend.sh", ".env.convex.local"]);
        project.apply().ok().says(&["was changed, and set aside"]);
        project.assert_no_changes();
        assert!(workspace.sh("cat /home/coder/work/app/.env.convex.local").ends_with("MINE=1"));
        assert_eq!(workspace.sh("cat /home/coder/work/app/start-convex-backend.sh.set-aside-*"), "mine");
        assert_eq!(
            list(".env.convex.local scripts/setup-convex.sh package.json"),
            ".env.convex.local 600 1000:1001\nscripts/setup-convex.sh 755 1000:1001\npackage.json 644 5:6"
        );
        assert_eq!(project.state("convex_project.app")["detected_package_manager"], "pnpm");

        // Stopped: nothing is asked, nothing fails.
        docker(&["rm", "-f", "-v", &workspace.name]);
        configure(&project, &blocks("id = null", ""));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(project.state("convex_project.app")["pending"], true);
        // Started again: another container, the same home.
        let id = workspace.run();
        workspace.sh("rm /home/coder/work/app/convex/tasks.ts");
        configure(&project, &by_id(&id));
        project.plan().ok().says(&["0 to add, 1 to change, 0 to destroy"]);
        project.apply().ok();
        project.assert_no_changes();
        workspace.sh("test -f /home/coder/work/app/convex/tasks.ts");
        assert_eq!(workspace.sh("ls /home/coder/work/app | grep -c set-aside"), "1");

        project.destroy().ok();
        assert_eq!(workspace.sh("test ! -e /home/coder/work/app/scripts && echo gone"), "gone");
        let left = workspace.sh("cd /home/coder/work/app && ls -A");
        assert!(left.contains("convex") && left.contains(".env.convex.local"), "{left}");
        assert!(!left.lines().any(|it| it == "start-convex-backend.sh"), "{left}");
        // A container that has gone is no reason for a destroy to fail.
        project.apply().ok();
        docker(&["rm", "-f", "-v", &workspace.name]);
        project.destroy().ok();
    }
}

on_each_core! {
    fn what_cannot_be_written_into_is_told(core) {
        let workspace = Workspace::start();
        let by_name = format!("id = {:?}", workspace.name);
        let project = Project::new(core, &config(&blocks("id = \"no-such-container\"", "")));
        project.apply().fails_with(&["There is no container", "no-such-container"]);
        configure(&project, &blocks(&format!("{by_name}, user = \"nobody-knows\""), ""));
        project.apply().fails_with(&["The container has no user", "1000:1000"]);
        configure(&project, &blocks(&by_name, "").replace("/home/coder/work", "work"));
        project.plan().fails_with(&["In a container the directory must be an absolute path"]);
        // A link could lead anywhere in there.
        workspace.sh("mkdir -p /home/coder/work/app && ln -s /tmp /home/coder/work/app/convex");
        configure(&project, &blocks(&by_name, ""));
        project.apply().fails_with(&["leads out of the project's directory"]);
        assert_eq!(workspace.sh("ls -A /tmp /home/coder/work/app | grep -c schema || true"), "0");
    }
}

/// Docker takes some tenths of a second for each path that it is asked for.
#[test]
fn all_files_are_looked_at_written_and_removed_at_once() {
    let (workspace, proxy) = (Workspace::start(), Proxy::start());
    let attributes = "private_key = file(\"key.pem\")\npattern = \"ai-rag\"";
    let blocks = blocks(&format!("id = {:?}", workspace.name), attributes);
    let mut project = Project::new(Core::Installed, &config(&blocks));
    let key = AuthKeys::generate(KeySize::Rsa2048).expect("a key");
    project.write("key.pem", key.private_key_pem().expose());
    project.set_env("DOCKER_HOST", &proxy.host());
    let calls = |what: &str, most: usize| {
        let calls = proxy.take();
        let paths: Vec<_> = calls.iter().map(|it| (&it.method, &it.path)).collect();
        assert!(
            calls.len() <= most,
            "{} calls to {what}: {paths:#?}",
            calls.len()
        );
    };
    project.apply().ok();
    calls("create", 17);
    project.assert_no_changes();
    calls("refresh", 12);
    workspace.sh("cd /home/coder/work/app && rm scripts/setup-convex.sh && echo >>convex/http.ts");
    project
        .plan()
        .ok()
        .says(&["drifted", "scripts/setup-convex.sh"]);
    proxy.take();
    // The refresh, and what is there when it is written.
    project.apply().ok();
    calls("update", 28);
    // One that does not run can still be looked at, and written to.
    docker(&["stop", "-t", "0", &workspace.name]);
    project.assert_no_changes();
    docker(&["start", &workspace.name]);
    workspace.sh("rm /home/coder/work/app/package.json");
    docker(&["stop", "-t", "0", &workspace.name]);
    project.apply().ok();
    project.assert_no_changes();
    docker(&["start", &workspace.name]);
    workspace.sh("test -s /home/coder/work/app/package.json");
    proxy.take();
    project.destroy().ok();
    calls("destroy", 25);
    let left = workspace.sh("cd /home/coder/work/app && find . -type d | sort");
    assert_eq!(left, ".\n./convex\n./convex/lib\n./scripts\n./src");
}

/// A template is imported without Docker.
#[test]
fn a_plan_needs_no_docker() {
    let directory = TempDir::new().expect("a directory");
    let mut project = Project::new(Core::Installed, &config(&blocks("id = \"later\"", "")));
    project.set_env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    project.plan().ok().says(&["will be created"]);
    assert_eq!(apps::files(directory.path()).len(), 0);
    project.apply().fails_with(&["Docker cannot be reached"]);
}
