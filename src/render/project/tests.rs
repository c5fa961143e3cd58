use super::*;
use crate::{
    convex::{DashboardOrigin, Origins, SiteOrigin, auth_keys::KeySize, env_var::VarName},
    render::package_json::PackageManager,
};

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
        compose: true,
        agents: BTreeSet::new(),
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
        writes: Writes::Missing,
        from_environment: Vec::new(),
    }
}

fn paths(project: &Project) -> Vec<String> {
    let files = project.files();
    files.iter().map(|it| it.path.to_string()).collect()
}

fn scripts(project: &Project) -> BTreeMap<String, String> {
    additions::additions(project).scripts.into_iter().collect()
}

#[test]
fn every_file_of_the_recipe_is_there() {
    let project = project();
    let paths = paths(&project);
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
fn agents_get_files_only_on_request_and_tools_that_only_read() {
    let mut project = project();
    let of_agents = |project: &Project| -> Vec<Desired> {
        let files = project.files().into_iter();
        files
            .filter(|it| {
                it.path.as_str().starts_with(".agents/") || it.path.as_str() == ".mcp.json"
            })
            .collect()
    };
    assert_eq!(of_agents(&project), Vec::new());
    project.agents = [Agent::Skill, Agent::Mcp].into();
    let [skill, mcp, script] = &of_agents(&project)[..] else {
        panic!()
    };
    for (file, mode) in [
        (skill, Mode::Plain),
        (mcp, Mode::Plain),
        (script, Mode::Program),
    ] {
        assert_eq!((file.policy, file.mode), (Policy::Create, mode));
        assert!(!file.body.fresh().unwrap().expose().contains("01ab"));
    }
    let text = skill.body.fresh().unwrap();
    assert!(text.expose().starts_with("---\nname: convex-deployment\n"));
    assert!(
        text.expose()
            .contains("`.agents/skills/convex-deployment/read-only.sh data`")
    );
    let json: serde_json::Value = serde_json::from_str(mcp.body.fresh().unwrap().expose()).unwrap();
    let server = &json["mcpServers"]["convex"];
    assert_eq!(server["command"], script.path.as_str());
    let arguments: Vec<&str> = server["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let disabled = arguments.iter().position(|it| *it == "--disable-tools");
    let disabled: Vec<&str> = arguments[disabled.unwrap() + 1].split(',').collect();
    for changes in ["run", "envSet", "envRemove", "envGet"] {
        assert!(disabled.contains(&changes), "{changes}");
    }
    assert!(!arguments.iter().any(|it| it.starts_with("--dangerously")));
}

#[test]
fn scripts_have_no_port_of_their_own() {
    let mut directories = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/render/project/templates"
    ))];
    let mut read = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for port in ["3210", "3211", "6791"] {
                assert!(!text.contains(port), "{}: {port}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 30, "{read}");
}

#[test]
fn scripts_follow_the_addresses_of_the_deployment() {
    let mut project = project();
    let text = |project: &Project, path: &str| {
        let files = project.files();
        let file = files.iter().find(|it| it.path.as_str() == path).unwrap();
        file.body.fresh().unwrap().expose().to_owned()
    };
    let compose = |project: &Project| text(project, "docker-compose.convex.yml");
    assert!(compose(&project).contains("127.0.0.1:${CONVEX_API_PORT:-3210}:3210"));
    project.reach.public = Origins {
        api: ApiOrigin::parse("https://api.example").unwrap(),
        site: SiteOrigin::parse("http://localhost:4211").unwrap(),
        dashboard: DashboardOrigin::parse("https://localhost:8443").unwrap(),
    };
    project.url = Some(ApiOrigin::parse("http://127.0.0.1:4210").unwrap());
    for published in [
        "127.0.0.1:${CONVEX_API_PORT:-4210}:3210",
        "127.0.0.1:${CONVEX_SITE_PORT:-4211}:3211",
        "127.0.0.1:${CONVEX_DASHBOARD_PORT:-6791}:6791",
    ] {
        assert!(compose(&project).contains(published), "{published}");
    }
    for script in ["start-convex-backend.sh", SETUP] {
        let text = text(&project, script);
        for port in [
            "api_port=$(port CONVEX_API_PORT 4210)",
            "site_port=$(port CONVEX_SITE_PORT 4211)",
            "dashboard_port=$(port CONVEX_DASHBOARD_PORT 6791)",
        ] {
            assert!(text.contains(port), "{script}: {port}");
        }
    }
}

#[test]
fn no_hole_is_left_open() {
    let mut project = project();
    project.agents = [Agent::Skill, Agent::Mcp].into();
    let script = project.install_script(&Install {
        from_environment: vec![VarName::parse("OPENAI_API_KEY").unwrap()],
        ..install()
    });
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
        writes: Writes::MissingWithSecrets,
        ..install()
    });
    assert!(with.expose().contains("app|01ab") && with.expose().contains("hunter2"));
    assert!(with.expose().contains(r#"directory="$HOME"/'it'\''s'"#));
}

#[test]
fn the_command_line_reads_the_file_only_where_it_suffices() {
    let command = |project: &Project| scripts(project)["deploy:functions"].clone();
    let mut project = project();
    assert_eq!(
        command(&project),
        "npx convex deploy --yes --env-file .env.convex.local"
    );
    project.admin_key = None;
    assert_eq!(command(&project), "npx convex deploy --yes");
}

#[test]
fn nothing_that_is_written_touches_a_deployment_of_somebody_else() {
    let mut project = project();
    project.compose = false;
    for file in project.files() {
        assert!(file.mode != Mode::Program, "{}", file.path);
        let text = file.body.fresh().unwrap();
        for word in [
            "docker compose",
            "openssl",
            "update_environment_variables",
            "npm-run-all",
        ] {
            assert!(!text.expose().contains(word), "{word} in {}", file.path);
        }
    }
    assert_eq!(scripts(&project)["dev"], "vite --mode convex");
    project.frontend = false;
    assert_eq!(
        scripts(&project)["dev"],
        "convex dev --env-file .env.convex.local"
    );
}

#[test]
fn a_build_is_made_in_the_mode_of_its_env_file() {
    let scripts = scripts(&project());
    assert_eq!(scripts["build"], "vite build --mode convex");
    assert_eq!(scripts["preview"], "vite preview");
}

#[test]
fn a_repository_of_its_own_gets_the_env_file_alone() {
    let mut project = project();
    project.pattern = Pattern::None;
    project.compose = false;
    project.auth_keys = None;
    assert_eq!(paths(&project), [".gitignore", ".env.convex.local"]);
    let files = project.files();
    let ignored = files[0].body.fresh().unwrap();
    assert!(
        !ignored.expose().contains("node_modules"),
        "{}",
        ignored.expose()
    );
    let script = project.install_script(&install());
    assert!(!script.expose().contains("write_missing 'package.json'"));
    assert!(!script.expose().contains("JAVASCRIPT"));
}

#[test]
fn the_script_for_files_that_are_there_holds_none_of_them() {
    let script = project().install_script(&Install {
        writes: Writes::Nothing,
        ..install()
    });
    let script = script.expose();
    assert!(!script.contains("CONVEX_END_OF_FILE") && !script.contains("JAVASCRIPT"));
    assert!(
        script.contains("npx convex deploy") && script.lines().count() < 200,
        "{script}"
    );
}

#[test]
fn the_next_steps_are_commands_with_their_reasons() {
    let mut project = project();
    project.compose = false;
    project.site_url = Some("https://shop.example".to_owned());
    let steps = project.next_steps("/home/me/it's", PackageManager::Pnpm);
    let expected = r"
cd '/home/me/it'\''s'                        # enters the project
pnpm install                                 # installs its packages
pnpm run deploy:functions                    # deploys the functions in convex/
npx convex dev --env-file .env.convex.local  # deploys them at each change, until it is stopped
pnpm run dev                                 # serves the page at https://shop.example, until it is stopped
";
    assert_eq!(format!("\n{steps}"), expected);
    project.pattern = Pattern::None;
    project.admin_key = None;
    let steps = project.next_steps("/app", PackageManager::Npm);
    let expected = "
cd /app            # enters the project
npx convex deploy  # deploys the functions in convex/
npx convex dev     # deploys them at each change, until it is stopped
";
    assert_eq!(format!("\n{steps}"), expected);
}

#[test]
fn vite_serves_the_domain_of_the_origins() {
    let config = |project: &Project| {
        let files = project.files();
        let file = files.iter().find(|it| it.path.as_str() == VITE_CONFIG);
        file.unwrap().body.fresh().unwrap().expose().to_owned()
    };
    let mut project = project();
    assert!(!config(&project).contains("server"));
    let origin = |slug| format!("https://{slug}--dev--ann.apps.example.com");
    project.reach.public.api = ApiOrigin::parse(&origin("convex-api")).unwrap();
    project.site_url = Some(origin("frontend"));
    let text = config(&project);
    assert!(
        text.contains("allowedHosts: [\".apps.example.com\"],\n  },\n});\n"),
        "{text}"
    );
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
