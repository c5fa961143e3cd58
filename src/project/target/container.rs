//! A directory in a container, by Docker's API.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use super::{MAX_FILE, Surrounding, Target, TargetError};
use crate::{
    render::{
        files::{Edit, Existing, FilePath},
        package_json::LOCK_FILES,
    },
    runtime::docker::{Docker, DockerError, InContainer, Owner, Patience, Put},
};

/// A directory in a container. It is made when it is first written to.
pub struct ContainerDirectory {
    docker: Arc<Docker>,
    container: String,
    root: String,
    owner: Owner,
    patience: Patience,
    /// What was seen, which Docker can only replace as a whole.
    seen: Mutex<BTreeMap<FilePath, (Vec<u8>, Owner)>>,
}

/// How many directories above are looked at for a monorepo.
const MAX_ABOVE: usize = 4;

/// Why a directory in a container cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// Docker failed.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// There is no such container.
    #[error("There is no container {0:?}. Name one that exists; it need not run.")]
    NoContainer(String),
    /// The container knows no such user.
    #[error(
        "The container has no user {0:?} in its /etc/passwd. Write a number, such as 1000:1000."
    )]
    NoUser(String),
}

impl ContainerDirectory {
    /// The directory at an absolute path, whose files belong to `user`: a name or a number, with or
    /// without a group; by default the one that the container's programs run as.
    pub async fn find(
        docker: Arc<Docker>,
        container: &str,
        root: &str,
        user: Option<&str>,
        patience: Patience,
    ) -> Result<Self, ContainerError> {
        let own = docker
            .user_of(&patience, container)
            .await?
            .ok_or_else(|| ContainerError::NoContainer(container.to_owned()))?;
        let user = user.unwrap_or(&own);
        let owner = docker
            .owner(&patience, container, user)
            .await?
            .ok_or_else(|| ContainerError::NoUser(user.to_owned()))?;
        Ok(Self {
            docker,
            container: container.to_owned(),
            root: root.trim_end_matches('/').to_owned(),
            owner,
            patience,
            seen: Mutex::default(),
        })
    }

    fn absolute(&self, path: &FilePath) -> String {
        format!("{}/{path}", self.root)
    }

    async fn at(&self, path: &str) -> Result<Option<InContainer>, TargetError> {
        self.docker
            .look_at(&self.patience, &self.container, path, MAX_FILE)
            .await
            .map_err(|error| failed(path, &error))
    }

    /// The directories on the way to these files that are missing. None on the way may be a link:
    /// inside a container there is no telling where it leads.
    async fn missing_directories(&self, paths: &[&FilePath]) -> Result<Vec<String>, TargetError> {
        let mut directories = BTreeSet::new();
        for path in paths {
            let names: Vec<&str> = path.names().collect();
            for length in 1..names.len() {
                directories.insert(format!("{}/{}", self.root, names[..length].join("/")));
            }
        }
        let mut missing = Vec::new();
        for directory in directories {
            match self.at(&directory).await? {
                None => missing.push(directory),
                Some(InContainer::Directory) => {}
                Some(InContainer::Link) => {
                    return Err(TargetError::LeadsOut { path: directory });
                }
                Some(_) => return Err(TargetError::NotDirectory { path: directory }),
            }
        }
        Ok(missing)
    }

    /// The project's directory and those it is in, as far as they are missing. Links are followed
    /// there: whoever named the directory has named them too.
    async fn missing_root(&self) -> Result<Vec<String>, TargetError> {
        let mut missing = Vec::new();
        let mut directory = self.root.as_str();
        while !directory.is_empty() {
            match self.at(directory).await? {
                None => missing.push(directory.to_owned()),
                Some(InContainer::Directory | InContainer::Link) => break,
                Some(_) => {
                    return Err(TargetError::NotDirectory {
                        path: directory.to_owned(),
                    });
                }
            }
            directory = directory.rsplit_once('/').map_or("", |(above, _)| above);
        }
        missing.reverse();
        Ok(missing)
    }

    fn seen(&self, path: &FilePath) -> Option<(Vec<u8>, Owner)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(path).cloned()
    }

    fn remember(&self, path: &FilePath, content: &[u8], owner: Owner) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(path.clone(), (content.to_vec(), owner));
    }
}

