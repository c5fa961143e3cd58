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

    /// By what an image can be had again: the digest a registry knows it by,
    /// or the ID of one that no registry gave.
    pub async fn image_digest(
        &self,
        patience: &Patience,
        image: &str,
    ) -> Result<Option<String>, DockerError> {
        let request = self.client.inspect_image(image);
        let image = found(self.call(patience, "look at the image", request).await)?;
        Ok(image.and_then(|image| {
            let digest = image.repo_digests.unwrap_or_default().into_iter().next();
            digest.or(image.id)
        }))
    }

    /// The digest by which the registry that an image is named after knows it;
    /// `None` where it has never been pulled from there or pushed to there.
    pub async fn registry_digest(
        &self,
        patience: &Patience,
        image: &str,
    ) -> Result<Option<String>, DockerError> {
        let request = self.client.inspect_image(image);
        let inspected = found(self.call(patience, "look at the image", request).await)?;
        let digests = inspected.and_then(|it| it.repo_digests).unwrap_or_default();
        let repository = repository(image);
        Ok(digests.iter().find_map(|known| {
            let (name, digest) = known.split_once('@')?;
            (name == repository).then(|| digest.to_owned())
        }))
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
                DockerError::Absent { reason, .. } | DockerError::Failed { reason, .. }
                    if is_refusal(&reason) =>
                {
                    DockerError::PullRefused {
                        image: image.to_owned(),
                        registry: name_of(image),
                        credentials: Box::new(auth.source),
                        reason,
                    }
                }
                DockerError::Absent { reason, .. } | DockerError::Failed { reason, .. } => {
                    DockerError::NoImage {
                        image: image.to_owned(),
                        reason,
                    }
                }
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

/// Without a tag the daemon would pull every image of the repository.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
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

    use super::{Layers, with_tag};

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
    fn an_image_without_a_tag_is_the_latest() {
        assert_eq!(with_tag("a"), "a:latest");
        assert_eq!(with_tag("host:5000/a"), "host:5000/a:latest");
        assert_eq!(with_tag("host:5000/a:1"), "host:5000/a:1");
        assert_eq!(with_tag("a@sha256:00"), "a@sha256:00");
    }
}
