//! Where a deployment runs.
//!
//! What there should be ([`Desired`]) and what there is ([`Observed`]) are
//! values; [`steps()`] says, without I/O, how to get from one to the other.
//! [`docker`] looks and acts.

mod contract;
mod deployment_id;
mod desired;
pub mod digests;
pub mod docker;
mod extra_hosts;
pub mod inventory;
mod observed;
mod own;
mod steps;
pub mod sweep;

pub use self::{
    contract::{
        BACKEND_PORT, BACKEND_READY, BACKEND_USER, CREDENTIALS_DIRECTORY, DASHBOARD_PORT,
        DASHBOARD_READY, DASHBOARD_USER, DATA_DIRECTORY, HEALTH, Health, Readiness, SITE_PORT,
        STOP_GRACE_S, STOP_SIGNAL,
    },
    deployment_id::{DeploymentId, DeploymentIdError, HostRef, HostRefError},
    desired::{
        Attachment, Confinement, ContainerSpec, Desired, Entrypoint, File, Limits, LogLimit, Names,
        NetworkSpec, Program, Publish, Renew, Role, labels,
    },
    extra_hosts::{HostAddress, HostName},
    observed::{Existing, Observed, ObservedContainer, State},
    own::Own,
    steps::{Conflict, Difference, Kind, Step, differences, steps},
};
