//! The templates of `terraform/templates`, run as Coder runs them, with the
//! providers that they use beside ours.

mod cancel;
mod claim;
mod cycle;
mod graph;
mod import;
mod inside;
mod postgres;
mod provisioner;
mod readme;
pub mod server;

use std::{
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use provisioner::{Template, Workspace};

use crate::support::docker::{docker, images};

/// The wildcard that the templates are told.
const WILDCARD: &str = "*.apps.example.com";

/// Images of what templates run beside Convex.
struct Images {
    workspace: String,
    postgres: String,
}

fn other_images() -> &'static Images {
    static IMAGES: OnceLock<Images> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/coder/images");
        let output = Command::new(script).output().expect("the script runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no images: {errors}");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let of = |key: &str| {
            let mut names = printed.lines().filter_map(|line| line.strip_prefix(key));
            names.next().expect("both are printed").to_owned()
        };
        Images {
            workspace: of("WORKSPACE="),
            postgres: of("POSTGRES="),
        }
    })
}

/// A template of this repository, with images that are there.
fn template(name: &str) -> Template {
    Template::named(name)
        .with("wildcard", WILDCARD)
        .with("workspace_image", &other_images().workspace)
        .with("convex_backend_image", &images().backend)
        .with("convex_dashboard_image", &images().dashboard)
}

/// The ID of a workspace, and the promise to leave nothing of it on the Docker
/// host.
pub struct Id(String);

impl Id {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        Self(format!("{process:08x}-0000-4000-8000-{count:012x}"))
    }

    /// One that Coder has chosen.
    fn given(id: String) -> Self {
        Self(id)
    }

    fn as_str(&self) -> &str {
        &self.0
    }

    /// A workspace with this ID, and a name that no other one has.
    fn workspace(&self, template: Template) -> Workspace {
        let name = format!("dev{}", self.0.replace("-0000-4000-8000-", "-"));
        Workspace::new(template, self.0.clone(), name)
    }

    /// The name of its deployment.
    fn deployment(&self) -> String {
        format!("coder-{}", self.0)
    }

    /// Waits until one of its objects is there.
    fn wait_for(&self, object: &str) {
        let deadline = Instant::now() + Duration::from_mins(2);
        while !self.objects().iter().any(|it| it == object) {
            assert!(Instant::now() < deadline, "{object} comes");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kinds and names of all its containers, volumes and networks.
    fn objects(&self) -> Vec<String> {
        let filter = format!("label=coder.workspace_id={}", self.0);
        [
            ["ps", "-a", "--format", "container {{.Names}}"],
            ["volume", "ls", "--format", "volume {{.Name}}"],
            ["network", "ls", "--format", "network {{.Name}}"],
        ]
        .into_iter()
        .flat_map(|list| {
            let printed = docker(&[&list[..], &["--filter", &filter]].concat());
            printed.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }
}

impl Drop for Id {
    fn drop(&mut self) {
        for object in self.objects() {
            let (kind, name) = object.split_once(' ').expect("a kind and a name");
            let _ = Command::new("docker")
                .args([kind, "rm", "-f"])
                .arg(name)
                .output();
        }
    }
}
