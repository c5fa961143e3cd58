//! How the images want to be run, whoever runs them.
//!
//! Sources: upstream `self-hosted/docker-build/` (both Dockerfiles and
//! `run_backend.sh`) and `self-hosted/docker/docker-compose.yml`.

/// Where the backend serves its API inside the container. Fixed by the image.
pub const BACKEND_PORT: u16 = 3210;

/// Where the backend serves HTTP actions inside the container. Fixed by the
/// image.
pub const SITE_PORT: u16 = 3211;

/// Where the dashboard serves inside its container. Fixed by the image.
pub const DASHBOARD_PORT: u16 = 6791;

/// Where the backend keeps its data. Fixed by the image.
pub const DATA_DIRECTORY: &str = "/convex/data";

/// Where below the data the backend looks for its credentials. Fixed by the
/// image.
pub const CREDENTIALS_DIRECTORY: &str = "credentials";

/// The user that the backend's image runs as. Nobody else may execute its start
/// script.
pub const BACKEND_USER: u32 = 0;

/// The user that the dashboard's image runs as.
pub const DASHBOARD_USER: u32 = 1001;

/// The signal that ends a backend in good order; it knows no other.
pub const STOP_SIGNAL: &str = "SIGINT";

/// How long a container may take to end after the signal, in seconds.
pub const STOP_GRACE_S: u32 = 10;

/// A path that answers once a container is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The port inside the container.
    pub port: u16,
    /// The path.
    pub path: &'static str,
}

/// The backend is ready when it tells its version.
pub const BACKEND_READY: Readiness = Readiness {
    port: BACKEND_PORT,
    path: "/version",
};

/// The dashboard is ready when it shows its first page.
pub const DASHBOARD_READY: Readiness = Readiness {
    port: DASHBOARD_PORT,
    path: "/",
};

impl Readiness {
    /// A program, which both images have, that succeeds once the path answers.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let url = format!("http://127.0.0.1:{}{}", self.port, self.path);
        ["curl", "-qfsS", "-o", "/dev/null", &url]
            .map(str::to_owned)
            .into()
    }
}

/// How often a container is asked whether it is well, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// The time between two questions.
    pub interval_s: u32,
    /// How long an answer may take.
    pub timeout_s: u32,
    /// After how many failures in a row it is not well.
    pub retries: u32,
    /// How long after its start failures do not count.
    pub start_period_s: u32,
}

/// Rare, because each question starts a program: at one a second, twenty
/// deployments keep two cores busy.
pub const HEALTH: Health = Health {
    interval_s: 30,
    timeout_s: 5,
    retries: 3,
    start_period_s: 30,
};
