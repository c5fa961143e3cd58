//! Where files are written: on this machine, or in a container.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    plugin::{
        Cx, Diagnostic,
        schema::{Attr, Fields, Group, Optional, object, string},
    },
    project::target::{
        ContainerDirectory, ContainerError, LocalDirectory, MadeDirectory, Surrounding, Target,
        TargetError,
    },
    render::files::{Edit, Existing, FilePath},
    resources::{docker_error, docker_host::DockerModel},
    runtime::{HostRef, docker::Patience},
    session::Session,
};

/// The container that a directory is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerModel {
    /// Its ID or name; absent while it is not there.
    pub id: Option<String>,
    /// The Docker host it is on.
    pub docker: Option<DockerModel>,
    /// Whose new files are.
    pub user: Option<String>,
}

impl ContainerModel {
    /// The attribute.
    pub fn attribute(description: &'static str) -> Attr<Optional, Group> {
        object(
            Fields::new()
                .with(
                    "id",
                    string("ID or name of the container, such as `one(docker_container.workspace[*].id)`. While it is null nothing is written; see `pending`.")
                        .optional(),
                )
                .with(
                    "docker",
                    DockerModel::attribute("The Docker host that the container is on, where that is not the provider's own."),
                )
                .with(
                    "user",
                    string("Whose new files are: a name or number, with or without a group behind a colon. Default: the one that the container's programs run as.")
                        .optional(),
                ),
            description,
        )
        .optional()
    }

    /// The Docker host it is on.
    pub fn host(&self) -> Result<HostRef, Diagnostic> {
        DockerModel::host(self.docker.as_ref())
            .map_err(|problem| problem.at("container.docker.host"))
    }

    /// Whether it is known how that is reached.
    pub fn is_in_reach(&self, session: &Session) -> bool {
        self.host().is_ok_and(|host| session.hosts().knows(&host))
    }
}

/// Either kind of directory.
pub enum Place {
    /// On this machine.
    Local(LocalDirectory),
    /// In a container.
    Container(Box<ContainerDirectory>),
}

/// Whether a container does not exist, and so has no files either. Not being able to look is an
/// error.
pub async fn is_gone(
    cx: &Cx<Session>,
    container: &ContainerModel,
    patience: &Patience,
) -> Result<bool, Diagnostic> {
    let Some(id) = &container.id else {
        return Ok(true);
    };
    let docker = cx.session.hosts().docker(&container.host()?)?;
    let found = docker.foreign_container(patience, id).await;
    let found = found.map_err(|error| docker_error(&format!("container {id}"), error))?;
    Ok(found.is_none())
}

/// A directory; `None` while its container is not there.
pub async fn find(
    cx: &Cx<Session>,
    directory: &str,
    container: Option<&ContainerModel>,
    patience: Patience,
) -> Result<Option<Place>, Diagnostic> {
    let Some(container) = container else {
        return Ok(Some(Place::Local(LocalDirectory::new(directory))));
    };
    let Some(id) = &container.id else {
        return Ok(None);
    };
    let docker = cx.session.hosts().docker(&container.host()?)?;
    let user = container.user.as_deref();
    match ContainerDirectory::find(docker, id, directory, user, patience).await {
        Ok(directory) => Ok(Some(Place::Container(Box::new(directory)))),
        Err(ContainerError::Docker(error)) => Err(docker_error(
            &format!("{directory} in container {id}"),
            error,
        )),
        Err(error @ ContainerError::NoContainer(_)) => {
            Err(Diagnostic::error("No such container", error.to_string()).at("container.id"))
        }
        Err(error @ ContainerError::NoUser(_)) => {
            Err(Diagnostic::error("No such user", error.to_string()).at("container.user"))
        }
    }
}

impl Target for Place {
    async fn look(&self, paths: &[FilePath]) -> Result<BTreeMap<FilePath, Existing>, TargetError> {
        match self {
            Self::Local(target) => target.look(paths).await,
            Self::Container(target) => target.look(paths).await,
        }
    }

    async fn change(&self, edits: &[Edit]) -> Result<Vec<MadeDirectory>, TargetError> {
        match self {
            Self::Local(target) => target.change(edits).await,
            Self::Container(target) => target.change(edits).await,
        }
    }

    async fn remove(
        &self,
        files: &[FilePath],
        directories: &[MadeDirectory],
    ) -> Result<(), TargetError> {
        match self {
            Self::Local(target) => target.remove(files, directories).await,
            Self::Container(target) => target.remove(files, directories).await,
        }
    }

    async fn surroundings(&self) -> Result<Vec<Surrounding>, TargetError> {
        match self {
            Self::Local(target) => target.surroundings().await,
            Self::Container(target) => target.surroundings().await,
        }
    }
}
