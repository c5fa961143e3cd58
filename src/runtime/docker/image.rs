//! Images: looked up, and fetched where they are missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use bollard::{models::CreateImageInfo, query_parameters::CreateImageOptionsBuilder};
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{
    Docker, DockerError, Patience, found,
    observe::read_env,
    registry::{is_refusal, name_of},
};

/// How often the log is told of a pull.
const TELL: Duration = Duration::from_secs(5);

/// What an image tells of its age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFacts {
    /// Docker's ID of it.
    pub id: String,
    /// When it was built, to the second and in UTC, as text that orders as time does: by its
    /// label, which stays when others build on it, else by the daemon.
    pub built: Option<String>,
    /// Whether that time is from the label. The daemon's own is that of the last `docker build`,
    /// however old the release is that the image was built from.
    pub labelled: bool,
    /// The revision of its source.
    pub revision: Option<String>,
}

impl Docker {
    /// The environment an image gives its containers; `None` when the image
    /// has been removed under them.
    pub(super) async fn image_env(
        &self,
        patience: &Patience,
        image: &str,
    ) -> Result<Option<BTreeMap<String, String>>, DockerError> {
        let request = self.client.inspect_image(image);
        let image = found(self.call(patience, "look at the image", request).await)?;
        Ok(image.map(|image| read_env(image.config.and_then(|it| it.env).unwrap_or_default())))
    }

    /// By what an image can be had again: the digest by which the registry that
    /// it is named after knows it, or its ID where that registry has none. It is
    /// looked up by its name, or by its ID, which a name can leave.
    pub async fn image_digest(
        &self,
        patience: &Patience,
        image: &str,
        id: Option<&str>,
    ) -> Result<Option<String>, DockerError> {
        let request = self.client.inspect_image(id.unwrap_or(image));
        let inspected = found(self.call(patience, "look at the image", request).await)?;
        Ok(inspected.and_then(|it| {
            let digest = own_digest(image, it.repo_digests.as_deref().unwrap_or_default());
            digest.or(it.id)
        }))
    }

    /// The same, without the ID in the digest's place.
    pub async fn registry_digest(
        &self,
        patience: &Patience,
        image: &str,
    ) -> Result<Option<String>, DockerError> {
        let digest = self.image_digest(patience, image, None).await?;
        Ok(digest.and_then(|it| Some(it.split_once('@')?.1.to_owned())))
    }

    /// What an image tells of its age; `None` where the host has none of that name or ID.
    pub async fn image_facts(
        &self,
        patience: &Patience,
        image: &str,
    ) -> Result<Option<ImageFacts>, DockerError> {
        let request = self.client.inspect_image(image);
        let inspected = found(self.call(patience, "look at the image", request).await)?;
        let Some(inspected) = inspected else {
            return Ok(None);
        };
        let labels = inspected.config.and_then(|it| it.labels);
        let labels = labels.unwrap_or_default();
        let label = |name: &str| labels.get(&format!("org.opencontainers.image.{name}"));
        let built = label("created").and_then(|it| built_at(it));
        Ok(inspected.id.map(|id| ImageFacts {
            id,
            labelled: built.is_some(),
            built: built.or_else(|| built_at(&inspected.created?)),
            revision: label("revision").cloned(),
        }))
    }

    /// Docker's ID of an image; `None` where the host has none of that name.
    async fn image_id(
        &self,
        patience: &Patience,
        image: &str,
    ) -> Result<Option<String>, DockerError> {
        let request = self.client.inspect_image(image);
        let inspected = found(self.call(patience, "look at the image", request).await)?;
        Ok(inspected.and_then(|it| it.id))
    }

    /// Fetches an image from its registry, if the host lacks it.
    pub async fn fetch_image(&self, patience: &Patience, image: &str) -> Result<(), DockerError> {
        match self.image_id(patience, image).await? {
            Some(_) => Ok(()),
            None => self.pull(patience, image).await,
        }
    }

