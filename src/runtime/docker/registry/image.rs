//! Which registry an image comes from.
//!
//! Source: distribution/reference, `normalize.go`, and docker/cli,
//! `cli/config/credentials`.

/// Docker's own registry, as it is in the names of images.
const HUB: &str = "docker.io";

/// What credentials for it are stored under.
const HUB_SERVER: &str = "https://index.docker.io/v1/";

/// The registry of an image: the first part of its name, where that looks like
/// a host.
pub(super) fn registry_of(image: &str) -> String {
    let host = image
        .split_once('/')
        .map(|(first, _)| first)
        .filter(|first| {
            first.contains(['.', ':'])
                || *first == "localhost"
                || first.chars().any(char::is_uppercase)
        });
    host_of(host.unwrap_or(HUB))
}

/// The registry that a key of the configuration means: people write hosts and
/// URLs.
pub(super) fn host_of(key: &str) -> String {
    let host = key
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let host = host.split('/').next().unwrap_or(host).to_ascii_lowercase();
    match host.as_str() {
        "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        _ => host,
    }
}

/// How helpers and the daemon are told a registry.
pub(super) fn server_of(registry: &str) -> String {
    if registry == HUB {
        HUB_SERVER.to_owned()
    } else {
        registry.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{host_of, registry_of, server_of};

    #[test]
    fn the_registry_is_what_looks_like_a_host() {
        for (image, registry) in [
            ("ubuntu", "docker.io"),
            ("ubuntu:24.04", "docker.io"),
            ("library/ubuntu", "docker.io"),
            ("docker.io/library/ubuntu", "docker.io"),
            ("index.docker.io/library/ubuntu", "docker.io"),
            ("ghcr.io/a/b:1@sha256:00", "ghcr.io"),
            ("localhost/a", "localhost"),
            ("localhost:5000/a", "localhost:5000"),
            ("GHCR.io/a", "ghcr.io"),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }

    #[test]
    fn hosts_and_urls_mean_the_same() {
        for key in [
            "docker.io",
            "https://index.docker.io/v1/",
            "https://registry-1.docker.io",
        ] {
            assert_eq!(host_of(key), "docker.io", "{key}");
        }
        assert_eq!(host_of("https://r.example:5000/v2/"), "r.example:5000");
        assert_eq!(server_of("docker.io"), "https://index.docker.io/v1/");
        assert_eq!(server_of("ghcr.io"), "ghcr.io");
    }
}
