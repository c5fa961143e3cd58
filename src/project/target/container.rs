//! A directory in a container, by Docker's API.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use super::{MAX_FILE, MadeDirectory, Surrounding, Target, TargetError};
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
    /// Whether programs can be run in it.
    runs: bool,
    root: String,
    owner: Owner,
    patience: Patience,
    /// What was seen, which Docker can only replace as a whole.
    seen: Mutex<BTreeMap<FilePath, (Vec<u8>, Owner)>>,
}

/// What a repository has at its top.
const REPOSITORY: &str = ".git";

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
        let found = docker
            .foreign_container(&patience, container)
            .await?
            .ok_or_else(|| ContainerError::NoContainer(container.to_owned()))?;
        let user = user.unwrap_or(&found.user);
        let owner = docker
            .owner(&patience, container, user)
            .await?
            .ok_or_else(|| ContainerError::NoUser(user.to_owned()))?;
        Ok(Self {
            docker,
            container: container.to_owned(),
            runs: found.runs,
            root: root.trim_end_matches('/').to_owned(),
            owner,
            patience,
            seen: Mutex::default(),
        })
    }

    fn absolute(&self, path: &FilePath) -> String {
        format!("{}/{path}", self.root)
    }

    /// What there is at each of these paths.
    async fn at(&self, paths: &[String]) -> Result<Vec<Option<InContainer>>, TargetError> {
        self.docker
            .look_at_all(
                &self.patience,
                (&self.container, self.runs),
                paths,
                MAX_FILE,
            )
            .await
            .map_err(|error| failed(&self.root, &error))
    }

    /// The directories on the way to these files.
    fn directories(&self, paths: &[&FilePath]) -> Vec<String> {
        let mut directories = BTreeSet::new();
        for path in paths {
            let names: Vec<&str> = path.names().collect();
            for length in 1..names.len() {
                directories.insert(format!("{}/{}", self.root, names[..length].join("/")));
            }
        }
        directories.into_iter().collect()
    }

    /// The project's directory and those it is in, the innermost first.
    fn roots(&self) -> Vec<String> {
        let mut roots = Vec::new();
        let mut directory = self.root.as_str();
        while !directory.is_empty() {
            roots.push(directory.to_owned());
            directory = directory.rsplit_once('/').map_or("", |(above, _)| above);
        }
        roots
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
        remedy: "Remove the cause, and apply again",
    }
}

/// Those of the directories that are missing. None may be a link: inside a container there is no
/// telling where it leads.
fn missing(
    directories: &[String],
    found: &[Option<InContainer>],
) -> Result<Vec<String>, TargetError> {
    let mut missing = Vec::new();
    for (directory, found) in directories.iter().zip(found) {
        match found {
            None => missing.push(directory.clone()),
            Some(InContainer::Directory) => {}
            Some(InContainer::Link) => {
                return Err(TargetError::LeadsOut {
                    path: directory.clone(),
                });
            }
            Some(_) => {
                return Err(TargetError::NotDirectory {
                    path: directory.clone(),
                });
            }
        }
    }
    Ok(missing)
}

/// The same of the project's directory and those it is in. Links are followed there: whoever named
/// the directory has named them too.
fn missing_roots(
    roots: &[String],
    found: &[Option<InContainer>],
) -> Result<Vec<String>, TargetError> {
    let mut missing = Vec::new();
    for (directory, found) in roots.iter().zip(found) {
        match found {
            None => missing.push(directory.clone()),
            Some(InContainer::Directory | InContainer::Link) => break,
            Some(_) => {
                return Err(TargetError::NotDirectory {
                    path: directory.clone(),
                });
            }
        }
    }
    missing.reverse();
    Ok(missing)
}

impl Target for ContainerDirectory {
    async fn look(&self, paths: &[FilePath]) -> Result<BTreeMap<FilePath, Existing>, TargetError> {
        let directories = self.directories(&paths.iter().collect::<Vec<_>>());
        let files = paths.iter().map(|path| self.absolute(path));
        let all: Vec<String> = directories.iter().cloned().chain(files).collect();
        let mut existing = self.at(&all).await?;
        let files = existing.split_off(directories.len());
        missing(&directories, &existing)?;
        let mut found = BTreeMap::new();
        for (path, existing) in paths.iter().zip(files) {
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

    async fn change(&self, edits: &[Edit]) -> Result<Vec<MadeDirectory>, TargetError> {
        if edits.is_empty() {
            return Ok(Vec::new());
        }
        let paths: Vec<&FilePath> = edits
            .iter()
            .map(|edit| match edit {
                Edit::Write { path, .. } | Edit::Permit { path, .. } => path,
            })
            .collect();
        let (roots, directories) = (self.roots(), self.directories(&paths));
        let mut found = self.at(&[&roots[..], &directories].concat()).await?;
        let below = found.split_off(roots.len());
        let mut missing_directories = missing_roots(&roots, &found)?;
        missing_directories.extend(missing(&directories, &below)?);
        let made = missing_directories.iter().filter_map(|path| {
            let below = path.strip_prefix(&self.root)?;
            Some(MadeDirectory(below.trim_start_matches('/').to_owned()))
        });
        let made: Vec<MadeDirectory> = made.collect();
        let mut puts: Vec<Put> = missing_directories
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
            .map_err(|error| failed(&self.root, &error))?;
        Ok(made)
    }

    async fn remove(
        &self,
        files: &[FilePath],
        directories: &[MadeDirectory],
    ) -> Result<(), TargetError> {
        let above = self.directories(&files.iter().collect::<Vec<_>>());
        missing(&above, &self.at(&above).await?)?;
        let files: Vec<String> = files.iter().map(|path| self.absolute(path)).collect();
        let mut directories: Vec<String> = directories
            .iter()
            .map(|MadeDirectory(below)| format!("{}/{below}", self.root))
            .collect();
        // What is below another one is longer.
        directories.sort_by_key(|path| std::cmp::Reverse(path.len()));
        self.docker
            .remove_all(&self.patience, &self.container, &files, &directories)
            .await
            .map_err(|error| failed(&self.root, &error))
    }

    async fn surroundings(&self) -> Result<Vec<Surrounding>, TargetError> {
        let roots = self.roots();
        let roots = &roots[..roots.len().min(MAX_ABOVE)];
        let marks: Vec<&str> = LOCK_FILES
            .iter()
            .map(|(name, _)| *name)
            .chain([REPOSITORY])
            .collect();
        let packages: Vec<String> = roots
            .iter()
            .map(|it| format!("{it}/package.json"))
            .collect();
        let all: Vec<String> = roots
            .iter()
            .flat_map(|root| marks.iter().map(move |mark| format!("{root}/{mark}")))
            .collect();
        let packages = self.at(&packages).await?;
        let exist = self
            .docker
            .exist(&self.patience, (&self.container, self.runs), &all)
            .await
            .map_err(|error| failed(&self.root, &error))?;
        let mut found = Vec::new();
        for (package, exist) in packages.into_iter().zip(exist.chunks(marks.len())) {
            let names: Vec<String> = marks
                .iter()
                .zip(exist)
                .filter(|(_, exists)| **exists)
                .map(|(mark, _)| (*mark).to_owned())
                .collect();
            let is_repository = names.iter().any(|name| name == REPOSITORY);
            found.push(Surrounding {
                package_json: match package {
                    Some(InContainer::File { content, .. }) => String::from_utf8(content).ok(),
                    _ => None,
                },
                names,
            });
            // What is above the repository is somebody else's.
            if is_repository {
                break;
            }
        }
        Ok(found)
    }
}
