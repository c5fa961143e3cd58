//! The state of a deployment's variables, and the schema beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    backend,
    convex::{
        AdminKey, ApiOrigin, AuthKeys, PageUrl, Secret, SiteOrigin,
        env_var::{VarName, VarValue},
    },
    plugin::{
        Diagnostics, Timeouts,
        schema::{
            Attr, Element, Fields, OnUpdate, Optional, Schema, Secretive, boolean, invalid,
            list_of, map_of, map_of_objects, number, object, set_of, string,
        },
        value::{Path, Value},
    },
    runtime::DeploymentId,
};

/// The attributes of `convex_env`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Model {
    pub id: Option<String>,
    pub deployment: Option<String>,
    pub url: Option<String>,
    pub admin_key: Option<Secret>,
    pub admin_key_wo: Option<Secret>,
    pub ca_pem: Option<String>,
    pub variables: Option<BTreeMap<String, String>>,
    pub secrets: Option<BTreeMap<String, SecretModel>>,
    pub auth: Option<AuthModel>,
    pub exclusive: Option<bool>,
    pub unmanaged: Option<BTreeSet<String>>,
    pub on_conflict: Option<String>,
    pub on_destroy: Option<String>,
    pub secrets_in_state: Option<bool>,
    pub revision: Option<u64>,
    pub pending: Option<bool>,
    pub drifted: Option<Vec<String>>,
    pub adopted: Option<Vec<String>>,
    pub undeclared: Option<Vec<String>>,
    pub timeouts: Option<Timeouts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretModel {
    pub value: Option<Secret>,
    pub value_wo: Option<Secret>,
    pub value_wo_version: Option<i64>,
    pub set: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthModel {
    pub site_url: Option<String>,
    pub site_origin: Option<String>,
    pub issuer: Option<String>,
    pub custom_site_url: Option<String>,
    pub private_key: Option<Secret>,
    pub private_key_wo: Option<Secret>,
    pub rotate_trigger: Option<String>,
    pub jwks: Option<String>,
}

/// What happens to a declared variable that exists already, with another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing is changed, and the apply fails.
    Fail,
    /// It keeps its value until another one is declared.
    Adopt,
    /// It is set.
    Overwrite,
}

impl OnConflict {
    const FAIL: &str = "fail";
    const ADOPT: &str = "adopt";
    const OVERWRITE: &str = "overwrite";
    const ALL: [&str; 3] = [Self::FAIL, Self::ADOPT, Self::OVERWRITE];

    /// Reads the attribute.
    pub fn of(model: &Model) -> Self {
        Self::parse(model.on_conflict.as_deref())
    }

    /// Reads one of its values; anything else is the default.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            Some(Self::ADOPT) => Self::Adopt,
            Some(Self::OVERWRITE) => Self::Overwrite,
            _ => Self::Fail,
        }
    }
}

const REMOVE: &str = "remove";
const KEEP: &str = "keep";

impl Model {
    /// Whether `variables` or `secrets` have this name.
    pub fn declares_by_hand(&self, name: &str) -> bool {
        let variables = self.variables.as_ref();
        let secrets = self.secrets.as_ref();
        variables.is_some_and(|it| it.contains_key(name))
            || secrets.is_some_and(|it| it.contains_key(name))
    }

