//! Files for coding agents that work on the app.

use std::str::FromStr;

use super::{Project, template::fill};
use crate::render::files::{Body, Desired, FilePath, Mode, Policy};

/// What a coding agent is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Agent {
    /// A page on the deployment and the commands for it.
    Skill,
    /// The MCP server of the `convex` command line, without the tools that change something or
    /// show the values of variables.
    Mcp,
}

/// A name that is no [`Agent`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("agents may contain \"skill\" and \"mcp\"; got {name:?}.")]
pub struct UnknownAgent {
    name: String,
}

impl FromStr for Agent {
    type Err = UnknownAgent;

    fn from_str(name: &str) -> Result<Self, UnknownAgent> {
        match name {
            "skill" => Ok(Self::Skill),
            "mcp" => Ok(Self::Mcp),
            _ => Err(UnknownAgent {
                name: name.to_owned(),
            }),
        }
    }
}

/// Every release of `convex` that has an MCP server knows these.
const DISABLED_TOOLS: &str = "envGet,envList,envRemove,envSet,run";

impl Project {
    pub(super) fn agent_files(&self) -> Vec<Desired> {
        let file = |agent: &Agent| {
            let (path, text) = match agent {
                Agent::Skill => (
                    ".agents/skills/convex-deployment/SKILL.md",
                    fill(
                        include_str!("templates/agents/SKILL.md"),
                        &[("FILE", self.env_file_option())],
                    ),
                ),
                Agent::Mcp => (".mcp.json", self.mcp_json()),
            };
            Desired {
                path: FilePath::known(path),
                policy: Policy::Create,
                body: Body::Text(text),
                mode: Mode::Plain,
            }
        };
        self.agents.iter().map(file).collect()
    }

    fn mcp_json(&self) -> String {
        let mut arguments = "convex mcp start --project-dir . --disable-tools".to_owned();
        arguments.push_str(&format!(" {DISABLED_TOOLS}{}", self.env_file_option()));
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let json = serde_json::json!({
            "mcpServers": { "convex": { "command": "npx", "args": arguments } }
        });
        format!("{json:#}\n")
    }
}
