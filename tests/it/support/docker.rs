//! Real Docker and the images under test.

use std::{
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

pub use super::proxy::{Fate, Proxy, SOCKET};

/// The images that deployments of tests run.
#[derive(Debug)]
pub struct Images {
    pub backend: String,
    pub dashboard: String,
}

/// The images named by `CONVEX_TEST_BACKEND` and `CONVEX_TEST_DASHBOARD`, such as the real ones,
/// else the stand-in's.
pub fn images() -> &'static Images {
    static IMAGES: OnceLock<Images> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let given = |name| std::env::var(name).ok().filter(|image| !image.is_empty());
        match (given("CONVEX_TEST_BACKEND"), given("CONVEX_TEST_DASHBOARD")) {
            (Some(backend), Some(dashboard)) => return Images { backend, dashboard },
            (None, None) => {}
            _ => panic!("CONVEX_TEST_BACKEND and CONVEX_TEST_DASHBOARD name a pair of images"),
        }
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/standin/image"))
            .output()
            .expect("the stand-in's image script runs");
        assert!(
            output.status.success(),
            "no images to test with: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let of = |key: &str| {
            printed
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .expect("both names are printed")
                .to_owned()
        };
        Images {
            backend: of("BACKEND="),
            dashboard: of("DASHBOARD="),
        }
    })
}

/// Runs Docker's command line, which must succeed, and returns what it printed.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker")
        .args(arguments)
        .env_remove("DOCKER_HOST")
        .output()
        .expect("Docker is installed: see tests/run");
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A name for a deployment of a test, and the promise to leave nothing of it.
#[derive(Debug)]
pub struct Name(String);

impl Name {
    /// A name that no other test has.
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(format!("t{}-{count}", std::process::id()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The container in this role.
    pub fn container(&self, role: &str) -> String {
        format!("{}-{role}", self.0)
    }

    /// The volume.
    pub fn volume(&self) -> String {
        format!("{}-data", self.0)
    }

    fn filter(&self) -> String {
        format!("label=io.github.coder-convex.deployment={}", self.0)
    }

    /// Names of all containers, volumes and networks of the deployment.
    pub fn objects(&self) -> Vec<String> {
        let filter = self.filter();
        [
            &["ps", "-a", "--format", "container {{.Names}}", "--filter"][..],
            &["volume", "ls", "--format", "volume {{.Name}}", "--filter"],
            &["network", "ls", "--format", "network {{.Name}}", "--filter"],
        ]
        .into_iter()
        .flat_map(|arguments| {
            let printed = docker(&[arguments, &[filter.as_str()]].concat());
            // What is being removed has lost its name already.
            let named = printed.lines().filter(|line| line.contains(' '));
            named.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        for object in self.objects() {
            let (kind, name) = object.split_once(' ').expect("a kind and a name");
            let arguments: &[&str] = match kind {
                "container" => &["rm", "-f", "-v"],
                "volume" => &["volume", "rm", "-f"],
                _ => &["network", "rm"],
            };
            let _ = Command::new("docker").args(arguments).arg(name).output();
        }
    }
}

/// A network beside that of a deployment, and the promise to remove it.
#[derive(Debug)]
pub struct Bridge(String);

impl Bridge {
    /// One that goes by the name of a deployment.
    pub fn beside(name: &Name) -> Self {
        let bridge = Self(format!("{}-beside", name.as_str()));
        docker(&["network", "create", &bridge.0]);
        bridge
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address by which containers, in whatever network, reach servers of
    /// this machine.
    pub fn host(&self) -> String {
        let format = "{{(index .IPAM.Config 0).Gateway}}";
        docker(&["network", "inspect", &self.0, "-f", format])
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["network", "rm", "-f", &self.0])
            .output();
    }
}

/// A port of the host that no other test publishes.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 500).expect("small") * 20;
    20_000 + offset + NEXT.fetch_add(1, Ordering::Relaxed)
}
