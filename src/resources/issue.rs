//! Admin keys that this provider makes itself.

use crate::{
    convex::{Access, AdminKey, InstanceName, InstanceSecret},
    plugin::{Diagnostic, redact},
};

/// The key of an instance, which no message shows from now on.
pub(crate) fn issue_key(
    name: &InstanceName,
    secret: &InstanceSecret,
    access: Access,
) -> Result<AdminKey, Diagnostic> {
    let key = AdminKey::issue(name, secret, access)
        .map_err(|error| Diagnostic::error("Cannot make the admin key", error.to_string()))?;
    redact::remember(key.expose());
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{Access, InstanceName, InstanceSecret, issue_key};
    use crate::plugin::redact::Foreign;

    #[test]
    fn a_key_that_a_program_repeats_is_struck_out() {
        let name = InstanceName::parse("repeated").unwrap();
        let secret = InstanceSecret::parse(&"7".repeat(64)).unwrap();
        let key = issue_key(&name, &secret, Access::Full).unwrap();
        let said = Foreign::from(format!("curl: bad header {}", key.expose()));
        assert!(!said.to_string().contains(key.expose()), "{said}");
    }
}
