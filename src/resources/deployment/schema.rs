//! The attributes of a deployment.

use super::{
    confinement::{HardeningModel, LimitsModel, LogModel},
    database::DatabaseModel,
    images::{BackendImage, DashboardImage},
    model::{Model, NetworkModel, VolumeModel},
    release::UpgradeModel,
    restore::RestoreModel,
    storage::StorageModel,
};
use crate::{
    convex::{
        ApiOrigin, AuthKeys, DashboardOrigin, DeploymentName, InstanceName, InstanceSecret,
        SiteOrigin,
        process_env::{ExtraEnv, ExtraEnvError},
    },
    plugin::{
        Diagnostics, Timeouts,
        schema::{
            Attr, Element, Fields, Group, Leaf, OnUpdate, Planned, Schema, boolean, invalid,
            map_of, number, object, string,
        },
        value::{Path, Value},
    },
    resources::docker_host::DockerModel,
    runtime::labels,
};

fn port(description: &'static str) -> Attr<Planned, Leaf> {
    number(description).computed(OnUpdate::Keep)
}

fn result(description: &'static str) -> Attr<Planned, Leaf> {
    string(description).computed(OnUpdate::Keep)
}

fn per_container(
    description: &'static str,
    backend: &'static str,
    dashboard: &'static str,
) -> Attr<Planned, Group> {
    object(
        Fields::new()
            .with("backend", result(backend))
            .with("dashboard", result(dashboard)),
        description,
    )
    .computed(OnUpdate::Keep)
}

fn origins() -> Attr<Planned, Group> {
    object(
        Fields::new()
            .with(
                "api",
                string("Origin of the API. Without path or trailing slash. Default: `http://localhost` with the port in `network.publish.api`, else with 3210.")
                    .optional()
                    .parsed::<ApiOrigin>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "site",
                string("Origin of HTTP actions. May have a path such as `/http`, but no trailing slash. Default: `http://localhost` with the port in `network.publish.site`, else with 3211.")
                    .optional()
                    .parsed::<SiteOrigin>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "dashboard",
                string("Origin of the dashboard. Without path or trailing slash. Default: `http://localhost` with the port in `network.publish.dashboard`, else with 6791.")
                    .optional()
                    .parsed::<DashboardOrigin>()
                    .inferred(OnUpdate::Keep),
            ),
        "Public origins of the deployment: where browsers reach it. Changed in place. On internal origins only the dashboard's container is recreated; see `internal_origins`.",
    )
    .optional()
    .filled()
}

/// Checks the variables a user adds to the backend's environment.
fn check_env(value: &Value, path: &Path, found: &mut Diagnostics) {
    let Some(variables) = value.as_map() else {
        return;
    };
    let known = variables
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    if let Err(errors) = ExtraEnv::for_backend(known) {
        let all_known = value.is_wholly_known();
        for error in errors {
            // What is missing may be among what is not known yet.
            if all_known || !matches!(error, ExtraEnvError::IncompleteS3 { .. }) {
                found.push(invalid(&path.key(error.name()), &error));
            }
        }
    }
}

fn backend() -> Attr<Planned, Group> {
    object(
        Fields::new()
            .with(
                "image",
                string("Image of the backend. Pulled only when the host lacks it. Default: a release this version of the provider was made for; it stays as it is until changed here.")
                    .optional()
                    .parsed::<BackendImage>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "env",
                map_of(Element::String, "Further environment variables of the backend's process. Functions do not see these; see `convex_env` for those they do. Set `DISABLE_BEACON = \"true\"` if the network is closed: the backend otherwise reports its release to Convex at each start, and its log fills with failed attempts.")
                    .optional()
                    .check(check_env),
            )
            .with(
                "memory_mb",
                LimitsModel::memory(),
            )
            .with("cpus", LimitsModel::cpus())
            .with("pids", LimitsModel::pids())
            .with(
                "jwt_entrypoint",
                boolean("Whether the backend is started by a script that puts the key for sign-in tokens into the environment of its process, as `JWT_PRIVATE_KEY`, and into `/convex/jwt_env.sh`. Functions do not see it there, only variables set by `convex_env`. Without a key given it takes `JWT_PRIVATE_KEY_BASE64` of `env`, else one that is made once and kept in the volume. Default `false`.")
                    .optional()
                    .default(false),
            )
            .with(
                "jwt_private_key",
                string("Key for `jwt_entrypoint`, as PKCS#8 PEM. It is in the state.")
                    .optional()
                    .parsed_with(AuthKeys::parse)
                    .sensitive(),
            ),
        "The backend: the program that keeps the data and runs the functions.",
    )
    .optional()
    .filled()
}

