//! On which Docker host a deployment was last.
//!
//! Where the provider's own host has been changed, or a variable of the
//! environment is not what it was, the deployment seems to be gone: there is
//! nothing of its name on the other host. Taken for gone it would be made anew
//! there, empty, while its data lies where it was. So the host is noted beside
//! the state.

use super::{model::VolumeModel, work::Work};
use crate::{
    convex::DeploymentName,
    plugin::{Cx, Diagnostic, Known, Plan, Private},
    resources::docker_host::DockerModel,
    runtime::{
        DeploymentId, HostRef, Observed,
        docker::{Docker, Endpoint},
    },
    session::Session,
};

/// Where the private data keeps it.
const HOST: &str = "docker_host";

/// The host that is planned; `None` while it is not known.
fn planned_host(plan: &Plan<'_>) -> Option<HostRef> {
    let model = plan.planned::<Option<DockerModel>>("docker").known()?;
    DockerModel::host(model.as_ref()).ok()
}

/// The ID that is planned, if what it is made of is known.
pub fn planned_id(plan: &Plan<'_>) -> Option<DeploymentId> {
    let name = plan.planned::<String>("name").known()?;
    Some(DeploymentId {
        name: DeploymentName::parse(&name).ok()?,
        host: planned_host(plan)?,
    })
}

/// Whether the host is another one than before.
fn moves(plan: &Plan<'_>) -> bool {
    let prior = plan.prior::<DockerModel>("docker");
    !plan.creates() && planned_host(plan) != DockerModel::host(prior.as_ref()).ok()
}

/// Whether it is another deployment that is planned in the place of this one.
pub fn is_another(plan: &Plan<'_>) -> bool {
    plan.changes("name") || moves(plan)
}

/// Plans what another host means: another deployment, which begins empty.
pub fn plan(cx: &Cx<Session>, plan: &mut Plan<'_>) {
    if let Some(host) = planned_host(plan)
        && let Err(problem) = cx.session.hosts().check(&host)
    {
        plan.report(problem.at("docker.host"));
        return;
    }
    if !moves(plan) {
        return;
    }
    let name = plan.prior::<String>("name").unwrap_or_default();
    if let Known::Unknown = plan.planned::<Option<DockerModel>>("docker") {
        // It may well turn out to be the same, and then nothing is to be lost.
        plan.report(
            Diagnostic::error(
                "Docker host not known yet",
                format!(
                    "Deployment {name:?} exists, and docker.host depends on something that is only made during apply. On another host it would be another deployment, so this cannot be planned. Apply what it depends on first, for example with -target."
                ),
            )
            .at("docker"),
        );
        return;
    }
    plan.replace("docker");
    let fate = match plan.prior::<String>("volume.on_destroy").as_deref() {
        Some(VolumeModel::DELETE) => "is deleted with it",
        _ => "stays there, but the new one does not use it",
    };
    plan.report(
        Diagnostic::warning(
            "The new deployment starts without data",
            format!(
                "A deployment on another Docker host is another deployment. The volume {name}-data with the data of deployment {name:?} {fate}. To move the data, export it with `npx convex export` before, and import it into the new deployment."
            ),
        )
        .at("docker"),
    );
}

/// Whether a deployment has been made with this private data.
pub fn was_seen(private: &Private) -> bool {
    private.get::<String>(HOST).is_some()
}

/// Notes the host on which the deployment is.
pub fn note(private: &mut Private, docker: &Docker) {
    private.set(HOST, &docker.endpoint().to_string());
}

/// Refuses to go on where nothing of a deployment is found because another
/// host is looked at.
pub fn check(private: &Private, work: &Work, observed: &Observed) -> Result<(), Diagnostic> {
    if observed.volume.is_some() || observed.backend.is_some() || observed.dashboard.is_some() {
        return Ok(());
    }
    check_absent(private, work.docker.endpoint(), &work.object)
}

/// The same, where it is known that nothing is found.
pub fn check_absent(private: &Private, now: &Endpoint, object: &str) -> Result<(), Diagnostic> {
    let was: Option<String> = private.get(HOST);
    match was.filter(|was| *was != now.to_string()) {
        None => Ok(()),
        Some(was) => Err(Diagnostic::error(
            "The deployment is on another Docker host",
            format!(
                "The {object} was last seen on the Docker host at {was}. Now the one at {now} is looked at, which has nothing of it, neither a backend nor its volume. Nothing was changed.\n\nSet docker.host of the provider, or DOCKER_HOST or the Docker context of whoever runs Terraform, back to where it was. To move the data, export it there with `npx convex export` and import it into the new deployment. To go on without it, or if that host is gone for good, forget the deployment with `terraform state rm`, and apply: a new one is made, and what is left on the other host stays there."
            ),
        )),
    }
}
