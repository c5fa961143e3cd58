//! The state of a file with a key, and the schema beside it.

use serde::{Deserialize, Serialize};

use crate::{
    plugin::{
        Timeouts,
        schema::{Fields, OnUpdate, Schema, boolean, string},
    },
    resources::place::ContainerModel,
    runtime::DeploymentId,
};

/// The attributes of `convex_admin_key_file`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Model {
    pub id: Option<String>,
    pub deployment: String,
    pub path: String,
    pub container: Option<ContainerModel>,
    pub read_only: Option<bool>,
    pub pending: Option<bool>,
    pub fresh: Option<bool>,
    pub timeouts: Option<Timeouts>,
}

/// A path of a file: absolute, and not the root.
pub struct AbsolutePath;

impl std::str::FromStr for AbsolutePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = text.strip_prefix('/').map(|rest| {
            rest.split('/').all(|name| {
                !matches!(name, "" | "." | "..") && !name.contains(|c: char| c.is_control())
            })
        });
        if names == Some(true) {
            Ok(Self)
        } else {
            Err(format!(
                "{text:?} is no absolute path of a file. Write one such as /home/coder/.convex/admin_key, without `..`."
            ))
        }
    }
}

/// The schema.
pub fn schema() -> Schema {
    Schema::new(
        "A file with an admin key, which only its owner may read (mode 0600). The key is in no state and no plan. For deployments with `secrets_in_state = false`, and for tools that read a key from a file.",
        Fields::new()
            .with("id", string("The path.").computed(OnUpdate::Keep))
            .with(
                "deployment",
                string("ID of the deployment that the key is for.")
                    .required()
                    .parsed::<DeploymentId>()
                    .replaces(),
            )
            .with(
                "path",
                string("Absolute path of the file: on the machine that runs Terraform or, with `container`, in there. Directories on the way are made. A file that is there already is replaced and keeps its owner; without `container` it must belong to the owner of its directory, to root or to the user that runs Terraform. A new file gets the owner of its directory.")
                    .required()
                    .parsed::<AbsolutePath>()
                    .replaces(),
            )
            .with(
                "container",
                ContainerModel::attribute("The container that the file is in. It is written to through Docker."),
            )
            .with(
                "read_only",
                boolean("Whether the key may only read. Default `false`.")
                    .optional()
                    .default(false),
            )
            .with(
                "pending",
                boolean("Whether the file waits for its container, or for a deployment that runs.")
                    .computed(OnUpdate::Keep),
            )
            .with(
                "fresh",
                boolean("Whether the file is there and holds the key. A plan that will write it shows this as changing.")
                    .computed(OnUpdate::Keep),
            )
            .with("timeouts", Timeouts::attribute()),
    )
}

#[cfg(test)]
mod tests {
    use super::AbsolutePath;

    #[test]
    fn only_absolute_paths_of_files_are_taken() {
        for good in ["/a", "/home/coder/.convex/admin_key"] {
            assert!(good.parse::<AbsolutePath>().is_ok(), "{good}");
        }
        for bad in ["", "/", "a", "./a", "/a/", "/a/../b", "/a//b", "~/a"] {
            assert!(bad.parse::<AbsolutePath>().is_err(), "{bad}");
        }
    }
}
