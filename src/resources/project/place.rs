//! Where a project's files are.

use std::collections::BTreeMap;

use super::model::Model;
use crate::{
    plugin::{Cx, Diagnostic},
    project::target::{
        ContainerDirectory, ContainerError, LocalDirectory, Surrounding, Target, TargetError,
    },
    render::files::{Edit, Existing, FilePath},
    resources::docker_error,
    runtime::docker::Patience,
    session::Session,
};

/// Either kind of directory.
pub enum Place {
    /// On this machine.
    Local(LocalDirectory),
    /// In a container.
    Container(Box<ContainerDirectory>),
}

/// The directory of a project; `None` while its container is not there.
pub async fn find(
    cx: &Cx<Session>,
    model: &Model,
    patience: Patience,
) -> Result<Option<Place>, Diagnostic> {
    let Some(container) = &model.container else {
        return Ok(Some(Place::Local(LocalDirectory::new(&model.directory))));
    };
    let Some(id) = &container.id else {
        return Ok(None);
    };
    let docker = cx.session.docker()?;
    let user = container.user.as_deref();
    match ContainerDirectory::find(docker, id, &model.directory, user, patience).await {
        Ok(directory) => Ok(Some(Place::Container(Box::new(directory)))),
        Err(ContainerError::Docker(error)) => Err(docker_error(
            &format!("the project in container {id}"),
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

    async fn change(&self, edits: &[Edit]) -> Result<(), TargetError> {
        match self {
            Self::Local(target) => target.change(edits).await,
            Self::Container(target) => target.change(edits).await,
        }
    }

    async fn remove(&self, path: &FilePath) -> Result<(), TargetError> {
        match self {
            Self::Local(target) => target.remove(path).await,
            Self::Container(target) => target.remove(path).await,
        }
    }

    async fn surroundings(&self) -> Result<Vec<Surrounding>, TargetError> {
        match self {
            Self::Local(target) => target.surroundings().await,
            Self::Container(target) => target.surroundings().await,
        }
    }
}
