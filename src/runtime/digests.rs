//! Images with the digests that a Docker host knows: what the command `images --digests` prints.

use std::{fmt::Write, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::docker::{Docker, DockerError, HostConfig, HostError, Patience, Surroundings};

/// How long it may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why they were not found.
#[derive(Debug, thiserror::Error)]
pub enum DigestsError {
    /// It is not known where Docker is.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Docker failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The host has no such image, or has it from no registry.
    #[error(
        "The Docker host knows no digest of {image}. Only an image that was pulled from a registry, or pushed to one, has one: run `docker pull {image}` first."
    )]
    Unknown {
        /// The image.
        image: String,
    },
}

/// The images, one a line, each pinned by its digest.
pub async fn digests(images: &[String], around: &Surroundings) -> Result<String, DigestsError> {
    let docker = Docker::new(HostConfig::default().resolve(around)?, Arc::default())?;
    let patience = Patience::new(PATIENCE, CancellationToken::new());
    let mut lines = String::new();
    for image in images {
        let digest = docker.registry_digest(&patience, image).await?;
        let digest = digest.ok_or_else(|| DigestsError::Unknown {
            image: image.clone(),
        })?;
        let name = image.split('@').next().unwrap_or(image);
        let _ = writeln!(lines, "{name}@{digest}");
    }
    Ok(lines)
}