    /// That of a deployment of which nothing is managed yet.
    pub fn imported(deployment: &str) -> Self {
        Self {
            id: Some(deployment.to_owned()),
            deployment: Some(deployment.to_owned()),
            exclusive: Some(false),
            on_conflict: Some(OnConflict::FAIL.to_owned()),
            on_destroy: Some(REMOVE.to_owned()),
            secrets_in_state: Some(true),
            revision: Some(0),
            pending: Some(false),
            drifted: Some(Vec::new()),
            adopted: Some(Vec::new()),
            undeclared: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Whether destroying it leaves the variables where they are.
    pub fn keeps_variables(&self) -> bool {
        self.on_destroy.as_deref() == Some(KEEP)
    }

    /// Whether all variables are its own.
    pub fn is_exclusive(&self) -> bool {
        self.exclusive == Some(true)
    }

    /// Whether something else sets a variable of this name, or removes it.
    pub fn leaves_alone(&self, name: &str) -> bool {
        self.unmanaged.as_ref().is_some_and(|it| it.contains(name))
    }

    /// Whether secrets may be kept in the state. Not as long as nobody knows.
    pub fn keeps_secrets(&self) -> bool {
        self.secrets_in_state == Some(true)
    }
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
    /// Where browsers reach the HTTP actions, when that is not the issuer.
    pub const CUSTOM_SITE_URL: &str = "CUSTOM_AUTH_SITE_URL";

    /// Those that are always set.
    pub const ALWAYS: [&str; 4] = [PRIVATE_KEY, JWKS, ISSUER, SITE_ORIGIN];

    /// All of them.
    pub const ALL: [&str; 6] = [
        PRIVATE_KEY,
        JWKS,
        ISSUER,
        SITE_ORIGIN,
        SITE_URL,
        CUSTOM_SITE_URL,
    ];
}

/// Each value must be one that a backend takes.
fn check_values(value: &Value, path: &Path, found: &mut Diagnostics) {
    for (name, value) in value.as_map().into_iter().flatten() {
        check_value(value, &path.key(name), found);
    }
}

fn check_ca(value: &Value, path: &Path, found: &mut Diagnostics) {
    if let Some(pem) = value.as_str()
        && let Err(error) = backend::check_authorities(pem)
    {
        found.push(invalid(path, error));
    }
}

fn check_value(value: &Value, path: &Path, found: &mut Diagnostics) {
    if let Some(text) = value.as_str()
        && let Err(error) = VarValue::parse(text)
    {
        found.push(invalid(path, error));
    }
}

fn auth() -> Attr<Optional, Secretive> {
    object(
        Fields::new()
            .with(
                "site_url",
                string("Where the app itself is, for redirects after signing in: `SITE_URL`.")
                    .optional()
                    .parsed::<PageUrl>()
                    .check(check_value),
            )
            .with(
                "site_origin",
                string("Site origin that the backend runs on: `CONVEX_SITE_ORIGIN`. Default: that of the deployment, which is `http://127.0.0.1:3211` on internal origins.")
                    .optional()
                    .parsed::<SiteOrigin>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "issuer",
                string("Issuer of tokens: `JWT_ISSUER`. Default: `site_origin`. The backend compares it byte for byte, and fetches the keys of tokens from there, from inside its container.")
                    .optional()
                    .parsed::<SiteOrigin>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "custom_site_url",
                string("Public origin of the HTTP actions: `CUSTOM_AUTH_SITE_URL`, from which `@convex-dev/auth` builds the callback URLs of OAuth. Read it in functions that build public addresses. Default: `origins.site` of a deployment on internal origins, else the variable is not set. Give it for a deployment at `url` that runs on internal origins.")
                    .optional()
                    .parsed::<SiteOrigin>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "private_key",
                string("RSA key that signs tokens, as PKCS#8 PEM: `JWT_PRIVATE_KEY`. Default: generated once. It is in the state, unless `secrets_in_state` is `false`.")
                    .optional()
                    .parsed_with(AuthKeys::parse)
                    .inferred(OnUpdate::Keep)
                    .sensitive(),
            )
            .with(
                "private_key_wo",
                string("The same as `private_key`, but never in plan or state.")
                    .optional()
                    .parsed_with(AuthKeys::parse)
                    .sensitive()
                    .write_only(),
            )
            .with(
                "rotate_trigger",
                string("Any text. When it changes, the generated key is replaced, with `JWKS` in the same request. The backend keeps keys for 15 s, so it accepts tokens of the old key for that long, and may refuse a fresh sign-in for about 3 s. Users stay signed in. Set for the first time after an import, it describes the imported key and replaces nothing.")
                    .optional(),
            )
            .with(
                "jwks",
                string("The public key that verifies tokens: `JWKS`.").computed(OnUpdate::Keep),
            ),
        "The variables that `@convex-dev/auth` needs, set in the same batch.",
    )
    .optional()
}

fn secrets() -> Attr<Optional, Secretive> {
    map_of_objects(
        Fields::new()
            .with(
                "value",
                string("The value. It is in the state, but not shown in plans. Either this or `value_wo`.")
                    .optional()
                    .sensitive()
                    .check(check_value),
            )
            .with(
                "value_wo",
                string("The value, never in plan or state. Each plan compares it with the backend's own.")
                    .optional()
                    .sensitive()
                    .check(check_value)
                    .write_only(),
            )
            .with(
                "value_wo_version",
                number("Pins `value_wo`: it is only set again when this number changes. For values that are different in each run.")
                    .optional()
                    .within(i64::MIN..=i64::MAX),
            )
            .with(
                "set",
                boolean("Whether the backend has a value for it. A plan that will change the value shows this as `(known after apply)`.")
                    .computed(OnUpdate::Keep),
            ),
        "Variables by name whose values are not shown in plans.",
    )
    .optional()
    .keys_parsed::<VarName>()
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
                    .parsed::<DeploymentId>()
                    .replaces(),
            )
            .with(
                "url",
                string("URL of the API of any Convex deployment, with `admin_key` or `admin_key_wo`: self-hosted elsewhere, or on Convex Cloud. Either this or `deployment`. Another one replaces this resource.")
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
                "admin_key_wo",
                string("The same as `admin_key`, but never in plan or state. Changes made outside Terraform are then found while planning, and destroying leaves the variables, since no key is kept to remove them with.")
                    .optional()
                    .sensitive()
                    .parsed_with(AdminKey::parse)
                    .write_only(),
            )
            .with(
                "ca_pem",
                string("Certificates of the authority that signed the certificate of `url`, in PEM form. Default: those this system trusts.")
                    .optional()
                    .check(check_ca),
            )
            .with(
                "variables",
                map_of(Element::String, "Variables by name.")
                    .optional()
                    .keys_parsed::<VarName>()
                    .check(check_values),
            )
            .with("secrets", secrets())
            .with("auth", auth())
            .with(
                "exclusive",
                boolean("Whether all variables that are neither declared here nor `unmanaged` are removed. The plan names them. Default `false`.")
                    .optional()
                    .default(false),
            )
            .with(
                "unmanaged",
                set_of(Element::String, "Names of variables that something else sets, such as `install.from_environment` of `convex_project`. They are not removed, neither with `exclusive` nor when they were declared here before.")
                    .optional()
                    .parsed::<VarName>(),
            )
            .with(
                "on_conflict",
                string("What to do about a declared variable that exists already with another value: `fail` (default) changes nothing, `adopt` leaves its value until another one is declared, `overwrite` sets it.")
                    .optional()
                    .one_of(&OnConflict::ALL)
                    .default(OnConflict::FAIL),
            )
            .with(
                "on_destroy",
                string("What happens to the variables when this resource is destroyed: `remove` (default) or `keep`.")
                    .optional()
                    .one_of(&[REMOVE, KEEP])
                    .default(REMOVE),
            )
            .with(
                "secrets_in_state",
                boolean("Whether secrets may be kept in the state. When `false`, a generated key for `auth` is made during apply, sent once and not kept, and secrets are only taken by write-only attributes. Default: as the deployment has it, else `true`.")
                    .optional()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "revision",
                number("Grows whenever variables are set or unset. For what has to follow, such as a script that deploys functions.")
                    .computed(OnUpdate::Keep),
            )
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
            .with(
                "adopted",
                list_of(Element::String, "Names of variables that keep the value they had, because `on_conflict` is `adopt`.")
                    .computed(OnUpdate::Keep),
            )
            .with(
                "undeclared",
                list_of(Element::String, "With `exclusive`: names of variables that the backend has and that are neither declared here nor `unmanaged`. A plan removes them.")
                    .computed(OnUpdate::Keep),
            )
            .with("timeouts", Timeouts::attribute()),
    )
}
