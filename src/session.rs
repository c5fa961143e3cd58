//! What the operations of one run share.

mod hosts;
mod place;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use self::{
    hosts::{DockerConfig, Hosts, exposed},
    place::place,
};
use crate::{
    convex::{InstanceName, InstanceSecret, Reach, Secret},
    plugin::Known,
    runtime::{DeploymentId, Own},
};

/// A configured provider.
#[derive(Debug)]
pub struct Session {
    hosts: Hosts,
    place: String,
    deployments: Mutex<HashMap<String, Deployment>>,
    backends: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    listings: Mutex<HashMap<String, Option<Listing>>>,
    claims: Mutex<HashMap<String, Vec<Claim>>>,
}

/// All variables of a backend, by name.
pub type Listing = Arc<BTreeMap<String, Secret>>;

/// Names of variables of one backend that one resource declares.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Which resource; `None` for one that is not made yet.
    pub owner: Option<String>,
    /// The names.
    pub names: BTreeSet<String>,
    /// Whether it claims all others too.
    pub exclusive: bool,
}

impl Claim {
    /// What both claims are about: names, or nothing but that one of them
    /// wants everything.
    fn overlap(&self, other: &Self) -> Option<BTreeSet<String>> {
        let both: BTreeSet<_> = self.names.intersection(&other.names).cloned().collect();
        let overlap = !both.is_empty() || self.exclusive || other.exclusive;
        (overlap && !other.is_of(self.owner.as_deref())).then_some(both)
    }

    fn is_of(&self, owner: Option<&str>) -> bool {
        self.owner.is_some() && self.owner.as_deref() == owner
    }
}

/// What this run knows of a deployment, from the resource that manages it.
///
/// Terraform shows a resource its own values only. What depends on a
/// deployment, such as the issuer of tokens on its origin, is planned from
/// this: Terraform handles a deployment before what depends on it.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    /// What it will be, once this run has planned it.
    pub planned: Option<Planned>,
    /// What was last seen of it.
    pub live: Option<Live>,
    /// Whether this run has carried out what it planned.
    pub applied: bool,
    /// Where a state has it: what becomes of its data should it be destroyed.
    pub standing: Option<Standing>,
    /// How many resources have planned it as theirs.
    pub claims: u32,
}

impl Deployment {
    /// Whether this run gives it other keys than it had, if it had any.
    #[must_use]
    pub fn gets_keys(&self) -> bool {
        let planned = self.planned.as_ref();
        planned.is_some_and(|it| it.creates || it.renews_keys)
    }

    /// Whether what depends on its data may find none of it, by what this run does.
    #[must_use]
    pub fn finds_other_data(&self) -> bool {
        self.planned.as_ref().is_some_and(Planned::other_data)
    }

    /// Whether it will get other keys than those it has.
    #[must_use]
    pub fn awaits_keys(&self) -> bool {
        self.gets_keys() && !self.applied
    }
}

/// A deployment that a state has.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// Whether its data goes with it.
    pub deletes_data: bool,
    /// What of its data lies elsewhere and stays, in words.
    pub left_behind: String,
}

/// What a deployment will be.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Whether it is made, and so has none of what it may have had before.
    pub creates: bool,
    /// Whether its instance gets another secret or another name, which ends the keys before.
    pub renews_keys: bool,
    /// Whether its backend may find other documents than before, and so other variables.
    pub other_documents: bool,
    /// Where its API will be reached.
    pub addresses: Vec<String>,
    /// How it will be reached.
    pub reach: Known<Reach>,
    /// Whether it will run.
    pub running: Known<bool>,
    /// Whether its secrets may be kept in the state.
    pub keeps_secrets: Known<bool>,
}

impl Planned {
    /// Whether what depends on its data may find none of it.
    #[must_use]
    pub fn other_data(&self) -> bool {
        self.creates || self.other_documents
    }
}

/// What was last seen of a deployment.
#[derive(Clone, Debug)]
pub struct Live {
    /// The name of its instance.
    pub instance_name: InstanceName,
    /// The secret that keys to its backend are made from. Where it is not kept
    /// in the state, it is only known while the backend runs.
    pub secret: Option<InstanceSecret>,
    /// How it is reached.
    pub reach: Reach,
    /// Whether its secrets may be kept in the state.
    pub keeps_secrets: bool,
    /// Whether its backend runs.
    pub running: bool,
    /// The container of its backend, where it was looked for.
    pub backend: Option<Own>,
}

impl Session {
    pub(crate) fn new(hosts: Hosts, place: String) -> Self {
        Self {
            hosts,
            place,
            deployments: Mutex::default(),
            backends: Mutex::default(),
            listings: Mutex::default(),
            claims: Mutex::default(),
        }
    }

