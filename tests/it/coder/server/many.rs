//! Many workspaces at once.

use std::{collections::BTreeSet, thread};

use super::{docker_template, life::works, person, running::Server, workspace::Workspace};

/// How many there are: four, or as many as `CONVEX_TEST_WORKSPACES` says.
fn count() -> usize {
    let given = std::env::var("CONVEX_TEST_WORKSPACES");
    given.map_or(4, |count| {
        count.parse().expect("CONVEX_TEST_WORKSPACES is a number")
    })
}

#[test]
fn workspaces_of_two_people_are_made_and_deleted_at_once() {
    let server = Server::shared();
    let template = docker_template(&server);
    let admin = server.admin();
    let people = ["kim", "lee"].map(|name| admin.create(&person(name)));
    let workspaces: Vec<_> = thread::scope(|scope| {
        let made: Vec<_> = (0..count())
            .map(|number| {
                let owner = &people[number % people.len()];
                scope.spawn(move || Workspace::create(owner, &format!("w{number}"), template))
            })
            .collect();
        made.into_iter()
            .map(|it| it.join().expect("a workspace"))
            .collect()
    });
    let keys: BTreeSet<_> = workspaces
        .iter()
        .map(|workspace| works(workspace).sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY"))
        .collect();
    assert_eq!(
        keys.len(),
        workspaces.len(),
        "each has a deployment of its own"
    );
    thread::scope(|scope| {
        for workspace in &workspaces {
            scope.spawn(|| workspace.build("delete"));
        }
    });
    for workspace in &workspaces {
        assert_eq!(workspace.id.objects(), <[&str; 0]>::default());
    }
}
