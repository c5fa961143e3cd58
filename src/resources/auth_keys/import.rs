//! Taking over a key pair from a file.

use std::path::Path;

use super::{lifecycle::fill, model::Model};
use crate::{
    convex::AuthKeys,
    plugin::{Cx, Diagnostic, Diagnostics, redact},
    resources::imported,
    session::Session,
};

/// A longer ID is not shown again: it may be a key after all.
const MAX_SHOWN: usize = 255;

/// Reads the private key in the file at this path.
pub async fn import(cx: &mut Cx<Session>, id: &str) -> Result<Model, Diagnostics> {
    if is_key(id) {
        redact::remember(id);
        return Err(refused(
            "The import ID is a key, and Terraform prints import IDs: take the key for known to whoever sees this output. Put a key into a file, and give the path of the file.",
        ));
    }
    let shown = if id.len() <= MAX_SHOWN {
        format!("{id:?}")
    } else {
        "the path that was given".to_owned()
    };
    let text = imported::read(Path::new(id))
        .await
        .map_err(|why| refused(&why.said_of(&shown, "a PEM file")))?;
    let keys = AuthKeys::parse(text.expose())
        .map_err(|error| refused(&format!("In the file at {shown}: {error}")))?;
    let mut model = Model {
        private_key: Some(text),
        ..Model::default()
    };
    fill(&mut model, &keys)?;
    imported::mark(&mut cx.private);
    Ok(model)
}

/// Whether this is a key rather than a path: PEM, the same in base64, or the
/// middle of it alone.
fn is_key(id: &str) -> bool {
    let begins = |text| id.trim_start().starts_with(text);
    id.contains("-----BEGIN") || begins("LS0tLS1CRUdJTi") || (id.len() > MAX_SHOWN && begins("MII"))
}

fn refused(why: &str) -> Diagnostics {
    Diagnostic::error("Cannot import a key pair", why).into()
}
