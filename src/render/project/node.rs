//! The Node.js that a new app's packages run on.

/// What is in the `engines` of all of them, as npm writes it: `convex` 1.48 takes 20 or newer,
/// Vite 8 and its plugin `^20.19.0 || >=22.12.0`, npm-run-all2 8 `^20.5.0 || >=22.0.0`.
pub const NODE: &str = "^20.19.0 || >=22.12.0";

/// The same for people.
pub const NODE_IN_WORDS: &str = "22.12 or newer, or 20.19 or newer of 20";

/// The same as a condition in JavaScript on the numbers of a version.
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
