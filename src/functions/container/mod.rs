//! `backend_container` and `dashboard_container`: what a container is to be,
//! for those who run it themselves.

mod given;
mod made;
mod variables;

use self::{
    given::{GivenBackend, GivenDashboard},
    made::Made,
};
use crate::plugin::{Function, FunctionError, Parameter, Signature, value::Type};

/// What both say of their result.
macro_rules! with_result {
    ($about:literal) => {
        concat!($about, " ", "The result is a plain object, the same in kind for both containers: `image`; `environment` and `secret_environment`, maps of variables, the latter with those whose values are secrets; `ports` by name; `health` with `port` and `path` for a probe over HTTP, `command` for one by a program in the container, and `interval_seconds`, `timeout_seconds`, `retries` and `start_period_seconds`; `mounts` by name, each with the `path` in the container and its `purpose`; `files`, texts by the paths at which the container must find them; `hosts`, a list of objects with `host` and `ip` for the `host` blocks of `docker_container`, where `ip` may be `host-gateway`; `stop_signal`, `stop_grace_seconds`, and `user`, the number of the user that the image runs as. Entry point and command are the image's own. Terraform marks the whole result sensitive where a part of the argument is, and knows none of it before all of the argument is known; so leave `instance_secret` out where a plan is to show the rest, and add the variable `INSTANCE_SECRET` where the container is made.")
    };
}

/// The one argument is wrong.
fn refused(problem: impl Into<String>) -> FunctionError {
    FunctionError::argument(0, problem)
}

/// What is wrong, with its attribute in front.
fn wrong(attribute: &str, error: &dyn std::fmt::Display) -> FunctionError {
    refused(format!("{attribute}: {error}"))
}

/// The function for the backend.
#[derive(Debug)]
pub struct BackendContainer;

impl Function for BackendContainer {
    type Arguments = (GivenBackend,);
    type Output = Made;

    fn signature(&self) -> Signature {
        Signature::new(
            "Container of a backend that something else runs",
            with_result!("What a backend's container is made from, for Kubernetes, Nomad, ECS, compose and others, with credentials from `convex_credentials`: the same environment, with the same checks, that `convex_deployment` gives its backend. There must never be two of it at a time on the same data: replace it by stopping the old one first."),
            Made::ty(),
        )
        .parameter(Parameter::new("container", Type::Dynamic, "An object with `instance_name`, and optionally `instance_secret`, `image`, `origins` (`api` and `site`; a `dashboard` is passed over), `internal_origins`, `database` (`url`, `ssl_mode`, `ca_pem`, `max_connections`), `storage` (`s3` as in `convex_deployment`, without write-only attributes), `extra_hosts` (addresses by host name), `env`, and `secret_env` (the same for variables whose values are secrets). What is null counts as left out, and means what it means for `convex_deployment`. `internal_origins` (default `true`) makes `http://127.0.0.1:3211` the site origin that the backend runs on, and so the issuer of tokens, which the backend always reaches; the API origin stays the public one. Functions find the public site origin in `CUSTOM_AUTH_SITE_URL`, which `convex_env` sets with `auth.custom_site_url`. `false` takes `origins.site`: the container must then reach it without a login."))
    }

    fn call(&self, (given,): (GivenBackend,)) -> Result<Made, FunctionError> {
        given.made()
    }
}

/// The function for the dashboard.
#[derive(Debug)]
pub struct DashboardContainer;

impl Function for DashboardContainer {
    type Arguments = (GivenDashboard,);
    type Output = Made;

    fn signature(&self) -> Signature {
        Signature::new(
            "Container of a dashboard that something else runs",
            with_result!("What a dashboard's container is made from, for Kubernetes, Nomad, ECS, compose and others. It needs no credentials: whoever opens it gives it an admin key. With `admin_key` it logs in by itself, and everyone who can open its page can read the key: keep the page behind a login."),
            Made::ty(),
        )
        .parameter(Parameter::new("container", Type::Dynamic, "An object with, all optional, `image`, `origins` (`api`, where browsers reach the backend; `site` and `dashboard` are passed over), `admin_key`, `env` and `secret_env`. What is null counts as left out. Give the image of the same release as the backend's."))
    }

    fn call(&self, (given,): (GivenDashboard,)) -> Result<Made, FunctionError> {
        given.made()
    }
}
