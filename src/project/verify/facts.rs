//! What is known of a project and its deployment.

use std::collections::{BTreeMap, BTreeSet};

use super::{env::is_internal, probe::Nowhere};
use crate::{backend::api::CanonicalUrls, convex::Secret};

/// A file, as far as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct SeenFile {
    /// Its text.
    pub text: Secret,
    /// Its permission bits.
    pub bits: u32,
}

/// What there is in the directory of a project: files by path, those with the source of the
/// frontend among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The files.
    pub files: BTreeMap<String, SeenFile>,
    /// Whether a link leads the directory of the functions out of the project.
    pub functions_lead_out: bool,
    /// Variables of the process that come before those of the files.
    pub environment: BTreeMap<String, String>,
    /// The version of Node.js there, as it says it; `None` where it was not asked.
    pub node: Option<String>,
}

/// What was found out about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// This.
    Known(T),
    /// It went wrong, in these words.
    Failed(String),
    /// It could not be asked, for this reason.
    NotAsked(String),
}

impl<T> Answer<T> {
    pub(super) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            _ => None,
        }
    }
}

/// Who starts a deployment and sets its variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Terraform.
    Terraform,
    /// A person, with the scripts of the project.
    Hand,
}

/// Where something is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// In `.env.convex.local`.
    #[default]
    File,
    /// In the environment of the process.
    Environment,
    /// In the configuration of the data source.
    Configuration,
}

/// The instances that an address and a key name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// The instance that answers at the address.
    pub there: String,
    /// The instance that the key is for, if there is a key.
    pub of_key: Option<String>,
}

impl Instances {
    /// Whether they are the same, as far as is known.
    pub(super) fn agree(&self) -> bool {
        self.of_key.as_ref().is_none_or(|key| *key == self.there)
    }
}

/// What an issuer of tokens serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovery {
    /// The issuer that its document names.
    pub issuer: String,
    /// Where the document says that the keys are.
    pub jwks_uri: String,
    /// The moduli of the keys there.
    pub keys: BTreeSet<String>,
}

/// Why there is no [`Discovery`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no usable answer.
    #[error("{url} does not answer: {why}")]
    Silent {
        /// What was asked.
        url: String,
        /// What came instead.
        why: String,
    },
    /// A redirect leads to a page for people.
    #[error("{url} leads to a login page at {login}")]
    Login {
        /// What was asked.
        url: String,
        /// Where the page is.
        login: String,
    },
    /// There is no such page.
    #[error("{url} answers with status {status}")]
    Status {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// It is something else.
    #[error("{url} {what}")]
    Wrong {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        what: String,
    },
}

/// How the issuer of tokens was found to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// From inside the container of the backend, which is what counts.
    pub inside: Answer<Result<Discovery, Fault>>,
    /// From this machine.
    pub here: Answer<Result<Discovery, Fault>>,
}

/// What the backend makes of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// It knows the issuer, reads its keys and finds the signature right.
    Accepted,
    /// It does not.
    Refused {
        /// The backend's name for the problem.
        code: String,
        /// Its own words.
        message: String,
    },
}

/// What browsers look for at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The API.
    Api,
    /// HTTP actions.
    Site,
}

/// An address for browsers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What is looked for there.
    pub service: Service,
    /// The address.
    pub url: String,
    /// Where it leads.
    pub leads: Leads,
}

/// Where an address leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// To the deployment, as was seen from this place.
    Home(&'static str),
    /// To something else.
    Astray(String),
    /// That cannot be told, for this reason.
    Unclear(String),
}

/// What was found out about a deployment.
#[derive(Clone)]
pub struct Probes {
    /// Who keeps it, where Docker tells.
    pub keeper: Option<Keeper>,
    /// Who says what its URL and its admin key are.
    pub sources: [Source; 2],
    /// Whether its containers run; `false` when one is stopped.
    pub containers: Answer<bool>,
    /// The address of its API that was asked, and what it said of its release.
    pub api: Answer<String>,
    /// Why nothing answers there, where that was seen.
    pub nowhere: Option<Nowhere>,
    /// Which instance answers there.
    pub instance: Answer<Instances>,
    /// Whether something answers where its HTTP actions should.
    pub site: Answer<()>,
    /// Whether the admin key is accepted.
    pub key: Answer<()>,
    /// The variables of the deployment.
    pub variables: Answer<BTreeMap<String, Secret>>,
    /// What the deployment tells of its own addresses.
    pub urls: Answer<CanonicalUrls>,
    /// What its HTTP actions serve as an issuer of tokens.
    pub functions: Answer<Result<Discovery, Fault>>,
    /// How its issuer answers.
    pub issuer: Issuer,
    /// Whether it accepts a token of its own.
    pub token: Answer<Token>,
    /// Its addresses for browsers.
    pub places: Vec<Place>,
}

/// Everything that is known.
#[derive(Clone)]
pub struct Facts {
    /// The directory; `None` when only the deployment is looked at.
    pub snapshot: Option<Snapshot>,
    /// The deployment.
    pub probes: Probes,
    /// Where the frontend is, if somebody has said.
    pub frontend_url: Option<String>,
}

impl Probes {
    /// A variable of the deployment that is set and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables.known()?.get(name)?.expose();
        (!value.is_empty()).then_some(value)
    }

    /// The issuer of tokens: the site origin that the functions see.
    pub(super) fn issuer_name(&self) -> Option<&str> {
        match self.urls.known() {
            Some(urls) => Some(&urls.convex_site_url),
            // Older backends do not tell.
            None => self.variable("JWT_ISSUER"),
        }
    }

    /// Whether each address for browsers of a service leads to where nobody but they may get.
    pub(super) fn only_browsers_may_reach(&self, service: Service) -> bool {
        let mut places = self.places.iter().filter(|it| it.service == service);
        let is_unclear = |it: &Place| matches!(it.leads, Leads::Unclear(_));
        places.clone().next().is_some() && places.all(is_unclear)
    }

    /// Where browsers reach the HTTP actions. An issuer in the container is no such address.
    pub(super) fn public_site(&self) -> Option<&str> {
        self.variable("CUSTOM_AUTH_SITE_URL")
            .or_else(|| self.issuer_name().filter(|issuer| !is_internal(issuer)))
    }
}
