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

/// The page.
const SKILL: &str = ".agents/skills/convex-deployment/SKILL.md";

/// The `convex` command line with a key that can only read: data, logs, variables, and what queries
/// find. Source: get-convex/convex-backend, `crates/keybroker/src/operations.rs`.
const READ_ONLY: &str = ".agents/skills/convex-deployment/read-only.sh";

/// Every release of `convex` that has an MCP server knows these.
const DISABLED_TOOLS: &str = "envGet,envList,envRemove,envSet,run";

impl Project {
    pub(super) fn agent_files(&self) -> Vec<Desired> {
        let file = |agent: &Agent| {
            let (path, text) = match agent {
                Agent::Skill => (
                    SKILL,
                    fill(
                        include_str!("templates/agents/SKILL.md"),
                        &[("READ_ONLY", READ_ONLY), ("FILE", self.env_file_option())],
                    ),
                ),
                Agent::Mcp => (".mcp.json", mcp_json()),
            };
            (path, text, Mode::Plain)
        };
        let script = include_str!("templates/agents/read-only.sh").to_owned();
        let script = (READ_ONLY, script, Mode::Program);
        let script = (!self.agents.is_empty()).then_some(script);
        let files = self.agents.iter().map(file).chain(script);
        files
            .map(|(path, text, mode)| Desired {
                path: FilePath::known(path),
                policy: Policy::Create,
                body: Body::Text(text),
                mode,
            })
            .collect()
    }
}

fn mcp_json() -> String {
    let arguments = [
        "mcp",
        "start",
        "--project-dir",
        ".",
        "--disable-tools",
        DISABLED_TOOLS,
    ];
    let json = serde_json::json!({
        "mcpServers": { "convex": { "command": READ_ONLY, "args": arguments } }
    });
    format!("{json:#}\n")
}