    /// Where the configuration is applied; see [`place`].
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The Docker hosts.
    #[must_use]
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Whether it is known how the host of a deployment is reached, by the
    /// deployment's ID.
    #[must_use]
    pub fn reaches(&self, deployment: &str) -> bool {
        // What is no ID is refused by whoever looks for the deployment.
        DeploymentId::parse(deployment).map_or(true, |id| self.hosts.knows(&id.host))
    }

    fn deployments(&self) -> MutexGuard<'_, HashMap<String, Deployment>> {
        lock(&self.deployments)
    }

    /// What is known of a deployment, by its ID.
    #[must_use]
    pub fn deployment(&self, name: &str) -> Deployment {
        self.deployments().get(name).cloned().unwrap_or_default()
    }

    /// Whether this run gives other data to a deployment whose API is at `url`.
    pub fn gives_other_data(&self, url: &str) -> bool {
        let is_there = |it: &Planned| it.addresses.iter().any(|address| address == url);
        let deployments = self.deployments();
        let mut planned = deployments.values().filter_map(|it| it.planned.as_ref());
        planned.any(|it| it.other_data() && is_there(it))
    }

    /// Notes something of a deployment.
    pub fn note(&self, name: &str, change: impl FnOnce(&mut Deployment)) {
        change(self.deployments().entry(name.to_owned()).or_default());
    }

    /// Keeps changes to one backend apart: it answers parallel ones with
    /// conflicts.
    pub async fn exclusively(&self, backend: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut backends = lock(&self.backends);
            Arc::clone(backends.entry(backend.to_owned()).or_default())
        };
        lock.lock_owned().await
    }

    /// Notes that a backend's variables were read, and what they were if it
    /// could tell.
    pub fn note_read(&self, backend: &str, listing: Option<Listing>) {
        lock(&self.listings).insert(backend.to_owned(), listing);
    }

    /// The variables of a backend as this run has read them. `None` when it
    /// has not: Terraform plans again during apply, and then reads nothing
    /// before.
    pub fn listing(&self, backend: &str) -> Option<Option<Listing>> {
        lock(&self.listings).get(backend).cloned()
    }

    /// Claims names of a backend's variables for one resource. Returns the
    /// names that another one has claimed, if there is such another.
    pub fn claim(&self, backend: &str, claim: Claim) -> Option<BTreeSet<String>> {
        let mut all = lock(&self.claims);
        let claims = all.entry(backend.to_owned()).or_default();
        claims.retain(|other| !other.is_of(claim.owner.as_deref()));
        let overlap = claims.iter().find_map(|other| claim.overlap(other));
        claims.push(claim);
        overlap
    }

    /// The names that others than `owner` have claimed.
    #[must_use]
    pub fn claimed_by_others(&self, backend: &str, owner: Option<&str>) -> BTreeSet<String> {
        let all = lock(&self.claims);
        let claims = all.get(backend).into_iter().flatten();
        claims
            .filter(|claim| !claim.is_of(owner))
            .flat_map(|claim| claim.names.iter().cloned())
            .collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Claim, DockerConfig, Hosts, Session};
    use crate::runtime::docker::{Registries, Surroundings};

    fn session() -> Session {
        Session::new(
            Hosts::new(
                DockerConfig::default(),
                Surroundings::default(),
                Registries::default(),
            ),
            String::new(),
        )
    }

    fn claim(owner: Option<&str>, names: &[&str], exclusive: bool) -> Claim {
        Claim {
            owner: owner.map(str::to_owned),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            exclusive,
        }
    }

    #[test]
    fn two_resources_may_share_a_backend_but_no_name() {
        let session = session();
        let try_claim = |claim| session.claim("app", claim).map(|names| names.len());
        assert_eq!(try_claim(claim(Some("one"), &["A", "B"], false)), None);
        assert_eq!(try_claim(claim(None, &["C"], false)), None);
        assert_eq!(try_claim(claim(None, &["B", "D"], false)), Some(1));
        assert_eq!(try_claim(claim(Some("three"), &["E"], true)), Some(0));
    }

    #[test]
    fn a_resource_never_stands_in_its_own_way() {
        let session = session();
        let try_claim = |claim| session.claim("app", claim).map(|names| names.len());
        assert_eq!(try_claim(claim(Some("one"), &["A"], false)), None);
        assert_eq!(try_claim(claim(Some("one"), &["A", "B"], false)), None);
        // Another one that declares just the same.
        assert_eq!(try_claim(claim(None, &["A", "B"], false)), Some(2));
    }

    #[test]
    fn a_name_that_others_want_is_known() {
        let session = session();
        session.claim("app", claim(Some("one"), &["A"], false));
        session.claim("app", claim(None, &["B"], false));
        session.claim("other", claim(None, &["C"], false));
        let others = |owner| session.claimed_by_others("app", owner);
        assert_eq!(others(Some("one")), BTreeSet::from(["B".to_owned()]));
        assert_eq!(others(None).len(), 2);
    }
}
