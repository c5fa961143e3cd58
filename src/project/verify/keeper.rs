//! Whose the deployment is, and with that what mends it.

use super::{Facts, Keeper, Snapshot, Source};
use crate::render::{
    env_local::{ADMIN_KEY, SELF_HOSTED_URL},
    project::ENV_LOCAL,
};

/// The script that starts a deployment by hand. Where Terraform runs the deployment, it is not
/// written.
pub(super) const START: &str = "start-convex-backend.sh";

/// How Terraform is made to act. In Coder nobody but the server runs it.
pub(super) const APPLY: &str = "run terraform apply (in Coder: restart the workspace)";

impl Facts {
    /// Who keeps the deployment: what Docker says, else what the directory says. Where nobody
    /// says, nothing is there to start it by hand.
    pub(super) fn keeper(&self) -> Keeper {
        let told = |snapshot: &Snapshot| {
            // The agent of a workspace has the key from its template.
            if snapshot.environment.contains_key(ADMIN_KEY) || !snapshot.files.contains_key(START) {
                Keeper::Terraform
            } else {
                Keeper::Hand
            }
        };
        self.probes
            .keeper
            .or_else(|| self.snapshot.as_ref().map(told))
            .unwrap_or(Keeper::Terraform)
    }

    /// How the env file gets what it lacks, as the end of a sentence.
    pub(super) fn rewrite(&self) -> &'static str {
        match self.keeper() {
            Keeper::Terraform => APPLY,
            Keeper::Hand => "run scripts/setup-convex.sh",
        }
    }

    /// How lines of the env file are put right.
    pub(super) fn remove_lines(&self, names: &str) -> String {
        format!(
            "Remove {names} from {ENV_LOCAL}; then {}, which adds what is missing.",
            self.rewrite()
        )
    }

    /// How URL and admin key are put right where one of them is of another deployment. Both go: a
    /// key that is written again beside a URL that stays is refused again.
    pub(super) fn replace_access(&self) -> String {
        let [url, key] = self.probes.sources;
        let both = format!("{SELF_HOSTED_URL} and {ADMIN_KEY}");
        match (url, key) {
            (Source::Configuration, _) | (_, Source::Configuration) => {
                "Give url and admin_key of one and the same deployment.".to_owned()
            }
            (Source::Environment, _) | (_, Source::Environment) => format!(
                "Unset {both} in the environment, or set both to those of one deployment. In Coder the template gives them to the agent (coder_env): correct them there."
            ),
            (Source::File, Source::File) => match self.keeper() {
                Keeper::Terraform => format!(
                    "{} If the same come back, correct url and admin_key of convex_project.",
                    self.remove_lines(&both)
                ),
                Keeper::Hand => format!(
                    "Remove {both} from {ENV_LOCAL}; then run ./{START}, which adds those of the deployment of this project."
                ),
            },
        }
    }

    /// How the variables of the deployment are put right.
    pub(super) fn set_variables(&self) -> String {
        match self.keeper() {
            Keeper::Terraform => format!("Set it with convex_env (its `auth`), and {APPLY}."),
            Keeper::Hand => "Run scripts/init-convex-env.sh.".to_owned(),
        }
    }
}
