//! Who has a deployment.
//!
//! Names alone do not tell: a second configuration may use the same one. Each resource has an
//! identity of its own, which lies in its state, as a label on the volume it has made, and in the
//! record in the volume, which is the last word. (Private data would not do: Terraform gives none of
//! it to the destruction of a resource whose creation has failed.) A label cannot change, so it decides which
//! of two resources has made a new deployment: Docker answers the second one with the volume of
//! the first. The record changes with whoever takes a deployment over.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{model::Model, record::Record};
use crate::{
    convex::{Secret, crypto},
    plugin::Diagnostic,
    runtime::{Conflict, Existing, Observed, docker::Credentials, labels},
};

/// A resource, and where its configuration is applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    id: String,
    place: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration in {}", self.place)
    }
}

impl Owner {
    /// A resource that nobody has seen yet, at a place.
    pub fn new(place: &str) -> Result<Self, Diagnostic> {
        let id = crypto::unique().map_err(|error| {
            Diagnostic::error(
                "Cannot make an identity for the deployment",
                error.to_string(),
            )
        })?;
        Ok(Self {
            id,
            place: place.to_owned(),
        })
    }

    /// The resource that this state is of, applied at a place.
    pub fn of(model: &Model, place: &str) -> Option<Self> {
        Some(Self {
            id: model.owner_id.clone()?,
            place: place.to_owned(),
        })
    }

    /// Its identity.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// As a label has it.
    pub fn label(&self) -> String {
        format!("{} {}", self.id, self.place)
    }

    fn of_label(label: &str) -> Option<Self> {
        let (id, place) = label.split_once(' ')?;
        Some(Self {
            id: id.to_owned(),
            place: place.to_owned(),
        })
    }

    /// Whether both are the same resource.
    pub fn is(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// What has a deployment now: by the record in its volume, else by who has made the volume.
pub fn holder(record: Option<Owner>, volume: Option<&Existing>) -> Option<Owner> {
    record.or_else(|| Owner::of_label(volume?.labels.get(labels::OWNER)?))
}

/// Refuses to make a deployment that somebody else has.
///
/// What an interrupted run of the same configuration has left is taken over without a word, and
/// so is data that lies there without containers.
pub fn claim(
    name: &str,
    own: &Owner,
    holder: Option<&Owner>,
    observed: &Observed,
    has_data: bool,
) -> Result<(), Diagnostic> {
    let runs = observed.backend.is_some() || observed.dashboard.is_some();
    let left_behind = has_data && !runs;
    let Some(holder) = holder.filter(|it| it.place != own.place && !left_behind) else {
        return Ok(());
    };
    let since = observed.volume.as_ref().and_then(|it| it.created.as_ref());
    let since = since
        .map(|it| format!(" Its volume was made at {it}."))
        .unwrap_or_default();
    let what = if has_data {
        "A deployment of this name exists, and"
    } else {
        "A deployment of this name is just being made, or its making was interrupted, and"
    };
    Err(Diagnostic::error(
        "The deployment belongs to another configuration",
        format!(
            "{what} {holder} has it.{since} Nothing was changed.\n\nFor a deployment of its own, give this one another name. To manage that one from here, import it: terraform import ADDRESS {name}. To take over whatever has the name, as templates do that name it by the ID of a workspace, set on_conflict to \"adopt\"."
        ),
    )
    .at("name"))
}

/// Refuses to go on with a deployment that has another owner by now.
pub fn check(object: &str, own: &Owner, holder: Option<&Owner>) -> Result<(), Diagnostic> {
    match holder {
        Some(holder) if !holder.is(own) => Err(taken(object, holder)),
        _ => Ok(()),
    }
}

/// What the volume of a deployment has to hold before a change writes to it.
#[derive(Debug)]
pub struct Expected {
    owner: Option<Owner>,
    /// The instance secrets that may be in it; with none, any may.
    secrets: Vec<Secret>,
}

impl Expected {
    /// Of a deployment of `owner` that has the secret in the state. It may have the planned one
    /// already, by a change that was interrupted, and any that is replaced by a new one.
    pub fn of(owner: Option<Owner>, prior: &Model, planned: &Model, rotates: bool) -> Self {
        let state = prior.instance_secret.as_ref().filter(|_| !rotates);
        let secrets = state.map(|state| {
            let all = [Some(state), planned.instance_secret.as_ref()];
            all.into_iter().flatten().cloned().collect()
        });
        Self {
            owner,
            secrets: secrets.unwrap_or_default(),
        }
    }

    /// Refuses data that is somebody else's by now.
    pub fn check(&self, object: &str, stored: &Credentials) -> Result<(), Diagnostic> {
        self.check_owner(object, stored)?;
        let holder = Record::owner(stored);
        match &stored.secret {
            Some(there) if !self.secrets.is_empty() && !self.secrets.contains(there) => {
                Err(other_secret(object, holder.as_ref()))
            }
            _ => Ok(()),
        }
    }

    /// The same, whatever the secret is.
    pub fn check_owner(&self, object: &str, stored: &Credentials) -> Result<(), Diagnostic> {
        match &self.owner {
            Some(owner) => check(object, owner, Record::owner(stored).as_ref()),
            None => Ok(()),
        }
    }
}

/// What a refresh says of a volume.
pub fn refreshed(
    object: &str,
    state: &Model,
    place: &str,
    stored: &Credentials,
) -> Option<Diagnostic> {
    let owner = Owner::of(state, place);
    let error = Expected::of(owner, state, state, false).check(object, stored);
    let error = error.err()?;
    Some(Diagnostic::warning(
        error.summary().to_owned(),
        error.detail().to_owned(),
    ))
}

fn other_secret(object: &str, holder: Option<&Owner>) -> Diagnostic {
    let whose = match holder {
        Some(holder) => format!("By the note in it, the data belongs to {holder}"),
        None => "Nothing in it says who the data belongs to".to_owned(),
    };
    Diagnostic::error(
        "The volume has another instance secret",
        format!(
            "The instance secret in the volume of {object} differs from the one in the state: a rotation was interrupted, or the volume, its files or the state were replaced by others. {whose}. Admin keys made from the state may be refused. If the data is the right one, forget the deployment with `terraform state rm` and import it, or change rotate_trigger, which gives it a new secret and revokes all admin keys. If it is not, restore the right volume or state first."
        ),
    )
    .at("instance_secret")
}

fn taken(object: &str, holder: &Owner) -> Diagnostic {
    Diagnostic::error(
        "Another configuration has taken the deployment over",
        format!(
            "By the note in its volume, {object} belongs to {holder}. Two configurations that manage one deployment undo each other's changes. Nothing more was changed. Give one of them another name. To manage the deployment from here again, forget it with `terraform state rm`, and import it."
        ),
    )
    .at("name")
}

/// What a destruction says that leaves everything to another owner.
pub fn left_alone(object: &str, holder: &Owner) -> Diagnostic {
    Diagnostic::warning(
        "The deployment is left to its new owner",
        format!(
            "By the note in its volume, {object} belongs to {holder} by now. Its containers and its data stay, and it is only forgotten here."
        ),
    )
}

/// What a destruction says of objects that have the names of the deployment's and another owner.
pub fn strangers(object: &str, strangers: &[Conflict]) -> Diagnostic {
    let list: Vec<_> = strangers.iter().map(|it| format!("- {it}")).collect();
    Diagnostic::warning(
        "Objects of others are left in place",
        format!(
            "The Docker host has objects with names of {object} that do not belong to it:\n{}\n\nThey are not changed. Remove them yourself if nobody needs them.",
            list.join("\n")
        ),
    )
}

#[cfg(test)]
mod tests;
