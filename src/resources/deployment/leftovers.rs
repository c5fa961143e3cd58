//! Containers of an interrupted apply that no state knows of, and that are not the deployment's own.
//!
//! The container whose network the deployment shares is another provider's resource, like the
//! container of a Coder workspace. If Terraform is killed before it saves the state, nobody knows
//! of the container that it has created: it would run for ever, and its volumes could not be
//! removed. A label says which deployment it was created for, so that it is found again.

use super::{model::Model, work::Work};
use crate::{
    plugin::{Cx, Diagnostic},
    resources::docker_error,
    runtime::{docker::Found, labels},
    session::Session,
};

/// Removes them. What these states of the deployment share a network with is left to its own
/// provider.
pub(super) async fn remove(
    cx: &mut Cx<Session>,
    work: &Work,
    states: &[&Model],
) -> Result<(), Diagnostic> {
    let failed = |error| docker_error(&work.object, error);
    let labelled = work
        .docker
        .network_hosts(&work.patience, work.settings.name.as_str())
        .await
        .map_err(failed)?;
    let in_use = states
        .iter()
        .filter_map(|model| model.network.as_ref()?.container.as_deref());
    for container in leftovers(labelled, &in_use.collect::<Vec<_>>()) {
        work.docker
            .remove(&work.patience, &container.own)
            .await
            .map_err(failed)?;
        cx.warn(Diagnostic::warning(
            "Leftover container removed",
            format!(
                "An earlier apply was killed before it saved the state, and left the container {} behind. Its label {} says that it belongs to {}. The container is removed, its volumes are kept.",
                container.own.name(), labels::NETWORK_FOR, work.object
            ),
        ));
    }
    Ok(())
}

/// Those of the containers that are neither in use, by name or ID, nor in the network of one that
/// is. What shares a network goes before the container that has it.
fn leftovers(labelled: Vec<Found>, in_use: &[&str]) -> Vec<Found> {
    let meant = |it: &&Found| in_use.iter().any(|given| it.is(given));
    let (used, mut left): (Vec<_>, Vec<_>) = labelled.into_iter().partition(|it| meant(&it));
    left.retain(|it| {
        let lender = it.network_of.as_deref();
        !lender
            .is_some_and(|lender| in_use.contains(&lender) || used.iter().any(|it| it.is(lender)))
    });
    left.sort_by_key(|it| it.network_of.is_none());
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Kind, Own};

    #[test]
    fn only_what_no_state_knows_of_is_left_over() {
        let id = |name: &str| format!("{name:0<64}");
        let found = |name: &str, network_of: Option<&str>| Found {
            own: Own::check(Kind::Container, name, id(name), Some("a"), "a").unwrap(),
            network_of: network_of.map(id),
        };
        let names = |in_use: &[&str]| -> Vec<String> {
            let labelled = vec![
                found("killed", None),
                found("killed-postgres", Some("killed")),
                found("new", None),
                found("new-postgres", Some("new")),
            ];
            let left = leftovers(labelled, in_use).into_iter();
            left.map(|it| it.own.name().to_owned()).collect()
        };
        assert_eq!(names(&[&id("new")]), ["killed-postgres", "killed"]);
        assert_eq!(names(&[&id("new")[..12]]), ["killed-postgres", "killed"]);
        assert_eq!(names(&["killed"]), ["new-postgres", "new"]);
        assert_eq!(names(&["killed", "new"]), <[&str; 0]>::default());
        assert_eq!(names(&[]).len(), 4);
    }
}