fn failed(path: &str, error: &DockerError) -> TargetError {
    TargetError::Failed {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

impl Target for ContainerDirectory {
    async fn look(&self, paths: &[FilePath]) -> Result<BTreeMap<FilePath, Existing>, TargetError> {
        let all: Vec<&FilePath> = paths.iter().collect();
        let missing = self.missing_directories(&all).await?;
        let mut found = BTreeMap::new();
        for path in paths {
            let absolute = self.absolute(path);
            let below_missing = missing
                .iter()
                .any(|it| absolute.starts_with(&format!("{it}/")));
            let existing = if below_missing {
                None
            } else {
                self.at(&absolute).await?
            };
            let not_file = |what| TargetError::NotFile {
                path: path.to_string(),
                what,
            };
            let existing = match existing {
                None => Existing::Absent,
                Some(InContainer::File {
                    content,
                    bits,
                    owner,
                }) => {
                    self.remember(path, &content, owner);
                    Existing::File { content, bits }
                }
                Some(InContainer::Link) => {
                    return Err(TargetError::LeadsOut {
                        path: path.to_string(),
                    });
                }
                Some(InContainer::Directory) => return Err(not_file("a directory")),
                Some(InContainer::Special) => return Err(not_file("something special")),
                Some(InContainer::TooLarge) => {
                    return Err(TargetError::TooLarge {
                        path: path.to_string(),
                    });
                }
            };
            found.insert(path.clone(), existing);
        }
        Ok(found)
    }

    async fn change(&self, edits: &[Edit]) -> Result<(), TargetError> {
        if edits.is_empty() {
            return Ok(());
        }
        let paths: Vec<&FilePath> = edits
            .iter()
            .map(|edit| match edit {
                Edit::Write { path, .. } | Edit::Permit { path, .. } => path,
            })
            .collect();
        let mut missing = self.missing_root().await?;
        missing.extend(self.missing_directories(&paths).await?);
        let mut puts: Vec<Put> = missing
            .into_iter()
            .map(|path| Put {
                path,
                content: None,
                bits: 0o755,
                owner: self.owner,
            })
            .collect();
        for edit in edits {
            let (path, content, bits) = match edit {
                Edit::Write {
                    path,
                    content,
                    bits,
                } => (path, Some(content.clone()), *bits),
                Edit::Permit { path, bits } => (path, None, *bits),
            };
            let before = self.seen(path);
            let owner = before.as_ref().map_or(self.owner, |(_, owner)| *owner);
            let Some(content) = content.or(before.map(|(content, _)| content)) else {
                continue;
            };
            self.remember(path, &content, owner);
            puts.push(Put {
                path: self.absolute(path),
                content: Some(content),
                bits,
                owner,
            });
        }
        self.docker
            .put(&self.patience, &self.container, &puts)
            .await
            .map_err(|error| failed(&self.root, &error))
    }

    async fn remove(&self, path: &FilePath) -> Result<(), TargetError> {
        let absolute = self.absolute(path);
        self.docker
            .remove_file(&self.patience, &self.container, &absolute)
            .await
            .map_err(|error| failed(&absolute, &error))
    }

    async fn surroundings(&self) -> Result<Vec<Surrounding>, TargetError> {
        let mut found = Vec::new();
        let mut directory = self.root.as_str();
        while !directory.is_empty() && found.len() < MAX_ABOVE {
            let package_json = match self.at(&format!("{directory}/package.json")).await? {
                Some(InContainer::File { content, .. }) => String::from_utf8(content).ok(),
                _ => None,
            };
            let mut names = Vec::new();
            let marks = LOCK_FILES.iter().map(|(name, _)| *name).chain([".git"]);
            for name in marks {
                // Only whether it is there.
                let path = format!("{directory}/{name}");
                let there = self
                    .docker
                    .look_at(&self.patience, &self.container, &path, 0)
                    .await
                    .map_err(|error| failed(&path, &error))?;
                if there.is_some() {
                    names.push(name.to_owned());
                }
            }
            let is_repository = names.iter().any(|name| name == ".git");
            found.push(Surrounding {
                package_json,
                names,
            });
            if is_repository {
                break;
            }
            directory = directory.rsplit_once('/').map_or("", |(above, _)| above);
        }
        Ok(found)
    }
}
