//! The state of a deployment's variables, and the schema beside it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    convex::{
        AdminKey, ApiOrigin, AuthKeys, DeploymentName, Secret, SiteOrigin,
        env_var::{VarName, VarValue},
    },
    plugin::{
        Diagnostics, Timeouts,
        schema::{
            Attr, Element, Fields, Group, OnUpdate, Optional, Schema, boolean, invalid, list_of,
            map_of, map_of_objects, object, string,
        },
        value::{Path, Value},
    },
};

/// The attributes of `convex_env`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    pub id: Option<String>,
    pub deployment: Option<String>,
    pub url: Option<String>,
    pub admin_key: Option<Secret>,
    pub variables: Option<BTreeMap<String, String>>,
    pub secrets: Option<BTreeMap<String, SecretModel>>,
    pub auth: Option<AuthModel>,
    pub pending: Option<bool>,
    pub drifted: Option<Vec<String>>,
    pub timeouts: Option<Timeouts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretModel {
    pub value: Option<Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthModel {
    pub site_url: Option<String>,
    pub site_origin: Option<String>,
    pub issuer: Option<String>,
    pub private_key: Option<Secret>,
    pub jwks: Option<String>,
}

/// The variables that `auth` stands for.
pub mod auth_names {
    /// The private key that signs tokens.
    pub const PRIVATE_KEY: &str = "JWT_PRIVATE_KEY";
    /// The public key that verifies them.
    pub const JWKS: &str = "JWKS";
    /// Who issues them.
    pub const ISSUER: &str = "JWT_ISSUER";
    /// Where HTTP actions answer.
    pub const SITE_ORIGIN: &str = "CONVEX_SITE_ORIGIN";
    /// Where the app itself is, for redirects after signing in.
    pub const SITE_URL: &str = "SITE_URL";

    /// All of them.
    pub const ALL: [&str; 5] = [PRIVATE_KEY, JWKS, ISSUER, SITE_ORIGIN, SITE_URL];
}

/// Each value must be one that a backend takes.
fn check_values(value: &Value, path: &Path, found: &mut Diagnostics) {
    for (name, value) in value.as_map().into_iter().flatten() {
        let path = path.key(name);
        match value {
            Value::String(text) => {
                if let Err(error) = VarValue::parse(text.as_str()) {
                    found.push(invalid(&path, error));
                }
            }
            Value::Null => found.push(invalid(
                &path,
                "A variable has a value. Leave the name out where there is none.",
            )),
            _ => {}
        }
    }
}

fn check_value(value: &Value, path: &Path, found: &mut Diagnostics) {
    if let Some(text) = value.as_str()
        && let Err(error) = VarValue::parse(text)
    {
        found.push(invalid(path, error));
    }
}

fn auth() -> Attr<Optional, Group> {
    object(
        Fields::new()
            .with(
                "site_url",
                string("Where the app itself is, for redirects after signing in: `SITE_URL`.")
                    .optional()
                    .check(check_value),
            )
            .with(
                "site_origin",
                string("Where HTTP actions answer: `CONVEX_SITE_ORIGIN`. Default: the deployment's site origin.")
                    .optional()
                    .parsed::<SiteOrigin>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "issuer",
                string("Issuer of tokens: `JWT_ISSUER`. Default: the site origin. The backend compares it byte for byte.")
                    .optional()
                    .parsed::<SiteOrigin>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "private_key",
                string("RSA key that signs tokens, as PKCS#8 PEM: `JWT_PRIVATE_KEY`. Default: generated once. It is in the state.")
                    .optional()
                    .parsed_with(AuthKeys::parse)
                    .inferred(OnUpdate::Keep)
                    .sensitive(),
            )
            .with(
                "jwks",
                string("The public key that verifies tokens: `JWKS`.").computed(OnUpdate::Keep),
            ),
        "The variables that `@convex-dev/auth` needs, set in the same batch.",
    )
    .optional()
}

/// The schema.
pub fn schema() -> Schema {
    Schema::new(
        "Environment variables of a deployment, as its functions see them. All changes are one request, and no change is none. Variables that are not declared here are left alone.",
        Fields::new()
            .with(
                "id",
                string("The deployment, or the URL.").computed(OnUpdate::Keep),
            )
            .with(
                "deployment",
                string("ID of the deployment. Its backend is spoken to through Docker, so that its ports need not be reached. Either this or `url`. Another one replaces this resource: the variables are removed there and set here.")
                    .optional()
                    .parsed::<DeploymentName>()
                    .replaces(),
            )
            .with(
                "url",
                string("URL of the API of any Convex deployment, with `admin_key`. Either this or `deployment`. Another one replaces this resource.")
                    .optional()
                    .parsed::<ApiOrigin>()
                    .replaces(),
            )
            .with(
                "admin_key",
                string("Admin or deploy key for the deployment at `url`. It is in the state.")
                    .optional()
                    .sensitive()
                    .parsed_with(AdminKey::parse),
            )
            .with(
                "variables",
                map_of(Element::String, "Variables by name.")
                    .optional()
                    .keys_parsed::<VarName>()
                    .check(check_values),
            )
            .with(
                "secrets",
                map_of_objects(
                    Fields::new().with(
                        "value",
                        string("The value. It is in the state, but not shown in plans.")
                            .required()
                            .sensitive()
                            .check(check_value),
                    ),
                    "Variables by name whose values are not shown in plans.",
                )
                .optional()
                .keys_parsed::<VarName>(),
            )
            .with("auth", auth())
            .with(
                "pending",
                boolean("Whether the variables wait for the backend to be started.")
                    .computed(OnUpdate::Keep),
            )
            .with(
                "drifted",
                list_of(Element::String, "Names of variables that were changed outside Terraform and that no other attribute shows.")
                    .computed(OnUpdate::Keep),
            )
            .with("timeouts", Timeouts::attribute()),
    )
}
