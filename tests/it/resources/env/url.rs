//! Any Convex deployment, reached by its URL.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{config, configure};
use crate::support::{
    backend::Backend,
    http::{Fate, Identity, Server},
    on_each_core,
    terraform::{Core, Project},
};

const KEY: &str = "prod:happy-otter-123|01c0ffeec0ffee";

fn env(url: &str, attributes: &str) -> String {
    format!("resource \"convex_env\" \"app\" {{\n url = {url:?}\n {attributes}\n}}\n")
}

fn with_key(url: &str, key: &str, attributes: &str) -> String {
    env(url, &format!("admin_key = {key:?}\n {attributes}"))
}

/// A server that answers each request with this.
fn answering(status: u16, location: Option<String>, text: &str) -> Server {
    let text = text.to_owned();
    Server::alone(move |_, _| Fate::Answer(status, location.clone(), text.clone()))
}

on_each_core! {
    fn the_key_goes_nowhere_but_to_the_url(core) {
        let elsewhere = answering(200, None, "{\"environmentVariables\":{}}");
        for status in [301, 302, 303, 307, 308] {
            let target = format!("{}/api/list_environment_variables", elsewhere.url());
            let server = answering(status, Some(target), "<html>log in</html>");
            let blocks = with_key(server.url(), KEY, "variables = { A = \"1\" }");
            let project = Project::new(core, &config(&blocks));
            project.apply().fails_with(&[
                "Not a Convex backend", &format!("redirect (status {status})"),
            ]);
            let asked = server.take();
            assert!(!asked.is_empty());
            let header = format!("Convex {KEY}");
            for request in asked {
                assert_eq!(request.authorization.as_deref(), Some(header.as_str()), "{request}");
            }
        }
        assert_eq!(elsewhere.take(), []);
    }
}

on_each_core! {
    fn what_is_no_backend_is_told_from_one(core) {
        let refused = |server: &Server, texts: &[&str]| {
            let project = Project::new(core, &config(&with_key(server.url(), KEY, "variables = { A = \"1\" }")));
            let outcome = project.apply().fails_with(texts);
            assert!(!outcome.text().contains("c0ffee"), "{}", outcome.text());
        };
        let key = format!("{{\"code\":\"BadAdminKey\",\"message\":\"invalid {KEY}\"}}");
        refused(&answering(401, None, &key), &["does not accept the admin key"]);
        refused(&answering(200, None, "<html>"), &["Not an answer of a Convex backend", "status 200"]);
        refused(&answering(200, None, "{\"environmentVariables\":{\"A\":1}}"), &["Not an answer of a Convex backend"]);
        refused(&answering(502, None, "bad gateway"), &["Not an answer of a Convex backend", "status 502"]);
        refused(&answering(400, None, &format!("{{\"code\":\"Odd\",\"message\":\"echo {KEY}\"}}")), &["The backend refused", "Odd"]);
        // More than any backend says.
        let endless = "x".repeat(9 * 1024 * 1024);
        refused(&answering(200, None, &endless), &["The backend cannot be reached", "longer than"]);
    }
}

on_each_core! {
    fn no_answer_is_waited_for_longer_than_is_wished(core) {
        for fate in [Fate::Hang, Fate::Drip] {
            let server = Server::alone(move |_, _| fate.clone());
            let attributes = "variables = { A = \"1\" }\n timeouts = { create = \"2s\", read = \"2s\" }";
            let project = Project::new(core, &config(&with_key(server.url(), KEY, attributes)));
            let started = Instant::now();
            project.apply().fails_with(&["The backend cannot be reached", "no reply within"]);
            assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        }
        let closed = Server::alone(|_, _| Fate::Close);
        let project = Project::new(core, &config(&with_key(closed.url(), KEY, "variables = { A = \"1\" }")));
        project.apply().fails_with(&["The backend cannot be reached"]);
        assert!(closed.take().len() > 1, "it was tried again");
        drop(closed);
        project.apply().fails_with(&["The backend cannot be reached"]);
    }
}

on_each_core! {
    fn a_certificate_is_verified(core) {
        let backend = Backend::start();
        let (identity, other) = (Identity::new(), Identity::new());
        let server = Server::secured(backend.url(), &identity);
        let with_ca = |attributes: &str| with_key(server.url(), backend.key(), &format!("variables = {{ A = \"1\" }}\n {attributes}"));
        let pem = |identity: &Identity| format!("ca_pem = <<-PEM\n{}PEM\n", identity.authority());

        // Nobody knows this authority.
        let project = Project::new(core, &config(&with_ca("")));
        project.apply().fails_with(&["No trusted connection to the backend", "ca_pem"]);
        configure(&project, &with_ca(&pem(&other)));
        project.apply().fails_with(&["No trusted connection to the backend"]);
        configure(&project, &with_ca("ca_pem = \"nonsense\""));
        project.validate().fails_with(&["Invalid value for ca_pem"]);
        assert_eq!(server.take(), [], "nothing was said to a server nobody trusts");

        configure(&project, &with_ca(&pem(&identity)));
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("A").as_deref(), Some("1"));
        // Several authorities, as while one is replaced.
        let both = format!("ca_pem = <<-PEM\n{}{}PEM\n", other.authority(), identity.authority());
        configure(&project, &with_ca(&both));
        project.apply().ok();
        project.assert_no_changes();
        // Another name than the certificate's.
        let by_number = with_ca(&both).replace("localhost", "127.0.0.1");
        configure(&project, &by_number);
        project.apply().fails_with(&["No trusted connection to the backend"]);
        configure(&project, &with_ca(&both));
        project.destroy().ok();
        assert!(backend.variables().is_empty());
    }
}

