//! The images of a deployment.

/// The release that is run when none is given: of 2026-06-26, with every
/// endpoint that is used. Backend and dashboard must be of the same.
const RELEASE: &str = "903b8b96c4bceb34c62e366cf36e8f4774955e6b";

/// The backend's image without its tag.
pub const BACKEND_IMAGE: &str = "ghcr.io/get-convex/convex-backend";

/// The dashboard's image without its tag.
pub const DASHBOARD_IMAGE: &str = "ghcr.io/get-convex/convex-dashboard";

/// The image of the backend when none is given.
#[must_use]
pub fn default_backend_image() -> String {
    format!("{BACKEND_IMAGE}:{RELEASE}")
}

/// The image of the dashboard when none is given.
#[must_use]
pub fn default_dashboard_image() -> String {
    format!("{DASHBOARD_IMAGE}:{RELEASE}")
}

/// A reference to an image, as far as a slip can be told without a registry.
pub struct ImageName;

impl std::str::FromStr for ImageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| {
            Err(format!(
                "{text:?} is no image: {problem}. Write one such as {}.",
                default_backend_image()
            ))
        };
        if text.is_empty() {
            return wrong("it is empty");
        }
        if text.contains("://") {
            return wrong("it has a scheme");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return wrong("it has blanks");
        }
        // A registry may have capitals in its host name, a repository not.
        let name = text.split('@').next().unwrap_or(text);
        let name = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            _ => name,
        };
        let repository = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => rest,
            _ => name,
        };
        if repository.chars().any(char::is_uppercase) {
            return wrong("a repository is in lower case");
        }
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::{ImageName, default_backend_image};

    #[test]
    fn images_are_references_and_not_urls() {
        let default = default_backend_image();
        for good in [
            default.as_str(),
            "convex-standin-backend:0123abcd",
            "localhost:5000/a/b@sha256:00",
            "Registry.Example.com/a:Tag",
        ] {
            assert!(good.parse::<ImageName>().is_ok(), "{good}");
        }
        for bad in ["", "https://ghcr.io/a", "a b", "Convex-Backend"] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad}");
        }
    }
}
