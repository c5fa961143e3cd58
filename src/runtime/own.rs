//! What a deployment may change.
//!
//! A name proves nothing: anybody can give a container, a network or a volume the name that a
//! deployment needs. The label that the provider gives its objects tells. Whatever stops, removes,
//! starts, changes, connects or writes to an object takes an [`Own`], so none of it reaches a
//! stranger's object, and acts by ID, so an object that takes the name meanwhile is safe as well.

use super::steps::{Conflict, Kind};

/// An object whose label says that it belongs to the deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    kind: Kind,
    name: String,
    id: String,
}

impl Own {
    /// The rule: `owner` is what the label of an object says, and `deployment` has to be the same.
    pub fn check(
        kind: Kind,
        name: &str,
        id: String,
        owner: Option<&str>,
        deployment: &str,
    ) -> Result<Self, Conflict> {
        if owner == Some(deployment) {
            return Ok(Self {
                kind,
                name: name.to_owned(),
                id,
            });
        }
        Err(Conflict {
            kind,
            name: name.to_owned(),
            owner: owner.map(str::to_owned),
        })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ID of the object that was inspected. A volume has none but its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

#[cfg(test)]
mod tests {
    use super::{Conflict, Kind, Own};

    #[test]
    fn only_the_label_of_the_deployment_makes_an_object_its_own() {
        for kind in [Kind::Container, Kind::Network, Kind::Volume] {
            let check = |owner| Own::check(kind, "demo-x", "0f".to_owned(), owner, "demo");
            let own = check(Some("demo")).unwrap();
            assert_eq!((own.kind(), own.name(), own.id()), (kind, "demo-x", "0f"));
            for stranger in [None, Some(""), Some("demo2"), Some("Demo"), Some("dem")] {
                let conflict = Conflict {
                    kind,
                    name: "demo-x".to_owned(),
                    owner: stranger.map(str::to_owned),
                };
                assert_eq!(check(stranger), Err(conflict), "{stranger:?}");
            }
        }
    }
}
