//! Taking over the credentials of a backend that runs already.

use std::path::Path;

use super::{lifecycle::fill, model::Model};
use crate::{
    convex::{InstanceName, InstanceSecret},
    plugin::{Cx, Diagnostic, Diagnostics, redact},
    resources::imported,
    session::Session,
};

/// A longer ID is not shown again.
const MAX_SHOWN: usize = 255;

/// The files of a backend's directory of credentials (upstream
/// `self-hosted/docker-build/read_credentials.sh`).
const NAME: &str = "instance_name";
const SECRET: &str = "instance_secret";

/// Reads the two files in the directory at this path.
pub async fn import(cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
    if is_secret(id) {
        redact::remember(id);
        return Err(refused(
            "The import ID is a secret, and Terraform prints import IDs: take it for known to whoever sees this output. Copy the backend's directory of credentials (/convex/data/credentials) to this machine, and give its path.",
        ));
    }
    let directory = Path::new(id);
    let mut texts = Vec::new();
    for file in [NAME, SECRET] {
        let shown = if id.len() <= MAX_SHOWN {
            format!("{:?}", directory.join(file).display().to_string())
        } else {
            format!("{file} in the directory that was given")
        };
        let wanted = "a directory with the files instance_name and instance_secret";
        let text = imported::read(&directory.join(file))
            .await
            .map_err(|why| refused(&why.said_of(&shown, wanted)))?;
        texts.push((shown, text));
    }
    let [(name_shown, name), (secret_shown, secret)] = &texts[..] else {
        return Err(refused("There are two files. Try again."));
    };
    // The scripts of the image write no line break, editors do.
    let name = InstanceName::parse(name.expose().trim_ascii_end())
        .map_err(|error| refused(&format!("In the file at {name_shown}: {error}")))?;
    let secret = InstanceSecret::parse(secret.expose().trim_ascii_end())
        .map_err(|error| refused(&format!("In the file at {secret_shown}: {error}")))?;
    let mut model = Model::default();
    fill(&mut model, &name, &secret)?;
    imported::mark(&mut cx.private);
    Ok(model)
}

/// Whether this is a secret or an admin key rather than a path.
fn is_secret(id: &str) -> bool {
    let last = id.rsplit(['|', ':', ',']).next().unwrap_or(id).trim();
    last.len() >= 64 && last.chars().all(|c| c.is_ascii_hexdigit())
}

fn refused(why: &str) -> Diagnostics {
    Diagnostic::error("Cannot import credentials", why).into()
}
