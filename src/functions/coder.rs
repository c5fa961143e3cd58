//! `coder_app_url` and `coder_origins`: addresses of a workspace's apps.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    convex::coder::{Place, Port, Slug, Slugs, Transition, Workspace},
    plugin::{Function, FunctionError, Parameter, Signature, value::Type},
};

/// What the address of an app is made from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenPlace {
    access_url: String,
    #[serde(default)]
    wildcard: Option<String>,
    #[serde(default)]
    wildcard_from_access_url: Option<bool>,
    workspace: String,
    owner: String,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    slug: Option<String>,
    #[serde(default)]
    port: Option<GivenPort>,
    #[serde(default)]
    slugs: Option<GivenSlugs>,
}

/// A port as a number, or as text with an `s` behind it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "This is not a port. Give a number such as 5173, or \"5173s\" for HTTPS."
)]
enum GivenPort {
    Number(u32),
    Text(String),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenSlugs {
    #[serde(default)]
    api: Option<String>,
    #[serde(default)]
    site: Option<String>,
    #[serde(default)]
    dashboard: Option<String>,
}

impl GivenPlace {
    fn workspace(&self, transition: Transition) -> Result<Workspace, FunctionError> {
        let place = Place {
            access_url: &self.access_url,
            wildcard: self.wildcard.as_deref(),
            wildcard_from_access_url: self.wildcard_from_access_url.unwrap_or_default(),
            workspace: &self.workspace,
            owner: &self.owner,
            agent: self.agent.as_deref(),
            transition,
        };
        place.workspace().map_err(|error| refused(&error))
    }
}

/// The one argument is wrong.
fn refused(error: &dyn std::fmt::Display) -> FunctionError {
    FunctionError::argument(0, error.to_string())
}

/// The address of one app, in a build that makes this of its workspace.
#[derive(Debug)]
pub struct CoderAppUrl(pub Transition);

impl Function for CoderAppUrl {
    type Arguments = (GivenPlace,);
    type Output = String;

    fn signature(&self) -> Signature {
        Signature::new(
            "Address of a Coder app",
            "The address of an app with its own subdomain in a Coder workspace: scheme and port as Coder uses them, the host name's first label checked against the 63 characters that DNS allows. The check is left out while Coder stops or deletes the workspace. Without a wildcard it is an error, except for Coder's own tunnel below `try.coder.app`, whose hosts are known.",
            Type::String,
        )
        .parameter(Parameter::new(
            "options",
            Type::Dynamic,
            "An object with `access_url`, `workspace`, `owner` and `slug`, and optionally `wildcard`, `wildcard_from_access_url` and `agent`, as for `coder_origins`. In place of `slug`, `port` means a port without an app, such as `5173`, or `\"5173s\"` where HTTPS is spoken there; its address needs `agent`.",
        ))
    }

    fn call(&self, (place,): (GivenPlace,)) -> Result<String, FunctionError> {
        if place.slugs.is_some() {
            let message = "slugs belongs to coder_origins. Give one slug here.";
            return Err(FunctionError::argument(0, message));
        }
        let url = match (&place.slug, &place.port) {
            (Some(slug), None) => {
                let slug =
                    Slug::parse(slug).map_err(|error| refused(&format_args!("slug: {error}")))?;
                place.workspace(self.0)?.app_url(&slug)
            }
            (None, Some(port)) => {
                let port = match port {
                    GivenPort::Number(number) => number.to_string(),
                    GivenPort::Text(text) => text.clone(),
                };
                let port =
                    Port::parse(&port).map_err(|error| refused(&format_args!("port: {error}")))?;
                place.workspace(self.0)?.port_url(port)
            }
            (None, None) => {
                let message = "slug is missing. Give the slug of the `coder_app`, or `port` for a port without one.";
                return Err(FunctionError::argument(0, message));
            }
            (Some(_), Some(_)) => {
                let message = "slug and port are two things. Give one of them.";
                return Err(FunctionError::argument(0, message));
            }
        };
        url.map_err(|error| refused(&error))
    }
}

/// The three origins of a deployment behind Coder apps, in a build that makes this of the
/// workspace.
#[derive(Debug)]
pub struct CoderOrigins(pub Transition);

impl Function for CoderOrigins {
    type Arguments = (GivenPlace,);
    type Output = BTreeMap<&'static str, String>;

    fn signature(&self) -> Signature {
        Signature::new(
            "Origins of a deployment behind Coder apps",
            "The origins of a deployment whose API, site and dashboard are three apps of a Coder workspace, for the attribute `origins`. On a Coder server on localhost without a wildcard these are the services' own ports.",
            Type::object([
                ("api", Type::String),
                ("site", Type::String),
                ("dashboard", Type::String),
            ]),
        )
        .parameter(Parameter::new("options", Type::Dynamic, PLACE_WITH_SLUGS))
    }

    fn call(
        &self,
        (place,): (GivenPlace,),
    ) -> Result<BTreeMap<&'static str, String>, FunctionError> {
        if place.slug.is_some() || place.port.is_some() {
            let message = "slug and port belong to coder_app_url. Give `slugs = { api = …, site = …, dashboard = … }` here, or nothing.";
            return Err(FunctionError::argument(0, message));
        }
        let slug = |of: fn(&GivenSlugs) -> &Option<String>| {
            place.slugs.as_ref().and_then(|slugs| of(slugs).as_deref())
        };
        let slugs = Slugs::given(
            slug(|it| &it.api),
            slug(|it| &it.site),
            slug(|it| &it.dashboard),
        )
        .map_err(|(part, error)| refused(&format_args!("slugs.{part}: {error}")))?;
        let origins = place
            .workspace(self.0)?
            .origins(&slugs)
            .map_err(|error| refused(&error))?;
        Ok([
            ("api", origins.api.to_string()),
            ("site", origins.site.to_string()),
            ("dashboard", origins.dashboard.to_string()),
        ]
        .into())
    }
}

const PLACE_WITH_SLUGS: &str = "An object with `access_url`, `workspace` and `owner`, and optionally `wildcard` (`CODER_WILDCARD_ACCESS_URL` of the server, such as `*.apps.example.com`; not readable from Terraform), `wildcard_from_access_url` (whether it is `*` below the host of the access URL if `wildcard` is empty; default `false`, which makes an empty one an error), `agent` (only for Coder versions that put it into host names) and `slugs` (of the apps: `api`, `site`, `dashboard`; default `convex-api`, `convex-site`, `convex`).";
