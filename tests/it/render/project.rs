//! The files of a project, read by the programs they are for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use tempfile::TempDir;
use terraform_provider_convex::{
    convex::{
        AdminKey, ApiOrigin, AuthKeys, DashboardOrigin, InstanceName, Origins, PostgresUrl, Reach,
        SiteOrigin, auth_keys::KeySize, coder::Slugs, env_var::VarName,
    },
    project::{bring, target::LocalDirectory},
    render::{
        files::Body,
        package_json::PackageManager,
        project::{Agent, Images, Install, Pattern, Project, Writes},
    },
};

use crate::support::{apps, backend::Backend, compose::compose, tools};

/// A project with everything.
pub fn project() -> Project {
    Project {
        name: "shop".to_owned(),
        reach: Reach {
            public: Origins {
                api: ApiOrigin::parse("https://api.example").unwrap(),
                site: SiteOrigin::parse("https://site.example").unwrap(),
                dashboard: DashboardOrigin::parse("https://dashboard.example").unwrap(),
            },
            internal: true,
        },
        url: Some(ApiOrigin::parse("http://127.0.0.1:3210").unwrap()),
        admin_key: Some(AdminKey::parse("app|01ab").unwrap()),
        database: Some(PostgresUrl::parse("postgres://u:p@db/app?sslmode=disable").unwrap()),
        instance_name: InstanceName::parse("app").unwrap(),
        images: Images {
            backend: "backend:1".to_owned(),
            dashboard: "dashboard:1".to_owned(),
        },
        slugs: Slugs::default(),
        site_url: Some("http://localhost:5173".to_owned()),
        auth_keys: Some(AuthKeys::generate(KeySize::Rsa2048).unwrap()),
        pattern: Pattern::MinimalAuth,
        frontend: true,
        compose: true,
        agents: BTreeSet::new(),
        policies: BTreeMap::new(),
    }
}

pub fn install(directory: &Path) -> Install {
    Install {
        directory: directory.display().to_string(),
        manager: None,
        wait_s: 10,
        clone_wait_s: 0,
        deploy: true,
        writes: Writes::MissingWithSecrets,
        from_environment: Vec::new(),
    }
}

/// Runs a program that must succeed, and returns what it printed.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stdout}{stderr}");
    stdout
}

#[test]
fn shellcheck_has_nothing_to_say_of_any_script() {
    let directory = TempDir::new().unwrap();
    let mut scripts = vec![(
        "install.sh".to_owned(),
        project().install_script(&install(directory.path())),
    )];
    let without = Install {
        deploy: false,
        writes: Writes::Nothing,
        ..install(directory.path())
    };
    scripts.push((
        "install-only.sh".to_owned(),
        project().install_script(&without),
    ));
    let own = Project {
        pattern: Pattern::None,
        ..project()
    };
    scripts.push((
        "install-own.sh".to_owned(),
        own.install_script(&install(directory.path())),
    ));
    for file in project().files() {
        if let Body::Text(text) = &file.body
            && text.starts_with("#!")
        {
            scripts.push((file.path.as_str().replace('/', "-"), text.as_str().into()));
        }
    }
    let sets = Install {
        from_environment: vec![VarName::parse("OPENAI_API_KEY").unwrap()],
        ..install(directory.path())
    };
    scripts.push((
        "install-variables.sh".to_owned(),
        project().install_script(&sets),
    ));
    assert_eq!(scripts.len(), 8);
    for (name, text) in &scripts {
        apps::write(directory.path(), name, text.expose());
    }
    let names = scripts.iter().map(|(name, _)| name);
    run(Command::new("shellcheck")
        .args(names)
        .current_dir(directory.path()));
}

#[tokio::test]
async fn docker_compose_takes_the_compose_file() {
    let app = TempDir::new().unwrap();
    bring(
        &LocalDirectory::new(app.path()),
        &project().files(),
        &BTreeMap::new(),
    )
    .await
    .unwrap();
    let arguments = [
        "--env-file",
        ".env.convex.local",
        "-f",
        "docker-compose.convex.yml",
        "config",
        "--format",
        "json",
    ];
    let printed = run(&mut compose(app.path(), &arguments));
    let config: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(config["name"], "convex-shop");
    let backend = &config["services"]["convex-backend"];
    assert_eq!(backend["image"], "backend:1");
    assert_eq!(backend["stop_signal"], "SIGINT");
    assert_eq!(
        backend["environment"]["CONVEX_SITE_ORIGIN"],
        "http://127.0.0.1:3211"
    );
    assert_eq!(
        backend["environment"]["POSTGRES_URL"],
        "postgres://u:p@db?sslmode=disable"
    );
    assert_eq!(backend["ports"][0]["host_ip"], "127.0.0.1");
    let dashboard = &config["services"]["convex-dashboard"];
    assert_eq!(
        dashboard["environment"]["NEXT_PUBLIC_DEPLOYMENT_URL"],
        "https://api.example"
    );
    assert_eq!(
        dashboard["depends_on"]["convex-backend"]["condition"],
        "service_healthy"
    );
}