on_each_core! {
    fn deploy_keys_of_convex_cloud_are_keys_like_any_other(core) {
        let backend = Backend::start();
        let server = Server::before(backend.url());
        for prefix in ["prod:", "dev:"] {
            let key = format!("{prefix}{}", backend.key());
            let project = Project::new(core, &config(&with_key(server.url(), &key, "variables = { A = \"1\" }")));
            project.apply().ok();
            project.assert_no_changes();
            assert_eq!(backend.get("A").as_deref(), Some("1"));
            project.destroy().ok();
            let header = format!("Convex {key}");
            for request in server.take() {
                assert_eq!(request.authorization.as_ref(), Some(&header), "{request}");
            }
        }
        // These name a project, and a self-hosted backend refuses them.
        for prefix in ["preview:", "project:"] {
            let project = |key: &str| Project::new(core, &config(&with_key(server.url(), key, "variables = { A = \"1\" }")));
            project(&format!("{prefix}{}", backend.key()))
                .validate()
                .fails_with(&["admin_key", prefix, "Convex Cloud", "Remove the prefix"]);
            project(&format!("{prefix}team:app|eyJ2MiI6"))
                .apply()
                .fails_with(&["does not accept the admin key", prefix, "Convex Cloud"]);
        }
    }
}

on_each_core! {
    fn a_key_need_not_be_kept(core) {
        let backend = Backend::start();
        let key = "variable \"key\" {\n type = string\n ephemeral = true\n}\n";
        let blocks = |attributes: &str| key.to_owned() + &env(backend.url(), &format!("admin_key_wo = var.key\n {attributes}"));
        let mut project = Project::new(core, &config(&blocks("variables = { A = \"1\" }\n secrets = { B = { value_wo = \"1\" } }\n auth = {}")));
        project.set_env("TF_VAR_key", backend.key());
        project.apply().ok();
        project.assert_no_changes();
        assert!(!project.read("terraform.tfstate").contains(backend.key()));
        let before = backend.variables();
        assert_eq!(before["JWT_ISSUER"], "http://127.0.0.1:3211");

        // Found while planning, since nothing can be read before.
        backend.set(&[("A", Some("2"))]);
        project.plan().ok().says(&["will be set again: A.", "1 to change"]);
        backend.set(&[("B", Some("2"))]);
        let plan = project.plan().ok().says(&[
            "Variables were changed outside Terraform", "will be set again: A.", r#"~ "B" = {"#, "1 to change",
        ]);
        assert!(!plan.text().contains("JWKS"), "{}", plan.text());
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.variables(), before);

        // An own plan for each change, also of a saved one.
        configure(&project, &blocks("variables = { A = \"3\" }\n auth = {}"));
        project.run(&["plan", "-no-color", "-out=plan.bin"]).ok();
        backend.set(&[("JWKS", Some("{}"))]);
        project.run(&["apply", "-no-color", "plan.bin"]).ok();
        project.apply().ok();
        project.assert_no_changes();
        assert_eq!(backend.get("A").as_deref(), Some("3"));
        assert_eq!(backend.get("JWKS"), before.get("JWKS").cloned());
        assert_eq!(backend.get("B"), None);

        // Without a key nothing can be removed, which is said before.
        project.run(&["plan", "-no-color", "-destroy"]).ok().says(&["The variables stay", "on_destroy"]);
        project.destroy().ok();
        assert_eq!(backend.get("A").as_deref(), Some("3"));
    }
}

/// One of the two may only turn out while applying.
#[test]
fn which_way_it_is_may_depend_on_what_is_made() {
    let backend = Backend::start();
    let blocks = format!(
        r#"
        resource "terraform_data" "which" {{ input = {:?} }}
        resource "convex_env" "app" {{
          deployment = startswith(terraform_data.which.output, "http") ? null : terraform_data.which.output
          url        = startswith(terraform_data.which.output, "http") ? terraform_data.which.output : null
          admin_key  = {:?}
          variables  = {{ A = "1" }}
          auth       = {{}}
        }}
        "#,
        backend.url(),
        backend.key()
    );
    let project = Project::new(Core::Installed, &config(&blocks));
    project.apply().ok();
    project.assert_no_changes();
    assert_eq!(backend.get("A").as_deref(), Some("1"));
    project.destroy().ok();
}

#[test]
fn who_does_not_want_to_wait_need_not() {
    // Terraform plans without looking whether it was interrupted, so both plans
    // get an answer.
    let server = Server::alone(|number, _| match number {
        0 | 1 => Fate::Answer(200, None, "{\"environmentVariables\":{}}".to_owned()),
        _ => Fate::Hang,
    });
    let blocks = with_key(server.url(), KEY, "variables = { A = \"1\" }");
    let project = Project::new(Core::Installed, &config(&blocks));
    let child = project
        .command(&["apply", "-no-color", "-auto-approve"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Terraform starts");
    let mut asked = 0;
    while asked < 3 {
        std::thread::sleep(Duration::from_millis(50));
        asked = server.count();
    }
    let started = Instant::now();
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let output = child.wait_with_output().expect("Terraform ends");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Terraform was interrupted"), "{said}");
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
}
