//! The template whose documents are on PostgreSQL.

use super::{
    Id,
    cycle::{key, runs, runs_and_warns},
    inside::text,
    other_images,
    provisioner::{Build, Transition},
    template,
};
use crate::support::{
    docker::{Bridge, Name, docker},
    postgres::Server,
};

/// The name of the workspace's database.
fn database(build: &Build) -> String {
    let name = build.resource("convex_deployment.app")["database_name"].as_str();
    name.expect("a name").to_owned()
}

#[test]
fn each_workspace_has_a_postgresql_server_that_keeps_its_documents_through_a_stop() {
    let id = Id::new();
    let template = template("docker-postgres").with("postgres_image", &other_images().postgres);
    let mut workspace = id.workspace(template);
    let sql = |build: &Build, database: &str, sql: &str| {
        let server = text(&build.resource("docker_container.postgres[0]")["id"]);
        docker(&[
            "exec", &server, "psql", "-U", "convex", "-d", database, "-Atc", sql,
        ])
    };

    let first = workspace.build(Transition::Start);
    runs(&first);
    assert_eq!(
        first.resource("convex_deployment.app")["database_kind"],
        "postgresql"
    );
    let name = database(&first);
    assert_eq!(sql(&first, &name, "SELECT count(*) FROM leases"), "1");
    sql(
        &first,
        &name,
        "CREATE TABLE by_hand AS SELECT 'kept' AS what",
    );
    workspace.assert_settled(Transition::Start);

    let stopped = workspace.build(Transition::Stop);
    assert_eq!(
        stopped.foreign_with_action("delete"),
        [
            "docker_container.postgres[0]",
            "docker_container.workspace[0]"
        ]
    );
    assert_eq!(stopped.resource_of_agent(), None);
    assert!(!id.objects().iter().any(|it| it.starts_with("container")));
    workspace.assert_settled(Transition::Stop);

    let second = workspace.build(Transition::Start);
    runs(&second);
    assert_eq!(key(&second), key(&first));
    assert_eq!(sql(&second, &name, "SELECT what FROM by_hand"), "kept");
    workspace.assert_settled(Transition::Start);

    // The agent's new token costs the workspace's container, and the server that shares its network.
    let again = workspace.build(Transition::Start);
    assert_eq!(
        again.foreign_with_action("delete, create"),
        [
            "docker_container.postgres[0]",
            "docker_container.workspace[0]"
        ]
    );
    runs(&again);
    assert_eq!(sql(&again, &name, "SELECT what FROM by_hand"), "kept");

    workspace.build(Transition::Destroy);
    assert!(!workspace.has_resources());
    assert_eq!(id.objects(), <[&str; 0]>::default());
}

#[test]
fn workspaces_share_a_postgresql_server_that_is_there() {
    let id = Id::new();
    let server = Server::with("ssl = off\nlisten_addresses = '*'");
    server.rules("host all all all scram-sha-256");
    let bridge = Bridge::beside(&Name::new());
    let url = server
        .url("?sslmode=disable")
        .replace("localhost", &bridge.host());
    let mut workspace = id.workspace(template("docker-postgres").with("database_url", &url));
    // Whoever gives such a URL can change it.
    let open = ["The database connection is not encrypted"];
    let first = workspace.build(Transition::Start);
    runs_and_warns(&first, &open);
    assert!(!first.said.contains(&url), "{}", first.said);
    let name = database(&first);
    assert_eq!(server.sql(&name, "SELECT count(*) FROM leases").trim(), "1");
    assert!(!id.objects().iter().any(|it| it.contains("-postgres")));
    workspace.assert_settled(Transition::Start);
    workspace.build(Transition::Stop);
    let second = workspace.build(Transition::Start);
    runs_and_warns(&second, &open);
    assert_eq!(key(&second), key(&first));
    workspace.build(Transition::Destroy);
    assert_eq!(id.objects(), <[&str; 0]>::default());
    // A server that others use keeps what it has.
    let still = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(server.sql("postgres", &still).trim(), "1");
}