/// A backend that does nothing but answer.
fn backend() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    url
}

/// A directory of programs that note how they were called, and succeed.
fn noting(names: &[&str]) -> (TempDir, PathBuf) {
    let directory = TempDir::new().unwrap();
    let log = directory.path().join("log");
    for name in names {
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >>{}\n",
            log.display()
        );
        apps::write(directory.path(), name, &script);
        let file = directory.path().join(name);
        fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    (directory, log)
}

/// Runs the install script of a project; whether it succeeded, and what it said.
fn run_install(project: &Project, install: &Install, programs: Option<&Path>) -> (bool, String) {
    let output = outcome_of_install(project, install, programs);
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn outcome_of_install(project: &Project, install: &Install, programs: Option<&Path>) -> Output {
    outcome_in(&[], project, install, programs)
}

/// Runs it with these variables in its environment.
fn outcome_in(
    environment: &[(&str, &str)],
    project: &Project,
    install: &Install,
    programs: Option<&Path>,
) -> Output {
    let script = TempDir::new().unwrap();
    apps::write(
        script.path(),
        "install.sh",
        project.install_script(install).expose(),
    );
    let path = std::env::var("PATH").unwrap();
    let path = programs.map_or(path.clone(), |it| format!("{}:{path}", it.display()));
    Command::new("bash")
        .arg(script.path().join("install.sh"))
        .env_clear()
        .env("PATH", path)
        .env("HOME", script.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

#[tokio::test]
async fn the_install_script_writes_what_the_provider_would_write() {
    let starts: [(apps::LayOut, &str, &str); 4] = [
        (apps::empty, "", "npm"),
        (apps::vite_react, "", "npm"),
        (apps::existing_convex, "", "yarn"),
        (apps::pnpm_monorepo, "apps/web", "pnpm"),
    ];
    for (lay_out, below, manager) in starts {
        let (programs, log) = noting(&["npm", "pnpm", "yarn", "npx"]);
        let (scripted, provided) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        lay_out(scripted.path());
        lay_out(provided.path());
        let mut project = project();
        project.url = Some(ApiOrigin::parse(&backend()).unwrap());
        // Keys are for doing by hand what the provider has done.
        project.auth_keys = None;
        let app = scripted.path().join(below);
        let install = install(&app);
        let (ok, said) = run_install(&project, &install, Some(programs.path()));
        assert!(ok, "{said}");
        let called = fs::read_to_string(&log).unwrap();
        assert_eq!(
            called,
            format!("{manager} install\nnpx convex deploy --yes --env-file .env.convex.local\n")
        );
        let first = apps::files(scripted.path());
        let target = LocalDirectory::new(provided.path().join(below));
        bring(&target, &project.files(), &BTreeMap::new())
            .await
            .unwrap();
        let expected = apps::files(provided.path());
        for (path, (content, bits)) in &expected {
            let (scripted, scripted_bits) = first.get(path).unwrap_or_else(|| panic!("no {path}"));
            assert_eq!(bits, scripted_bits, "{path}");
            // Both have the same variables, in words of their own.
            if path.ends_with(".env.convex.local") || path.ends_with(".gitignore") {
                continue;
            }
            assert_eq!(
                String::from_utf8_lossy(scripted),
                String::from_utf8_lossy(content),
                "{path}"
            );
        }
        assert_eq!(first.len(), expected.len());
        // Again at the next start: nothing is written, and nothing installed.
        let (ok, said) = run_install(&project, &install, Some(programs.path()));
        assert!(ok, "{said}");
        assert_eq!(apps::files(scripted.path()), first);
        let called = fs::read_to_string(&log).unwrap();
        assert_eq!(called.matches("install").count(), 1, "{called}");
    }
}

#[test]
fn the_install_script_names_the_step_that_failed_and_what_to_do() {
    let (programs, _) = noting(&["npm", "npx"]);
    let fails = |name: &str| {
        apps::write(programs.path(), name, "#!/bin/sh\necho the cause\nexit 1\n");
    };
    let app = TempDir::new().unwrap();
    let mut project = project();
    let mut install = install(app.path());
    install.wait_s = 1;
    project.url = Some(ApiOrigin::parse("http://127.0.0.1:9").unwrap());
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(
        !ok && said.contains("FAILED at \"wait for the backend\""),
        "{said}"
    );
    assert!(
        said.contains("next: see whether the backend runs"),
        "{said}"
    );
    // What is there already stays as it was when it was first found.
    fs::remove_file(app.path().join(".env.convex.local")).unwrap();
    project.url = Some(ApiOrigin::parse(&backend()).unwrap());
    fails("npx");
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(
        !ok && said.contains("FAILED at \"deploy functions\""),
        "{said}"
    );
    assert!(
        said.contains("the cause") && said.contains("next: see above"),
        "{said}"
    );
    for flag in ["--skip-large-indexes-check", "--allow-unstaging-schema"] {
        let says =
            format!("#!/bin/sh\necho 'run the deploy command with the {flag} flag' >&2\nexit 1\n");
        apps::write(programs.path(), "npx", &says);
        let (_, said) = run_install(&project, &install, Some(programs.path()));
        let next = format!("npx convex deploy --yes {flag}");
        assert!(said.contains(&next), "{said}");
    }
    fs::remove_dir_all(app.path().join("node_modules")).unwrap();
    fails("npm");
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(
        !ok && said.contains("FAILED at \"dependencies\": npm install failed"),
        "{said}"
    );
    install.manager = Some(PackageManager::Bun);
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(!ok && said.contains("there is no bun here"), "{said}");
    apps::write(app.path(), "package.json", "{ broken");
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(!ok && said.contains("FAILED at \"package.json\""), "{said}");
    // Without a key in script, file and environment there is nothing to deploy with.
    let bare = TempDir::new().unwrap();
    project.admin_key = None;
    let (programs, _) = noting(&["npm", "npx"]);
    let install = Install {
        directory: bare.path().display().to_string(),
        manager: None,
        ..install
    };
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(
        !ok && said.contains("CONVEX_SELF_HOSTED_ADMIN_KEY is not set"),
        "{said}"
    );
}

#[test]
fn a_node_that_the_packages_refuse_ends_the_install_script_before_they_are_installed() {
    let (programs, log) = noting(&["npm", "npx", "node"]);
    let node = tools::on_path("node");
    let app = TempDir::new().unwrap();
    for (version, ends) in [("18.20.8", true), ("20.9.0", true), ("20.19.0", false)] {
        let poses = format!(
            "#!/bin/sh\n[ \"$1\" != --version ] || exec echo v{version}\nexec {} --import 'data:text/javascript,Object.defineProperty(process, \"versions\", {{ value: {{ node: \"{version}\" }} }})' \"$@\"\n",
            node.display()
        );
        apps::write(programs.path(), "node", &poses);
        let mut project = project();
        project.url = Some(ApiOrigin::parse(&backend()).unwrap());
        let (ok, said) = run_install(&project, &install(app.path()), Some(programs.path()));
        assert_eq!(!ok, ends, "{version}: {said}");
        assert_eq!(!log.exists(), ends, "{version}: {said}");
        if ends {
            let problem = format!("Node.js v{version} is too old");
            assert!(
                said.contains(&problem) && said.contains("22.12 or newer"),
                "{said}"
            );
        }
    }
}

#[test]
fn variables_of_the_environment_are_set_in_one_request_and_written_nowhere() {
    let (programs, log) = noting(&["npm", "npx", "node"]);
    let wrapped = format!(
        "#!/bin/sh\nprintf '%s\\n' \"node $*\" >>{}\nexec {} \"$@\"\n",
        log.display(),
        tools::on_path("node").display()
    );
    apps::write(programs.path(), "node", &wrapped);
    let app = TempDir::new().unwrap();
    let backend = Backend::start();
    backend.set(&[
        ("SAME", Some("hunter2 same")),
        ("KEPT", Some("hunter2 kept")),
    ]);
    let mut project = project();
    project.url = Some(ApiOrigin::parse(backend.url()).unwrap());
    project.admin_key = Some(AdminKey::parse(backend.key()).unwrap());
    let mut install = install(app.path());
    let names = ["OPENAI_API_KEY", "SAME", "KEPT", "PEM"];
    install.from_environment = names.map(|it| VarName::parse(it).unwrap()).to_vec();
    let environment = [
        ("OPENAI_API_KEY", "hunter2 \"$(x)' é"),
        ("SAME", "hunter2 same"),
        ("PEM", "hunter2\nof two lines"),
        ("OTHER", "hunter2 other"),
    ];
    let run = |environment: &[(&str, &str)], project: &Project| {
        let output = outcome_in(environment, project, &install, Some(programs.path()));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let sets = |backend: &Backend| {
        let requests = backend.requests();
        let is_set = |it: &&String| it.contains("update_environment_variables");
        requests.iter().filter(is_set).count()
    };
    sets(&backend);
    let (ok, told, failures) = run(&environment, &project);
    assert!(ok && failures.is_empty(), "{told}{failures}");
    let expected = [
        ("KEPT", "hunter2 kept"),
        environment[0],
        environment[2],
        environment[1],
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(backend.variables(), expected.into());
    assert_eq!(sets(&backend), 1);
    assert!(told.contains("set: OPENAI_API_KEY, PEM\n"), "{told}");
    assert!(
        told.contains("KEPT is not set in this environment: the deployment keeps"),
        "{told}"
    );
    let called = fs::read_to_string(&log).unwrap();
    let order = ["node - OPENAI_API_KEY SAME KEPT PEM", "npx convex deploy"];
    let places = order.map(|it| called.find(it).unwrap_or_else(|| panic!("{it}: {called}")));
    assert!(places[0] < places[1], "{called}");
    assert!(
        !format!("{called}{told}").contains("hunter2"),
        "{called}{told}"
    );
    for (path, (content, _)) in apps::files(app.path()) {
        assert!(
            !String::from_utf8_lossy(&content).contains("hunter2"),
            "{path}"
        );
    }

    // At the next start nothing has changed, and nothing is sent.
    let (ok, told, failures) = run(&environment, &project);
    assert!(ok, "{told}{failures}");
    assert_eq!(sets(&backend), 0);

    // A deployment without a value, or with another key.
    backend.set(&[("SAME", None), ("KEPT", None), ("PEM", None)]);
    sets(&backend);
    let env_file = app.path().join(".env.convex.local");
    fs::remove_file(&env_file).unwrap();
    let (ok, told, failures) = run(&[("SAME", ""), ("PEM", "hunter2")], &project);
    assert!(!ok, "{told}");
    for part in [
        "SAME is empty in this environment, and the deployment has no value for it",
        "KEPT is not set in this environment",
        "FAILED at \"variables from the environment\"",
        "next: add them to the environment of the workspace, such as with a user secret",
    ] {
        assert!(failures.contains(part), "no {part:?} in {failures}");
    }
    assert_eq!(sets(&backend), 1);
    let called = fs::read_to_string(&log).unwrap();
    assert_eq!(called.matches("npx convex deploy").count(), 3, "{called}");
    fs::remove_file(&env_file).unwrap();
    let stale = format!(
        "{}|{}",
        InstanceName::parse("elsewhere").unwrap(),
        "0".repeat(70)
    );
    project.admin_key = Some(AdminKey::parse(&stale).unwrap());
    let (ok, _, failures) = run(&environment, &project);
    let refused = "the backend does not accept CONVEX_SELF_HOSTED_ADMIN_KEY";
    assert!(!ok && failures.contains(refused), "{failures}");
    assert!(!failures.contains("hunter2") && !failures.contains(&stale));
}

#[test]
fn agents_run_the_command_line_with_the_key_that_only_reads() {
    let mut project = project();
    project.agents = [Agent::Skill].into();
    let files = project.files();
    let script = files
        .iter()
        .find(|it| it.path.as_str().ends_with("/read-only.sh"));
    let script = script.expect("the script");
    let Body::Text(text) = &script.body else {
        panic!("text");
    };
    let (programs, _) = noting(&["npx"]);
    let app = TempDir::new().unwrap();
    apps::write(app.path(), script.path.as_str(), text);
    apps::write(
        app.path(),
        ".env.convex.local",
        "CONVEX_SELF_HOSTED_URL='http://a:1'\nCONVEX_SELF_HOSTED_ADMIN_KEY='app|01full'\n",
    );
    apps::write(
        programs.path(),
        "npx",
        "#!/bin/sh\necho \"$CONVEX_SELF_HOSTED_URL $CONVEX_SELF_HOSTED_ADMIN_KEY $*\"\n",
    );
    let run = |environment: &[(&str, &str)]| {
        Command::new("bash")
            .arg(app.path().join(script.path.as_str()))
            .args(["data", "tasks"])
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", programs.path().display()),
            )
            .env("CONVEX_SELF_HOSTED_ADMIN_KEY", "app|01full")
            .envs(environment.iter().copied())
            .output()
            .unwrap()
    };
    let without = run(&[]);
    assert!(!without.status.success());
    assert!(String::from_utf8_lossy(&without.stderr).contains("CONVEX_READ_ONLY_KEY is not set"));
    let with = run(&[("CONVEX_READ_ONLY_KEY", "app|01read")]);
    let said = String::from_utf8(with.stdout).unwrap();
    assert_eq!(said, "http://a:1 app|01read convex data tasks\n");
}

/// Coder shows standard error as errors.
#[test]
fn progress_goes_to_standard_output_and_failures_to_standard_error() {
    let (programs, _) = noting(&["npm", "npx"]);
    let app = TempDir::new().unwrap();
    let mut project = project();
    project.url = Some(ApiOrigin::parse(&backend()).unwrap());
    let mut install = install(app.path());
    let run = |project: &Project, install: &Install| {
        let output = outcome_of_install(project, install, Some(programs.path()));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (ok, told, failures) = run(&project, &install);
    assert!(ok && failures.is_empty(), "{told}{failures}");
    for progress in [
        "convex: files",
        "wrote convex/schema.ts",
        "up to 10 s, at",
        "convex: ready",
    ] {
        assert!(told.contains(progress), "no {progress:?} in {told}");
    }
    // A wait says what it waits for and how long, and then that it goes on.
    project.url = Some(ApiOrigin::parse("http://127.0.0.1:9").unwrap());
    install.wait_s = 15;
    fs::remove_file(app.path().join(".env.convex.local")).unwrap();
    let (ok, told, failures) = run(&project, &install);
    assert!(!ok);
    assert!(
        told.contains("up to 15 s, at http://127.0.0.1:9/version"),
        "{told}"
    );
    assert!(told.contains("no answer yet after 1"), "{told}");
    assert!(
        failures.lines().count() == 2 && failures.contains("FAILED at"),
        "{failures}"
    );
}

#[test]
fn a_repository_of_its_own_is_left_as_it_is_but_for_the_env_file() {
    let (programs, log) = noting(&["yarn", "npx"]);
    let home = TempDir::new().unwrap();
    let app = home.path().join("shop");
    let mut project = project();
    project.pattern = Pattern::None;
    project.compose = false;
    project.auth_keys = None;
    project.url = Some(ApiOrigin::parse(&backend()).unwrap());
    let install = Install {
        directory: app.display().to_string(),
        ..install(home.path())
    };
    // A clone finds no directory in its way.
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(ok && said.contains("clone your repository to"), "{said}");
    assert!(!app.exists() && !log.exists());
    fs::create_dir(&app).unwrap();
    apps::existing_convex(&app);
    fs::remove_file(app.join(".env.convex.local")).unwrap();
    let before = apps::files(&app);
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(ok, "{said}");
    let mut after = apps::files(&app);
    let env = after.remove(".env.convex.local").unwrap();
    assert!(
        String::from_utf8(env.0)
            .unwrap()
            .contains("CONVEX_SELF_HOSTED_ADMIN_KEY")
    );
    let ignored = after.remove(".gitignore").unwrap();
    assert!(ignored.0.starts_with(&before[".gitignore"].0));
    after.retain(|path, _| !path.starts_with("node_modules/"));
    for (path, file) in &after {
        assert_eq!(before.get(path), Some(file), "{path}");
    }
    // Packages of its own lock file, and its own functions.
    assert!(
        fs::read_to_string(&log)
            .unwrap()
            .ends_with("npx convex deploy --yes --env-file .env.convex.local\n")
    );
    fs::remove_dir_all(app.join("convex")).unwrap();
    let (ok, said) = run_install(&project, &install, Some(programs.path()));
    assert!(
        ok && said.contains("there are no functions to deploy"),
        "{said}"
    );
}
