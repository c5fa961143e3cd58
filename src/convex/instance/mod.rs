//! A backend instance: its name, and the secret its admin keys come from.

mod name;
mod secret;

pub use name::{DeploymentName, InstanceName, MAX_NAME_LENGTH, NameError};
pub use secret::{InstanceSecret, InstanceSecretError, SECRET_LENGTH};
