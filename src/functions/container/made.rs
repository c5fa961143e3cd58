//! The result of both functions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    convex::{
        Secret,
        process_env::{ProcessEnv, is_secret},
    },
    plugin::value::Type,
    runtime::{HEALTH, Readiness, STOP_GRACE_S, STOP_SIGNAL},
};

/// A container as an object of Terraform's.
#[derive(Debug, Serialize)]
pub struct Made {
    image: String,
    environment: BTreeMap<String, Secret>,
    secret_environment: BTreeMap<String, Secret>,
    ports: BTreeMap<&'static str, u16>,
    health: Health,
    mounts: BTreeMap<&'static str, Mount>,
    files: BTreeMap<String, String>,
    hosts: Vec<Host>,
    stop_signal: &'static str,
    stop_grace_seconds: u32,
    user: u32,
}

/// How to ask whether it is well.
#[derive(Debug, Serialize)]
struct Health {
    port: u16,
    path: &'static str,
    command: Vec<String>,
    interval_seconds: u32,
    timeout_seconds: u32,
    retries: u32,
    start_period_seconds: u32,
}

/// A directory that must outlive the container.
#[derive(Debug, Serialize)]
pub struct Mount {
    /// Where it is in the container.
    pub path: &'static str,
    /// What it is for.
    pub purpose: &'static str,
}

/// A host that the container knows by name, as `docker_container` of kreuzwerker/docker takes it.
#[derive(Debug, Serialize)]
pub struct Host {
    /// Its name.
    pub host: String,
    /// Its address, or `host-gateway`.
    pub ip: String,
}

impl Made {
    /// A container without mounts and files.
    pub fn new(
        image: String,
        env: ProcessEnv,
        secret_names: &BTreeSet<String>,
        ports: &[(&'static str, u16)],
        ready: Readiness,
        user: u32,
    ) -> Self {
        let (secret_environment, environment) = env
            .into_map()
            .into_iter()
            .map(|(name, value)| (name, Secret::from(value)))
            .partition(|(name, _)| is_secret(name) || secret_names.contains(name));
        Self {
            image,
            environment,
            secret_environment,
            ports: ports.iter().copied().collect(),
            health: Health {
                port: ready.port,
                path: ready.path,
                command: ready.command(),
                interval_seconds: HEALTH.interval_s,
                timeout_seconds: HEALTH.timeout_s,
                retries: HEALTH.retries,
                start_period_seconds: HEALTH.start_period_s,
            },
            mounts: BTreeMap::new(),
            files: BTreeMap::new(),
            hosts: Vec::new(),
            stop_signal: STOP_SIGNAL,
            stop_grace_seconds: STOP_GRACE_S,
            user,
        }
    }

    /// With a directory that must outlive it.
    #[must_use]
    pub fn mount(mut self, name: &'static str, mount: Mount) -> Self {
        self.mounts.insert(name, mount);
        self
    }

    /// With a file that must be there.
    #[must_use]
    pub fn file(mut self, path: String, content: &str) -> Self {
        self.files.insert(path, content.to_owned());
        self
    }

    /// With further hosts that it knows by name.
    #[must_use]
    pub fn hosts(mut self, hosts: Vec<Host>) -> Self {
        self.hosts = hosts;
        self
    }

    /// Its type.
    pub fn ty() -> Type {
        let texts = || Type::map(Type::String);
        let health = Type::object([
            ("port", Type::Number),
            ("path", Type::String),
            ("command", Type::list(Type::String)),
            ("interval_seconds", Type::Number),
            ("timeout_seconds", Type::Number),
            ("retries", Type::Number),
            ("start_period_seconds", Type::Number),
        ]);
        let mount = Type::object([("path", Type::String), ("purpose", Type::String)]);
        let host = Type::object([("host", Type::String), ("ip", Type::String)]);
        Type::object([
            ("image", Type::String),
            ("environment", texts()),
            ("secret_environment", texts()),
            ("ports", Type::map(Type::Number)),
            ("health", health),
            ("mounts", Type::map(mount)),
            ("files", texts()),
            ("hosts", Type::list(host)),
            ("stop_signal", Type::String),
            ("stop_grace_seconds", Type::Number),
            ("user", Type::Number),
        ])
    }
}
