//! A workspace of the template with PostgreSQL.

use super::{
    image_variables, life::works, log, person, running::Server, template, workspace::Workspace,
};
use crate::coder::other_images;

#[test]
fn a_workspace_with_postgresql_lives_its_life_on_coder() {
    let server = Server::shared();
    let admin = server.admin();
    let mut variables = image_variables().to_vec();
    variables.push(("postgres_image", &other_images().postgres));
    let copy = template("docker-postgres");
    for variables in [&[][..], &variables] {
        log::assert_worth_reading(&admin.push("postgres", copy.path(), variables));
    }

    let pat = admin.create(&person("pat"));
    let workspace = Workspace::create(&pat, "shop", "postgres");
    let key = works(&workspace).sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY");
    workspace.build("stop");
    let kept = workspace.id.objects();
    assert!(
        !kept.iter().any(|it| it.starts_with("container ")),
        "{kept:?}"
    );
    workspace.build("start");
    assert_eq!(
        works(&workspace).sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY"),
        key
    );
    workspace.build("delete");
    assert_eq!(workspace.id.objects(), <[&str; 0]>::default());
}
