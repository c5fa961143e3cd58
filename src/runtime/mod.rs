//! Where a deployment runs.
//!
//! What there should be ([`Desired`]) and what there is ([`Observed`]) are
//! values; [`steps()`] says, without I/O, how to get from one to the other.
//! [`docker`] looks and acts.

mod deployment_id;
mod desired;
pub mod digests;
pub mod docker;
pub mod inventory;
mod observed;
mod steps;
pub mod sweep;

pub use self::{
    deployment_id::{DeploymentId, DeploymentIdError, HostRef, HostRefError},
    desired::{
        Attachment, BACKEND_PORT, CREDENTIALS_DIRECTORY, Confinement, ContainerSpec,
        DASHBOARD_PORT, DATA_DIRECTORY, Desired, Entrypoint, File, Limits, LogLimit, Names,
        NetworkSpec, Program, Publish, Renew, Role, SITE_PORT, labels,
    },
    observed::{Existing, Observed, ObservedContainer, State},
    steps::{Conflict, Difference, Kind, Step, differences, steps},
};
