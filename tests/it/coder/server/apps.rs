//! The apps of a workspace, behind Coder's proxy.

use super::{in_a_workspace, person, user::open_as_stranger};

#[test]
fn apps_open_with_and_without_a_login() {
    in_a_workspace(&person("amy"), |running| {
        let amy = &running.workspace.owner;
        let server = &amy.server;
        // The dashboard is for its owner alone, who is logged in to Coder.
        let dashboard = running.url("convex");
        let stranger = open_as_stranger(server, &dashboard);
        assert_eq!(stranger.status, 303, "{stranger:?}");
        assert!(stranger.location.starts_with(&server.url()), "{stranger:?}");
        let owner = amy.open(&dashboard);
        assert_eq!(owner.status, 200, "{owner:?}");
        assert!(owner.body.contains("<html"), "{owner:?}");
        let eve = server.admin().create(&person("eve"));
        let other = eve.open(&dashboard);
        assert_eq!(other.status, 404, "{other:?}");
        // The API and the site are for everybody.
        for slug in ["convex-api", "convex-site"] {
            let address = running.url(slug);
            for answer in [open_as_stranger(server, &address), eve.open(&address)] {
                assert!(
                    answer.status < 500 && answer.location.is_empty(),
                    "{answer:?}"
                );
            }
        }
        // On the workspace's page each has a name and an icon. Coder warns of these where an app is
        // hidden.
        for app in running.apps.iter().filter(|app| app["hidden"] == false) {
            let icon = app["icon"].as_str().unwrap_or_default();
            assert!(
                !icon.is_empty() && app["display_name"] != app["slug"],
                "{app}"
            );
        }
    });
}
