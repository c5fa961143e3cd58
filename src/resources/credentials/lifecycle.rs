//! Making and keeping a secret.

use super::model::Model;
use crate::{
    convex::{InstanceName, InstanceSecret, Secret},
    plugin::{Diagnostic, Diagnostics, redact},
};

/// Fills in what the plan left open. A plan without a secret is one for a new
/// secret.
pub fn complete(mut model: Model) -> Result<Model, Diagnostics> {
    let name = model.instance_name.as_deref().unwrap_or_default();
    let name = InstanceName::parse(name).map_err(|error| invalid("instance_name", &error))?;
    let secret = match &model.instance_secret {
        Some(hex) => InstanceSecret::parse(hex.expose())
            .map_err(|error| invalid("instance_secret", &error))?,
        None => InstanceSecret::generate().map_err(|error| cannot_make(&error))?,
    };
    fill(&mut model, &name, &secret)?;
    Ok(model)
}

/// Takes over what follows from name and secret.
pub fn fill(
    model: &mut Model,
    name: &InstanceName,
    secret: &InstanceSecret,
) -> Result<(), Diagnostic> {
    model
        .fill(name, secret)
        .map_err(|error| cannot_make(&error))?;
    for secret in [
        &model.instance_secret,
        &model.admin_key,
        &model.read_only_admin_key,
    ] {
        redact::remember(secret.as_ref().map_or("", Secret::expose));
    }
    Ok(())
}

fn invalid(attribute: &str, error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("Invalid value for {attribute}"), error.to_string()).at(attribute)
}

fn cannot_make(error: &dyn std::fmt::Display) -> Diagnostic {
    Diagnostic::error("Cannot make the credentials", error.to_string())
}
