//! The life of a workspace of the Docker template.

use std::fs;

use super::{
    image_variables, log, person,
    running::Server,
    template,
    user::open_as_stranger,
    workspace::{Running, Workspace},
};

/// What holds of each workspace that runs: its apps are where its own environment says, and the
/// backend behind them accepts its key.
#[track_caller]
pub(super) fn works(workspace: &Workspace) -> Running<'_> {
    let running = workspace.ready();
    let server = &workspace.owner.server;
    let told =
        running.sh("echo $VITE_CONVEX_URL $VITE_CONVEX_SITE_URL $CONVEX_SELF_HOSTED_ADMIN_KEY");
    let [api, site, key] = told.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{told}");
    };
    assert_eq!(api, running.url("convex-api"));
    assert_eq!(site, running.url("convex-site"));
    // Pages call these without Coder's cookie.
    let version = open_as_stranger(server, &format!("{api}/version"));
    assert_eq!(version.status, 200, "{version:?}");
    let site = open_as_stranger(server, site);
    assert!(site.status < 500 && site.location.is_empty(), "{site:?}");
    let instance = open_as_stranger(server, &format!("{api}/instance_name")).body;
    assert!(key.starts_with(&format!("{instance}|")), "{instance}");
    let asked = format!(
        "curl -sS -o /dev/null -w '%{{http_code}}' -H 'Authorization: Convex {key}' $CONVEX_SELF_HOSTED_URL/api/check_admin_key"
    );
    assert_eq!(running.sh(&asked), "200");
    running
}

#[test]
fn a_workspace_lives_its_life_on_coder() {
    let server = Server::shared();
    let admin = server.admin();
    let copy = template("docker");
    // Word for word, with the default of each variable, and with images that are there.
    for variables in [&[][..], &image_variables()] {
        log::assert_worth_reading(&admin.push("life", copy.path(), variables));
    }
    let ann = admin.create(&person("ann"));

    let mut workspace = Workspace::create(&ann, "shop", "life");
    let running = works(&workspace);
    let key = running.sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY");
    running.sh("echo mine >>app/convex/schema.ts");

    workspace.build("stop");
    assert_eq!(workspace.agents().len(), 0);
    let kept = workspace.id.objects();
    assert!(
        kept.len() == 2 && kept.iter().all(|it| it.starts_with("volume ")),
        "{kept:?}"
    );

    workspace.rename("store");
    workspace.build("start");
    let running = works(&workspace);
    assert!(
        running.url("convex").contains("--store--"),
        "{}",
        running.url("convex")
    );

    // Another name of the owner, and a new version of the template: both are there after an update.
    let name = person("anna");
    admin.ask(
        "PUT",
        &format!("users/{}/profile", ann.name),
        Some(&serde_json::json!({ "username": name, "name": "Anna" })),
    );
    let main = fs::read_to_string(copy.path().join("main.tf")).expect("the template");
    let edited = main.replace("variables = ", "variables = { EDITED = \"true\" } # ");
    assert_ne!(main, edited);
    fs::write(copy.path().join("main.tf"), edited).expect("the template");
    admin.push("life", copy.path(), &image_variables());
    workspace.build("update");
    let running = works(&workspace);
    assert!(
        running.url("convex").contains(&format!("--{name}.")),
        "{}",
        running.url("convex")
    );
    let variables = running.sh("curl -sS -H \"Authorization: Convex $CONVEX_SELF_HOSTED_ADMIN_KEY\" $CONVEX_SELF_HOSTED_URL/api/v1/list_environment_variables");
    assert!(variables.contains("EDITED"), "{variables}");
    assert_eq!(running.sh("echo $CONVEX_SELF_HOSTED_ADMIN_KEY"), key);
    assert_eq!(running.sh("tail -n 1 app/convex/schema.ts"), "mine");

    workspace.build("delete");
    assert_eq!(workspace.id.objects(), <[&str; 0]>::default());
}
