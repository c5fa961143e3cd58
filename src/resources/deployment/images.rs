//! The images of a deployment.

use std::str::FromStr;

use crate::convex::tested::RELEASE;

/// The backend's image without its tag.
pub const BACKEND_IMAGE: &str = "ghcr.io/get-convex/convex-backend";

/// The dashboard's image without its tag.
pub const DASHBOARD_IMAGE: &str = "ghcr.io/get-convex/convex-dashboard";

/// The image of the backend when none is given.
#[must_use]
pub fn default_backend_image() -> String {
    format!("{BACKEND_IMAGE}:{}", RELEASE.revision)
}

/// The image of the dashboard when none is given.
#[must_use]
pub fn default_dashboard_image() -> String {
    format!("{DASHBOARD_IMAGE}:{}", RELEASE.revision)
}

/// A reference to an image of the backend, as far as a slip can be told without a registry.
pub struct BackendImage;

impl FromStr for BackendImage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check(text, &default_backend_image(), DASHBOARD_IMAGE).map(|()| Self)
    }
}

/// As [`BackendImage`], of the dashboard.
pub struct DashboardImage;

impl FromStr for DashboardImage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check(text, &default_dashboard_image(), BACKEND_IMAGE).map(|()| Self)
    }
}

/// Refuses what is not a reference like `example`, and the image of the `other` program, under
/// whatever registry.
fn check(text: &str, example: &str, other: &str) -> Result<(), String> {
    let wrong = |problem: &str| Err(format!("{problem}. Write one such as {example}."));
    let invalid = |problem: &str| {
        wrong(&format!(
            "{text:?} is not a valid image reference: {problem}"
        ))
    };
    if text.is_empty() {
        return invalid("it is empty");
    }
    if text.contains("://") {
        return invalid("it has a scheme");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return invalid("it has blanks");
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
        return invalid("a repository is in lower case");
    }
    let last = |name: &str| name.rsplit('/').next().map(str::to_owned);
    if last(name) == last(other) {
        return wrong(&format!(
            "{text:?} is the image of the {}",
            other.rsplit('-').next().unwrap_or_default()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BackendImage, DashboardImage, default_backend_image, default_dashboard_image};

    #[test]
    fn images_are_references_and_not_urls() {
        let default = default_backend_image();
        for good in [
            default.as_str(),
            "convex-standin-backend:0123abcd",
            "localhost:5000/a/b@sha256:00",
            "Registry.Example.com/a:Tag",
        ] {
            assert!(good.parse::<BackendImage>().is_ok(), "{good}");
        }
        for bad in ["", "https://ghcr.io/a", "a b", "Convex-Backend"] {
            assert!(bad.parse::<BackendImage>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_program_has_its_own_image() {
        let (backend, dashboard) = (default_backend_image(), default_dashboard_image());
        let mirrored = "registry.example.com:5000/mirror/convex-backend@sha256:00";
        for (text, of) in [
            ("", "not a valid image reference: it is empty"),
            (backend.as_str(), "is the image of the backend"),
            (mirrored, "is the image of the backend"),
        ] {
            let error = text.parse::<DashboardImage>().err().expect(text);
            assert!(error.contains(of), "{error}");
            assert!(error.ends_with(&format!("such as {dashboard}.")), "{error}");
        }
        let error = dashboard.parse::<BackendImage>().err().expect("an error");
        assert!(error.contains("is the image of the dashboard"), "{error}");
        assert!(error.ends_with(&format!("such as {backend}.")), "{error}");
        assert!(dashboard.parse::<DashboardImage>().is_ok());
    }
}
