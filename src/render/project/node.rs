//! The Node.js that a new app's packages run on.

/// [`tested::NODE`] as a condition in JavaScript on the numbers of a version.
///
/// [`tested::NODE`]: crate::convex::tested::NODE
pub(super) const NODE_IN_JAVASCRIPT: &str =
    "(major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22";

/// Whether a version, such as `v22.22.2`, is one of them. Nothing where it is no version.
#[must_use]
pub fn is_supported(version: &str) -> Option<bool> {
    let mut numbers = version.trim().trim_start_matches('v').split('.');
    let mut number = || numbers.next()?.parse::<u32>().ok();
    let (major, minor) = (number()?, number()?);
    Some((major == 20 && minor >= 19) || (major == 22 && minor >= 12) || major > 22)
}

#[cfg(test)]
mod tests {
    use super::is_supported;

    #[test]
    fn versions_are_compared_by_number() {
        for (version, supported) in [
            ("v18.20.8\n", Some(false)),
            ("v20.9.0", Some(false)),
            ("v20.19.0", Some(true)),
            ("v21.7.3", Some(false)),
            ("v22.11.0", Some(false)),
            ("v22.12.0", Some(true)),
            ("v23.0.0", Some(true)),
            ("v100.0.0-nightly", Some(true)),
            ("", None),
            ("node", None),
        ] {
            assert_eq!(is_supported(version), supported, "{version}");
        }
    }
}
