use super::*;
use crate::convex::{Origins, auth_keys::KeySize};

fn project() -> Project {
    Project {
        name: "My App".to_owned(),
        reach: Reach {
            public: Origins::default(),
            internal: true,
        },
        url: Some(ApiOrigin::parse("http://127.0.0.1:3210").unwrap()),
        admin_key: Some(AdminKey::parse("app|01ab").unwrap()),
        database: Some(PostgresUrl::parse("postgres://u:hunter2@db/app").unwrap()),
        instance_name: InstanceName::parse("app").unwrap(),
        images: Images {
            backend: "backend:1".to_owned(),
            dashboard: "dashboard:1".to_owned(),
        },
        slugs: Slugs::default(),
        site_url: None,
        auth_keys: Some(AuthKeys::generate(KeySize::Rsa2048).unwrap()),
        pattern: Pattern::AiRag,
        frontend: true,
        policies: BTreeMap::new(),
    }
}

fn install() -> Install {
    Install {
        directory: "~/it's".to_owned(),
        manager: None,
        wait_s: 60,
        clone_wait_s: 5,
        deploy: true,
        secrets: false,
    }
}

#[test]
fn every_file_of_the_recipe_is_there() {
    let project = project();
    let paths: Vec<String> = project
        .files()
        .iter()
        .map(|it| it.path.to_string())
        .collect();
    for path in [
        ".gitignore",
        ".env.convex.local",
        ".env.convex.deployment",
        "jwt_private_key.pem",
        "package.json",
        "docker-compose.convex.yml",
        "convex-backend-entrypoint.sh",
        "start-convex-backend.sh",
        "scripts/setup-convex.sh",
        "scripts/init-convex-env.sh",
        "convex/schema.ts",
        "convex/auth.ts",
        "convex/auth.config.ts",
        "convex/router.ts",
        "convex/http.ts",
        "convex/tasks.ts",
        "convex/lib/user.ts",
        "convex/rag.ts",
        "convex/tsconfig.json",
        "src/main.tsx",
        "src/App.tsx",
    ] {
        assert!(paths.iter().any(|it| it == path), "{path} is missing");
    }
    let mut sorted = paths.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), paths.len(), "a path comes twice");
}

#[test]
fn no_hole_is_left_open() {
    let project = project();
    let script = project.install_script(&install());
    let files = project.files();
    let texts = files.iter().map(|it| it.body.fresh().unwrap());
    for text in texts.chain([script]) {
        let mut parts = text.expose().split('@').skip(1);
        let open = parts.find(|part| {
            part.len() > 2 && part.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        });
        assert_eq!(open, None);
    }
}

#[test]
fn what_is_secret_is_private_and_nothing_else_holds_a_secret() {
    let project = project();
    let pem = project.auth_keys.as_ref().unwrap().private_key_pem();
    let line = pem.expose().lines().nth(1).unwrap();
    for file in project.files() {
        let text = file.body.fresh().unwrap();
        let secrets = ["app|01ab", "hunter2", line];
        let has = secrets.iter().any(|it| text.expose().contains(it));
        assert!(!has || file.body.is_secret(), "{}", file.path);
        assert_eq!(
            file.body.is_secret(),
            file.mode == Mode::Private,
            "{}",
            file.path
        );
    }
}

#[test]
fn the_install_script_has_secrets_only_if_asked() {
    let project = project();
    let without = project.install_script(&install());
    for secret in ["app|01ab", "hunter2", "PRIVATE KEY-----\n"] {
        assert!(!without.expose().contains(secret), "{secret}");
    }
    let with = project.install_script(&Install {
        secrets: true,
        ..install()
    });
    assert!(with.expose().contains("app|01ab") && with.expose().contains("hunter2"));
    assert!(with.expose().contains(r#"directory="$HOME"/'it'\''s'"#));
}

#[test]
fn the_command_line_reads_the_file_only_where_it_suffices() {
    let command = |project: &Project| {
        let additions = additions::additions(project);
        let found = additions
            .scripts
            .iter()
            .find(|(name, _)| name == "deploy:functions");
        found.unwrap().1.clone()
    };
    let mut project = project();
    assert_eq!(
        command(&project),
        "npx convex deploy --yes --env-file .env.convex.local"
    );
    project.admin_key = None;
    assert_eq!(command(&project), "npx convex deploy --yes");
}

#[test]
fn the_ports_and_names_do_not_collide_between_projects() {
    let compose = project().compose();
    let Body::Text(text) = &compose[0].body else {
        panic!("text");
    };
    assert!(text.contains("name: convex-my-app\n"));
    assert!(!text.contains("container_name"));
    assert!(text.contains("127.0.0.1:${CONVEX_API_PORT:-3210}:3210"));
}
