//! Images: looked up, and fetched where they are missing.

use std::collections::BTreeMap;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::{
    Docker, DockerError, Patience, found,
    observe::read_env,
    registry::{is_refusal, name_of},
};

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
        let watch = async {
            let mut last = String::new();
            while let Some(part) = progress.next().await {
                let part = part?;
                let status = part.status.unwrap_or_default();
                if status != last {
                    tracing::info!(image, status, "pulling");
                    last = status;
                }
            }
            Ok(())
        };
        self.call(patience, &doing, watch)
            .await
            .map_err(|error| match error {
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

/// Without a tag the daemon would pull every image of the repository.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

#[cfg(test)]
mod tests {
    use super::with_tag;

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        assert_eq!(with_tag("a"), "a:latest");
        assert_eq!(with_tag("host:5000/a"), "host:5000/a:latest");
        assert_eq!(with_tag("host:5000/a:1"), "host:5000/a:1");
        assert_eq!(with_tag("a@sha256:00"), "a@sha256:00");
    }
}