fn dashboard() -> Attr<Planned, Group> {
    object(
        Fields::new()
            .with(
                "enabled",
                boolean("Whether there is a dashboard. Default `true`.")
                    .optional()
                    .default(true),
            )
            .with(
                "image",
                string("Image of the dashboard, of the same release as the backend's: official images of different releases are refused.")
                    .optional()
                    .parsed::<DashboardImage>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "prefill_admin_key",
                boolean("Whether the dashboard logs in by itself, with the admin key in its page. Everyone who can open the page can then read the key, which is full control over the deployment: keep the page behind a login, such as that of a Coder app with `share = \"owner\"`. The key is also in the environment of the dashboard's container. A change recreates the dashboard. Default `false`: the dashboard asks for the key in each tab.")
                    .optional(),
            )
            .with("memory_mb", LimitsModel::memory())
            .with("cpus", LimitsModel::cpus())
            .with("pids", LimitsModel::pids()),
        "The dashboard: the website to look at data, functions and logs with, after giving it the admin key.",
    )
    .optional()
    .filled()
}

/// The schema.
pub fn schema() -> Schema {
    Schema::new(
        "A self-hosted Convex deployment on Docker: a backend and a dashboard, their network, and the volume with their data.",
        Fields::new()
            .with("id", result("ID for use by other resources: `name`, or `name@host` if the deployment is not on the provider's default Docker host."))
            .with(
                "name",
                string("Name of the deployment and of all its Docker objects: lower-case letters, digits and hyphens, at most 63. It is the deployment's identity: another name is another deployment, with a volume of its own. The old volume is then kept or deleted as `volume.on_destroy` says. In Coder, derive it from the workspace's ID.")
                    .required()
                    .parsed::<DeploymentName>()
                    .replaces(),
            )
            .with(
                "docker",
                DockerModel::attribute("The Docker host of this deployment, if it is not the provider's. Another host replaces the deployment: the new one starts without data, and the old volume is kept or deleted as `volume.on_destroy` says. Other resources find the host by `id`."),
            )
            .with(
                "running",
                boolean("Whether it runs. When `false` its containers are removed; volume, keys and outputs stay. The same happens while `network.container` is null, whatever is given here. Default `true`.")
                    .optional()
                    .default(true),
            )
            .with("origins", origins())
            .with(
                "internal_origins",
                boolean("Whether the backend runs on the ports of its own container, `http://127.0.0.1:3210` and `http://127.0.0.1:3211`, and `origins` are published: the API origin as canonical URL, the site origin as `CUSTOM_AUTH_SITE_URL` by the `auth` of `convex_env`. The backend fetches the keys of its own token issuer, and Node actions call their own API, from inside the container. On internal origins this works with any published port and behind any proxy. `http://127.0.0.1:3211` is then the issuer of tokens, and functions see it as `CONVEX_SITE_URL`: code that builds public addresses, such as webhooks and OAuth callbacks, must read `CUSTOM_AUTH_SITE_URL` instead. Set `false` to run the backend on `origins` themselves, if the container reaches them without a login. Needs a backend of October 2025 or newer. A change restarts the backend; users stay signed in. Default `true`.")
                    .optional()
                    .default(true),
            )
            .with(
                "instance_name",
                string("Name of the instance, part of every admin key and, with `-` as `_`, the name of its database. Default: the name. Cannot be changed once there is data; see `allow_data_loss`.")
                    .optional()
                    .parsed::<InstanceName>()
                    .inferred(OnUpdate::Keep),
            )
            .with(
                "instance_secret",
                string("Secret of the instance: 64 hexadecimal digits, from which admin keys are made. A change revokes all admin keys and restarts the backend. Default: generated once, or taken over from a volume that has one.")
                    .optional()
                    .parsed_with(InstanceSecret::parse)
                    .inferred(OnUpdate::Keep)
                    .sensitive(),
            )
            .with(
                "secrets_in_state",
                boolean("Whether secrets may be kept in the state. When `false`, the instance secret is made in the volume and kept there alone, `admin_key` is null, and `env_local` and `agent_env` are without it: take the key from the ephemeral resource `convex_admin_key`, or have it written to a file by `convex_admin_key_file`. Can be switched in place. Default `true`.")
                    .optional()
                    .default(true),
            )
            .with(
                "rotate_trigger",
                string("Any text. When it changes, the instance gets a new secret and its backend restarts: all admin keys made before are revoked. Everything that depends on `admin_key` follows in the same apply. Set for the first time after an import, it describes the imported secret and replaces nothing.")
                    .optional(),
            )
            .with("backend", backend())
            .with("dashboard", dashboard())
            .with("database", DatabaseModel::attribute())
            .with("storage", StorageModel::attribute())
            .with("upgrade", UpgradeModel::attribute())
            .with("restore_from", RestoreModel::attribute())
            .with(
                "allow_data_loss",
                boolean("Whether a change that loses data is made: another instance name, kind of database or kind of storage, an older backend, or a replacement by `-replace` or `replace_triggered_by` where `volume.on_destroy` is `delete`. Such a change is refused otherwise. With `true` the plan warns of what exactly is left behind, and where; only a replacement deletes anything. Set it back afterwards. Default `false`.")
                    .optional()
                    .default(false),
            )
            .with(
                "on_conflict",
                string("What to do if another configuration has a deployment of this name: `fail` (default) changes nothing and names that configuration, `adopt` takes the deployment over with its data. A deployment without containers, and what an interrupted apply of this configuration left, are taken over in any case. Use `adopt` only for names that nobody else uses, such as one with the ID of a Coder workspace: if Coder loses the state, the next start then continues with the data.")
                    .optional()
                    .one_of(&[Model::FAIL, Model::ADOPT])
                    .default(Model::FAIL),
            )
            .with("network", NetworkModel::attribute())
            .with("hardening", HardeningModel::attribute())
            .with("log", LogModel::attribute())
            .with(
                "volume",
                object(
                    Fields::new().with(
                        "on_destroy",
                        string("What happens to the data when the deployment is destroyed: `retain` (default) keeps the volume for a later deployment of the same name, `delete` removes it. A database on a server and S3 buckets are never deleted.")
                            .optional()
                            .one_of(&[VolumeModel::RETAIN, VolumeModel::DELETE])
                            .default(VolumeModel::RETAIN),
                    ),
                    "The volume with the data.",
                )
                .optional()
                .filled(),
            )
            .with(
                "labels",
                map_of(Element::String, "Labels for all Docker objects of the deployment. A change makes the containers anew; volume and network keep those they were made with.")
                    .optional()
                    .keys_parsed::<LabelName>(),
            )
            .with("timeouts", Timeouts::attribute())
            .with(
                "admin_key",
                result("Key with full control over the deployment, for the dashboard and the `convex` command line. It never expires; only a new instance secret ends it. It is in the state.").sensitive(),
            )
            .with(
                "database_kind",
                result("Where the documents are: `sqlite`, `postgresql` or `mysql`."),
            )
            .with(
                "storage_kind",
                result("Where files, modules and search indexes are: `local`, on the volume, or `s3`."),
            )
            .with("database_name", result("Name of the instance's database on a database server."))
            .with(
                "database_server",
                result("Where the database server listens, as `host:port`, for whoever reviews a plan: the URL itself is not shown. Null without one, and with `database.url_wo`."),
            )
            .with(
                "urls",
                object(
                    Fields::new()
                        .with("api", result("Of the API."))
                        .with("site", result("Of the HTTP actions."))
                        .with("dashboard", result("Of the dashboard; null without one.")),
                    "Where it is reached from beside the containers: on the host where ports are published, else from other containers of its network.",
                )
                .computed(OnUpdate::Keep),
            )
            .with(
                "owner_id",
                string("Identity of this resource. It is also noted in the deployment's volume, so that a resource of another configuration with the same name does not change or delete the deployment; see `on_conflict`.")
                    .computed(OnUpdate::Keep),
            )
            .with(
                "container_ids",
                per_container("IDs of the containers, each null when stopped.", "ID of the backend container.", "ID of the dashboard container."),
            )
            .with(
                "image_digests",
                per_container("Digests of the images that run, or IDs of images that came from no registry.", "Digest of the backend image.", "Digest of the dashboard image."),
            )
            .with("version", result("What the backend says of its release."))
            .with(
                "kept_images",
                per_container("Images that running containers keep though others are configured, because `upgrade.policy` is `keep`. Null where none is kept.", "Image of the backend.", "Image of the dashboard."),
            )
            .with(
                "last_snapshot",
                result("Where the snapshot before the last change of the backend's image is: a path of the machine that ran Terraform, or a volume and a path as its containers see it, with a colon between."),
            )
            .with(
                "ports",
                object(
                    Fields::new()
                        .with("api", port("To the API."))
                        .with("site", port("To the HTTP actions."))
                        .with("dashboard", port("To the dashboard.")),
                    "Ports of the Docker host that lead to the deployment, those chosen automatically included. Null where none is published.",
                )
                .computed(OnUpdate::Keep),
            )
            .with(
                "env_local",
                result("A rendered `.env.convex.local` for a project that uses the deployment. Holds the admin key.").sensitive(),
            )
            .with(
                "agent_env",
                map_of(Element::String, "The variables of `env_local` by name, for example for `coder_env`. Holds the admin key.")
                    .computed(OnUpdate::Keep)
                    .sensitive(),
            ),
    )
}

/// A label that is not one of our own.
struct LabelName;

impl std::str::FromStr for LabelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains(',') {
            return Err(format!(
                "{text:?} is no usable label: it is empty or has a comma. Write one such as \"coder.workspace_id\"."
            ));
        }
        if text.starts_with(labels::PREFIX) {
            return Err(format!(
                "Labels that begin with {} are the provider's own. Choose another one.",
                labels::PREFIX
            ));
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::LabelName;

    #[test]
    fn our_own_labels_are_not_given_away() {
        assert!("coder.workspace_id".parse::<LabelName>().is_ok());
        assert!("io.github.coder-convex.role".parse::<LabelName>().is_err());
        assert!("a,b".parse::<LabelName>().is_err());
    }
}
