//! What Coder reads from `terraform graph`: which resource an agent belongs to, and which one
//! metadata is about.

use std::collections::{BTreeMap, BTreeSet};

/// A graph in the form Terraform prints it.
#[derive(Debug)]
pub struct Graph {
    /// Labels by node. Nodes that are no resource have none.
    labels: BTreeMap<String, String>,
    /// What each node needs.
    needs: BTreeMap<String, BTreeSet<String>>,
}

/// Which way edges are followed.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// From what is needed to what needs it.
    Up,
    /// From what needs to what is needed.
    Down,
}

impl Graph {
    /// Reads what `terraform graph` has printed.
    pub fn parse(text: &str) -> Self {
        let mut graph = Self {
            labels: BTreeMap::new(),
            needs: BTreeMap::new(),
        };
        for line in text.lines() {
            let quoted: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
            match quoted.as_slice() {
                [from, to] if line.contains("->") => {
                    let needs = graph.needs.entry((*from).to_owned()).or_default();
                    needs.insert((*to).to_owned());
                }
                [node, label, ..] if line.contains("label = ") => {
                    graph.labels.insert((*node).to_owned(), (*label).to_owned());
                }
                _ => {}
            }
        }
        graph
    }

    /// The resource that the agent belongs to: of those that need it, the nearest one that is not
    /// Coder's own, and of several equally near ones the first by name. `resources` are the
    /// addresses, without index, of the managed resources that there are.
    pub fn resource_of_agent(&self, agent: &str, resources: &BTreeSet<String>) -> Option<String> {
        self.nearest(agent, resources, Way::Up)
    }

    /// The resource that a `coder_metadata` is about, by the same rule the other way round.
    pub fn resource_of_metadata(
        &self,
        metadata: &str,
        resources: &BTreeSet<String>,
    ) -> Option<String> {
        self.nearest(metadata, resources, Way::Down)
    }

    fn nearest(&self, from: &str, resources: &BTreeSet<String>, way: Way) -> Option<String> {
        let labelled = |node: &&String| self.labels[*node] == from;
        let mut level: BTreeSet<&str> = self
            .labels
            .keys()
            .filter(labelled)
            .map(String::as_str)
            .collect();
        assert!(!level.is_empty(), "{from} is not in the graph");
        let mut seen = BTreeSet::new();
        while !level.is_empty() {
            seen.extend(level.iter().copied());
            level = level
                .iter()
                .flat_map(|node| self.beside(node, way))
                .collect();
            level.retain(|node| !seen.contains(node));
            let found = level
                .iter()
                .filter_map(|node| self.labels.get(*node))
                .filter(|label| resources.contains(*label) && !label.starts_with("coder_"))
                .min();
            if found.is_some() {
                return found.cloned();
            }
        }
        None
    }

    fn beside(&self, node: &str, way: Way) -> Vec<&str> {
        match way {
            Way::Down => {
                let needs = self.needs.get(node).into_iter().flatten();
                needs.map(String::as_str).collect()
            }
            Way::Up => {
                let needing = self.needs.iter().filter(|(_, needs)| needs.contains(node));
                needing.map(|(other, _)| other.as_str()).collect()
            }
        }
    }
}

fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses.iter().map(|it| (*it).to_owned()).collect()
}

/// `edges` in Terraform's spelling, each from what needs to what is needed.
fn graph(edges: &[(&str, &str)]) -> Graph {
    let mut text = "digraph {\n".to_owned();
    let nodes: BTreeSet<&str> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
    for node in nodes {
        text += &format!("\t\t\"[root] {node} (expand)\" [label = \"{node}\", shape = \"box\"]\n");
    }
    for (from, to) in edges {
        text += &format!("\t\t\"[root] {from} (expand)\" -> \"[root] {to} (expand)\"\n");
    }
    Graph::parse(&(text + "}\n"))
}

#[test]
fn an_agent_belongs_to_the_nearest_resource_that_is_not_coders() {
    let edges = [
        ("convex_deployment.app", "docker_container.workspace"),
        ("docker_container.workspace", "coder_agent.main"),
        ("coder_app.api", "coder_agent.main"),
    ];
    let all = set(&[
        "convex_deployment.app",
        "docker_container.workspace",
        "coder_app.api",
    ]);
    let belongs = graph(&edges).resource_of_agent("coder_agent.main", &all);
    assert_eq!(belongs.as_deref(), Some("docker_container.workspace"));
    // A workspace that is stopped has no container.
    let stopped = set(&["convex_deployment.app"]);
    let belongs = graph(&edges).resource_of_agent("coder_agent.main", &stopped);
    assert_eq!(belongs.as_deref(), Some("convex_deployment.app"));
    assert_eq!(
        graph(&edges).resource_of_agent("coder_agent.main", &set(&[])),
        None
    );
}

#[test]
fn of_equally_near_resources_the_first_by_name_has_the_agent() {
    let edges = [
        ("convex_deployment.app", "coder_agent.main"),
        ("docker_container.workspace", "coder_agent.main"),
    ];
    let all = set(&["convex_deployment.app", "docker_container.workspace"]);
    let belongs = graph(&edges).resource_of_agent("coder_agent.main", &all);
    assert_eq!(belongs.as_deref(), Some("convex_deployment.app"));
    // Through a local value or an app is further.
    let edges = [
        ("convex_deployment.app", "coder_env.token"),
        ("coder_env.token", "coder_agent.main"),
        ("docker_container.workspace", "coder_agent.main"),
    ];
    let belongs = graph(&edges).resource_of_agent("coder_agent.main", &all);
    assert_eq!(belongs.as_deref(), Some("docker_container.workspace"));
}

#[test]
fn metadata_is_about_the_nearest_resource_that_it_needs() {
    let edges = [
        ("coder_metadata.convex", "convex_env.app"),
        ("convex_env.app", "convex_deployment.app"),
        ("coder_metadata.convex", "data.coder_workspace.me"),
    ];
    let all = set(&[
        "convex_deployment.app",
        "convex_env.app",
        "coder_metadata.convex",
    ]);
    let about = graph(&edges).resource_of_metadata("coder_metadata.convex", &all);
    assert_eq!(about.as_deref(), Some("convex_env.app"));
}
