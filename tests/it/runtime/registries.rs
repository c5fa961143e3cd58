//! Images that only some may pull.

use std::{fs, path::Path};

use super::{blocks, project, quoted};
use crate::support::{
    docker::{Name, docker, images},
    registry::{Guard, Registry},
    sshd::program,
    terraform::Project,
};

/// Its two encodings in base64 differ, and so does what Docker makes of them.
const PASSWORD: &str = "p~?>~?>ä/+ ü:x";

fn attributes(registry: &Registry) -> String {
    format!("backend = {{ image = {:?} }}", registry.image())
}

fn auth(registry: &Registry, more: &str) -> String {
    format!("registry_auth = {{ {:?} = {{ {more} }} }}", registry.host())
}

/// Applies, and takes the image away again, so that the next one pulls too.
fn pulls(project: &Project, registry: &Registry) {
    project.apply().ok();
    project.assert_no_changes();
    let state = project.read("terraform.tfstate");
    assert!(!state.contains(PASSWORD), "the password is in the state");
    project.destroy().ok();
    docker(&["rmi", "--no-prune", &registry.image()]);
}

/// A directory for the docker command line with this configuration.
fn config(project: &mut Project, text: &str) {
    let directory = project.path().join("docker");
    fs::create_dir_all(&directory).expect("a directory");
    fs::write(directory.join("config.json"), text).expect("a file");
    project.set_env("DOCKER_CONFIG", &directory.display().to_string());
}

fn helper(project: &mut Project, script: &str) {
    let directory = project.path().join("bin");
    fs::create_dir_all(&directory).expect("a directory");
    program(&directory, "docker-credential-test", script);
    let path = std::env::var("PATH").expect("PATH");
    project.set_env("PATH", &format!("{}:{path}", directory.display()));
}

#[test]
fn an_image_is_pulled_with_the_credentials_that_are_configured() {
    let guard = Guard::Basic("me".into(), PASSWORD.into());
    let registry = Registry::start(&images().backend, guard);
    let name = Name::new();
    let password = |word: &str| {
        auth(
            &registry,
            &format!("username = \"me\", password = {}", quoted(word)),
        )
    };
    let mut project = project(&password(PASSWORD), &name, &attributes(&registry));
    config(&mut project, "{}");
    pulls(&project, &registry);
    assert_eq!(registry.take_refused(), Vec::<String>::new());

    project.write(
        "main.tf",
        &blocks(&password("hunter22"), &name, &attributes(&registry)),
    );
    let text = project
        .apply()
        .fails_with(&[
            "The registry refuses the image",
            &registry.image(),
            &format!("docker.registry_auth[\"{}\"]", registry.host()),
        ])
        .text();
    assert!(!text.contains("hunter22"), "{text}");
    assert!(!registry.take_refused().is_empty());

    project.write("main.tf", &blocks("", &name, &attributes(&registry)));
    project.apply().fails_with(&[
        "The registry refuses the image",
        "without credentials, because there are none for it",
        "docker login",
    ]);
    project.destroy().ok();
}

#[test]
fn an_identity_token_is_taken_to_the_login_service() {
    let registry = Registry::start(&images().backend, Guard::Identity("long-lived".into()));
    let name = Name::new();
    let token = |word: &str| auth(&registry, &format!("identity_token = {word:?}"));
    let mut project = project(&token("long-lived"), &name, &attributes(&registry));
    config(&mut project, "{}");
    pulls(&project, &registry);
    project.write(
        "main.tf",
        &blocks(&token("hunter22"), &name, &attributes(&registry)),
    );
    let text = project
        .apply()
        .fails_with(&["The registry refuses the image"])
        .text();
    assert!(!text.contains("hunter22"), "{text}");
    assert!(registry.take_refused().contains(&"hunter22".to_owned()));
    project.destroy().ok();
}

#[test]
fn credentials_of_the_docker_command_line_and_its_helpers_are_used() {
    let guard = Guard::Basic("me".into(), PASSWORD.into());
    let registry = Registry::start(&images().backend, guard);
    let name = Name::new();
    let mut project = project("", &name, &attributes(&registry));
    let host = registry.host();
    let encoded = {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.encode(format!("me:{PASSWORD}"))
    };
    config(
        &mut project,
        &format!(r#"{{"auths":{{"{host}":{{"auth":"{encoded}"}}}}}}"#),
    );
    pulls(&project, &registry);

    // It is asked for this registry alone, and sees nothing else.
    let asked = project.path().join("asked");
    let answer = format!(
        "#!/bin/sh\necho \"$@ $(cat)\" >>{}\nprintf '%s' '{{\"ServerURL\":\"x\",\"Username\":\"me\",\"Secret\":{}}}'\n",
        asked.display(),
        quoted(PASSWORD)
    );
    helper(&mut project, &answer);
    config(
        &mut project,
        &format!(r#"{{"credHelpers":{{"{host}":"test"}}}}"#),
    );
    pulls(&project, &registry);
    assert_eq!(
        fs::read_to_string(&asked).expect("a file"),
        format!("get {host}\n")
    );
    config(&mut project, r#"{"credsStore":"test"}"#);
    pulls(&project, &registry);

    helper(
        &mut project,
        "#!/bin/sh\necho 'the vault is locked'\nexit 1\n",
    );
    refuses(
        &project,
        &["docker-credential-test failed: the vault is locked"],
    );
    helper(
        &mut project,
        "#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n",
    );
    refuses(&project, &["there are none for it"]);
    config(&mut project, r#"{"credsStore":"that-is-not-there"}"#);
    refuses(
        &project,
        &["docker-credential-that-is-not-there is not installed"],
    );
    project.destroy().ok();
}

fn refuses(project: &Project, texts: &[&str]) {
    let texts = [&["The registry refuses the image"], texts].concat();
    project.apply().fails_with(&texts);
}

/// Nobody is asked for credentials where nothing is pulled.
#[test]
fn an_image_that_is_there_asks_no_helper() {
    let name = Name::new();
    let mut project = project("", &name, "");
    let asked = project.path().join("asked");
    helper(
        &mut project,
        &format!("#!/bin/sh\ntouch {}\nexit 1\n", asked.display()),
    );
    config(&mut project, r#"{"credsStore":"test"}"#);
    project.apply().ok();
    project.destroy().ok();
    assert!(!Path::new(&asked).exists());
}