    /// Fetches an image from its registry.
    pub(super) async fn pull(&self, patience: &Patience, image: &str) -> Result<(), DockerError> {
        let doing = format!("pull image {image}");
        tracing::info!(image, "pulling");
        let options = CreateImageOptionsBuilder::new()
            .from_image(&with_tag(image))
            .build();
        let auth = self
            .within(patience, &doing, self.registries.for_image(image))
            .await?;
        let mut progress = self
            .client
            .create_image(Some(options), None, auth.credentials);
        let mut layers = Layers::default();
        let mut told = Instant::now();
        let watch = async {
            while let Some(part) = progress.next().await {
                layers.note(&part?);
                if told.elapsed() >= TELL {
                    tracing::info!(image, progress = %layers, "pulling");
                    told = Instant::now();
                }
            }
            Ok(())
        };
        self.call(patience, &doing, watch)
            .await
            .map_err(|error| match error {
                DockerError::TimedOut { endpoint, doing } => DockerError::TimedOut {
                    endpoint,
                    doing: format!("{doing} (last seen: {layers})"),
                },
                DockerError::Absent { reason, .. }
                | DockerError::WrongState { reason, .. }
                | DockerError::Failed { reason, .. }
                    if is_refusal(&reason) =>
                {
                    DockerError::PullRefused {
                        image: image.to_owned(),
                        registry: name_of(image),
                        credentials: Box::new(auth.source),
                        reason,
                    }
                }
                DockerError::Absent { reason, .. }
                | DockerError::WrongState { reason, .. }
                | DockerError::Failed { reason, .. } => DockerError::NoImage {
                    image: image.to_owned(),
                    reason,
                },
                other => other,
            })
    }
}

/// How far a pull has come.
#[derive(Debug, Default)]
struct Layers {
    /// What was said last of each layer: done and total bytes.
    bytes: BTreeMap<String, (i64, i64)>,
    /// Layers that are there.
    done: BTreeSet<String>,
}

impl Layers {
    /// Takes in a line of the daemon's report (moby: `pkg/streamformatter`).
    fn note(&mut self, part: &CreateImageInfo) {
        let (Some(layer), Some(status)) = (&part.id, &part.status) else {
            return;
        };
        match status.as_str() {
            "Pull complete" | "Already exists" => {
                self.done.insert(layer.clone());
            }
            "Downloading" => {
                let detail = part.progress_detail.as_ref();
                let done = detail.and_then(|it| it.current).unwrap_or_default();
                let total = detail.and_then(|it| it.total).unwrap_or_default();
                self.bytes.insert(layer.clone(), (done, total));
            }
            "Download complete" => {
                if let Some((done, total)) = self.bytes.get_mut(layer) {
                    *done = *total;
                }
            }
            // The tag is reported in the form of a layer, too.
            _ if status.starts_with("Pulling from") => {}
            _ => {
                self.bytes.entry(layer.clone()).or_default();
            }
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: BTreeSet<_> = self.bytes.keys().chain(&self.done).collect();
        let (done, total) = self
            .bytes
            .values()
            .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        write!(
            f,
            "{} of {} layers, {} of {} MiB downloaded",
            self.done.len(),
            all.len(),
            done >> 20,
            total >> 20
        )
    }
}

/// The first year in which an image can have been built. Builds that are to be reproducible claim
/// earlier ones.
const FIRST_YEAR: &str = "2015";

/// A time such as `2026-06-26T10:20:30.5Z`, to the second; `None` for one of another zone, and for
/// one that cannot be true.
fn built_at(time: &str) -> Option<String> {
    let (time, rest) = time.split_at_checked("2026-06-26T10:20:30".len())?;
    let is_utc = rest.ends_with('Z') || rest.ends_with("+00:00");
    let is_time = time.bytes().enumerate().all(|(at, it)| match at {
        4 | 7 => it == b'-',
        10 => it == b'T',
        13 | 16 => it == b':',
        _ => it.is_ascii_digit(),
    });
    (is_utc && is_time && time >= FIRST_YEAR).then(|| time.to_owned())
}

/// Without a tag the daemon would pull every image of the repository.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// The digest of an image, with its repository, among all that the host knows it
/// by: it may have been pulled from one registry and pushed to others.
fn own_digest(image: &str, known: &[String]) -> Option<String> {
    let own = |known: &&String| known.contains('@') && same_repository(known, image);
    let asked = image.split_once('@').map(|(_, digest)| digest);
    let exact = |known: &&String| asked.is_some_and(|it| known.ends_with(it));
    let mut all = known.iter().filter(own);
    let first = all.clone().next();
    all.find(exact).or(first).cloned()
}

/// Whether two images are of one repository, whichever of its names they have.
#[must_use]
pub fn same_repository(one: &str, other: &str) -> bool {
    fn short(image: &str) -> &str {
        let name = repository(image);
        let name = ["docker.io/", "index.docker.io/"]
            .iter()
            .find_map(|host| name.strip_prefix(host))
            .unwrap_or(name);
        name.strip_prefix("library/").unwrap_or(name)
    }
    short(one) == short(other)
}

/// An image's name without its tag and digest.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    match name.rsplit_once(':') {
        // What follows the colon of a port has a slash.
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::{CreateImageInfo, ProgressDetail};

