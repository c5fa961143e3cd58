//! A workspace as a person describes it, in texts that are yet to be read.

use super::{AccessUrl, CoderName, Slug, SlugError, Slugs, Transition, Wildcard, Workspace};

/// The parts of a workspace's addresses as texts. An empty text of what may be left out is as good
/// as none, because settings of templates have it for a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Where Coder answers.
    pub access_url: &'a str,
    /// The host pattern of apps.
    pub wildcard: Option<&'a str>,
    /// Whether that is `*.HOST` of the access URL where it is not given.
    pub wildcard_from_access_url: bool,
    /// The workspace's name.
    pub workspace: &'a str,
    /// The owner's user name.
    pub owner: &'a str,
    /// The agent's name, for Coder versions that put it into host names.
    pub agent: Option<&'a str>,
    /// What the build under way makes of the workspace.
    pub transition: Transition,
}

/// Which part of a description is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {problem}")]
pub struct PlaceError {
    /// The part, by the name of its field.
    pub part: &'static str,
    /// What is wrong, and what to write instead.
    pub problem: String,
}

fn read<T, E: std::fmt::Display>(
    part: &'static str,
    outcome: Result<T, E>,
) -> Result<T, PlaceError> {
    outcome.map_err(|error| PlaceError {
        part,
        problem: error.to_string(),
    })
}

impl Place<'_> {
    /// The workspace that is described.
    pub fn workspace(&self) -> Result<Workspace, PlaceError> {
        let wildcard = self.wildcard.unwrap_or_default();
        Ok(Workspace {
            access_url: read("access_url", AccessUrl::parse(self.access_url))?,
            wildcard: read("wildcard", Wildcard::parse_setting(wildcard))?,
            wildcard_from_access_url: self.wildcard_from_access_url,
            name: read("workspace", CoderName::parse(self.workspace))?,
            owner: read("owner", CoderName::parse(self.owner))?,
            agent: match self.agent.filter(|agent| !agent.is_empty()) {
                Some(agent) => Some(read("agent", CoderName::parse(agent))?),
                None => None,
            },
            transition: self.transition,
        })
    }
}

impl Slugs {
    /// These slugs, and the usual ones for those that are not given. The error says which is
    /// wrong: `api`, `site` or `dashboard`.
    pub fn given(
        api: Option<&str>,
        site: Option<&str>,
        dashboard: Option<&str>,
    ) -> Result<Self, (&'static str, SlugError)> {
        let mut slugs = Self::default();
        let mut taken: Vec<(Slug, &'static str)> = Vec::new();
        for (part, given, slug) in [
            ("api", api, &mut slugs.api),
            ("site", site, &mut slugs.site),
            ("dashboard", dashboard, &mut slugs.dashboard),
        ] {
            if let Some(given) = given {
                *slug = Slug::parse(given).map_err(|error| (part, error))?;
            }
            if let Some((_, other)) = taken.iter().find(|(it, _)| it == slug) {
                let slug = slug.to_string();
                return Err((part, SlugError::Taken { slug, other }));
            }
            taken.push((slug.clone(), part));
        }
        Ok(slugs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV: Place<'static> = Place {
        access_url: "https://coder.example",
        wildcard: Some("*.apps.example"),
        wildcard_from_access_url: false,
        workspace: "dev",
        owner: "ann",
        agent: None,
        transition: Transition::Start,
    };

    #[test]
    fn empty_texts_of_what_may_be_left_out_are_none() {
        let place = Place {
            wildcard: Some(""),
            agent: Some(""),
            ..DEV
        };
        let workspace = place.workspace().unwrap();
        assert_eq!((workspace.wildcard, workspace.agent), (None, None));
    }

    #[test]
    fn the_wrong_part_is_named() {
        for (place, part) in [
            (
                Place {
                    access_url: "",
                    ..DEV
                },
                "access_url",
            ),
            (
                Place {
                    wildcard: Some("x"),
                    ..DEV
                },
                "wildcard",
            ),
            (
                Place {
                    workspace: "",
                    ..DEV
                },
                "workspace",
            ),
            (Place { owner: "", ..DEV }, "owner"),
            (
                Place {
                    agent: Some("a_b"),
                    ..DEV
                },
                "agent",
            ),
        ] {
            let error = place.workspace().unwrap_err();
            assert_eq!(error.part, part);
            assert!(error.to_string().starts_with(&format!("{part}: ")));
        }
        let (part, _) = Slugs::given(None, Some("12345"), None).unwrap_err();
        assert_eq!(part, "site");
        for (api, site, dashboard, culprit) in [
            (Some("a"), Some("a"), None, "site"),
            (None, None, Some("convex-api"), "dashboard"),
            (Some("convex"), None, None, "dashboard"),
        ] {
            let (part, error) = Slugs::given(api, site, dashboard).unwrap_err();
            assert_eq!(part, culprit, "{error}");
        }
    }
}