    use super::{ImageFacts, Layers, built_at, own_digest, with_tag};
    use crate::runtime::docker::daemon::{Daemon, json};

    #[tokio::test]
    async fn the_time_of_a_build_is_known_to_be_that_of_the_label_or_the_daemons() {
        for (label, built, labelled) in [
            ("2026-06-26T10:20:30Z", "2026-06-26T10:20:30", true),
            ("yesterday", "2026-11-20T08:00:00", false),
        ] {
            let reply = format!(
                r#"{{"Id":"x","Created":"2026-11-20T08:00:00Z","Config":{{"Labels":{{"org.opencontainers.image.created":{label:?}}}}}}}"#
            );
            let daemon = Daemon::new(move |_| json(200, &reply));
            let facts = daemon.docker.image_facts(&daemon.patience, "a").await;
            let expected = ImageFacts {
                id: "x".to_owned(),
                built: Some(built.to_owned()),
                labelled,
                revision: None,
            };
            assert_eq!(facts.unwrap(), Some(expected));
        }
    }

    #[test]
    fn a_pull_is_told_in_layers_and_megabytes() {
        let mut layers = Layers::default();
        let mut note = |id: &str, status: &str, bytes: Option<(i64, i64)>| {
            layers.note(&CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(status.to_owned()),
                progress_detail: bytes.map(|(current, total)| ProgressDetail {
                    current: Some(current),
                    total: Some(total),
                }),
                ..Default::default()
            });
        };
        note("latest", "Pulling from a/b", None);
        note("one", "Already exists", None);
        note("two", "Pulling fs layer", None);
        note("three", "Downloading", Some((3 << 20, 10 << 20)));
        note("three", "Download complete", None);
        note("two", "Downloading", Some((1 << 20, 5 << 20)));
        assert_eq!(layers.to_string(), "1 of 3 layers, 11 of 15 MiB downloaded");
    }

    #[test]
    fn a_digest_is_that_of_the_images_own_repository() {
        let known = [
            "mirror:5000/a@sha256:01",
            "docker.io/library/a@sha256:02",
            "host:5000/b@sha256:03",
            "host:5000/b@sha256:04",
        ]
        .map(str::to_owned);
        let own = |image| own_digest(image, &known);
        assert_eq!(own("a:1").as_deref(), Some("docker.io/library/a@sha256:02"));
        assert_eq!(
            own("mirror:5000/a").as_deref(),
            Some("mirror:5000/a@sha256:01")
        );
        assert_eq!(
            own("host:5000/b:9").as_deref(),
            Some("host:5000/b@sha256:03")
        );
        let pinned = "host:5000/b:9@sha256:04";
        assert_eq!(own(pinned).as_deref(), Some("host:5000/b@sha256:04"));
        assert_eq!(own("other/a:1"), None);
    }

    #[test]
    fn what_cannot_be_the_time_of_a_build_is_none() {
        for (text, built) in [
            (
                "2026-06-26T10:20:30.123456789Z",
                Some("2026-06-26T10:20:30"),
            ),
            ("2026-06-26T10:20:30Z", Some("2026-06-26T10:20:30")),
            ("2026-06-26T10:20:30+00:00", Some("2026-06-26T10:20:30")),
            ("2026-06-26T10:20:30+02:00", None),
            ("1970-01-01T00:00:00Z", None),
            ("1980-01-01T00:00:01Z", None),
            ("0001-01-01T00:00:00Z", None),
            ("2026-06-26", None),
            ("yesterday, about noon, UTCZ", None),
            ("", None),
        ] {
            assert_eq!(built_at(text).as_deref(), built, "{text}");
        }
    }

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        assert_eq!(with_tag("a"), "a:latest");
        assert_eq!(with_tag("host:5000/a"), "host:5000/a:latest");
        assert_eq!(with_tag("host:5000/a:1"), "host:5000/a:1");
        assert_eq!(with_tag("a@sha256:00"), "a@sha256:00");
    }
}
