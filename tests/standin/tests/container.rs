//! The images, in real containers.

use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{crate_folder, must, run, wait_for};

struct Names {
    backend: String,
    dashboard: String,
}

/// Builds the images where they do not exist yet.
fn images() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| {
        let printed = must(&mut Command::new(crate_folder().join("image")));
        let lines: Vec<_> = printed.lines().collect();
        let [backend, dashboard] = lines[..] else {
            panic!("not two lines: {printed}")
        };
        Names {
            backend: backend.strip_prefix("BACKEND=").unwrap().to_owned(),
            dashboard: dashboard.strip_prefix("DASHBOARD=").unwrap().to_owned(),
        }
    })
}

fn docker(arguments: &[&str]) -> String {
    must(Command::new("docker").args(arguments))
        .trim_end()
        .to_owned()
}

fn inspect(what: &str) -> Value {
    serde_json::from_str::<Value>(&docker(&["inspect", what])).unwrap()[0].take()
}

/// A container that is removed, with its volume, when the test ends.
struct Container(String);

impl Container {
    fn run(image: &str, arguments: &[&str]) -> Self {
        let mut whole = vec!["run", "--detach", "--stop-signal", "SIGINT"];
        whole.extend(arguments);
        whole.push(image);
        Self(docker(&whole))
    }

    fn backend(arguments: &[&str]) -> Self {
        Self::run(&images().backend, arguments)
    }

    fn exec(&self, command: &[&str]) -> String {
        docker(&[&["exec", &self.0], command].concat())
    }

    fn wait_until_healthy(&self) {
        wait_for("the container is healthy", || {
            let curl = [
                "exec",
                &self.0,
                "curl",
                "-fsS",
                "http://localhost:3210/version",
            ];
            run(Command::new("docker").args(curl))
                .status
                .success()
                .then_some(())
        });
    }

    /// The code that it ended with, once it has.
    fn code(&self) -> Option<i64> {
        let state = &inspect(&self.0)["State"];
        (state["Status"] == "exited").then(|| state["ExitCode"].as_i64().unwrap())
    }

    fn log(&self) -> String {
        let output = run(Command::new("docker").args(["logs", &self.0]));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(run(Command::new("docker").args([
            "rm",
            "--force",
            "--volumes",
            &self.0,
        ])));
    }
}

#[test]
fn the_images_look_like_the_real_ones_and_say_what_they_are() {
    let backend = inspect(&images().backend)["Config"].take();
    assert_eq!(backend["Entrypoint"], json!(["./run_backend.sh"]));
    assert_eq!(backend["WorkingDir"], "/convex");
    assert_eq!(backend["Volumes"], json!({ "/convex/data": {} }));
    assert_eq!(
        backend["ExposedPorts"],
        json!({ "3210/tcp": {}, "3211/tcp": {} })
    );
    let dashboard = inspect(&images().dashboard)["Config"].take();
    assert_eq!(dashboard["User"], "nextjs");
    assert_eq!(dashboard["ExposedPorts"], json!({ "6791/tcp": {} }));
    for config in [backend, dashboard] {
        assert_eq!(
            config["Labels"]["org.opencontainers.image.title"],
            "convex stand-in"
        );
        let revision = config["Labels"]["org.opencontainers.image.revision"]
            .as_str()
            .unwrap();
        assert!(
            revision.len() == 40 && images().backend.ends_with(revision),
            "{revision}"
        );
    }
}

#[test]
fn building_again_changes_nothing_and_is_quick() {
    let before = inspect(&images().backend)["Id"].take();
    let begin = Instant::now();
    must(&mut Command::new(crate_folder().join("image")));
    assert!(
        begin.elapsed() < Duration::from_secs(5),
        "took {:?}",
        begin.elapsed()
    );
    assert_eq!(inspect(&images().backend)["Id"], before);
}

#[test]
fn a_backend_serves_and_makes_its_own_admin_key() {
    let backend = Container::backend(&["--env", "INSTANCE_NAME=app"]);
    backend.wait_until_healthy();
    let key = backend.exec(&["./generate_admin_key.sh"]);
    assert!(key.starts_with("app|01"), "{key}");
    let header = format!("Authorization: Convex {key}");
    let update = r#"{"changes":[{"name":"A","value":"1"}]}"#;
    let json = "Content-Type: application/json";
    let url = "http://localhost:3210/api/update_environment_variables";
    backend.exec(&["curl", "-fsS", "-H", &header, "-H", json, "-d", update, url]);
    let list = [
        "curl",
        "-fsS",
        "-H",
        &header,
        "http://localhost:3210/api/list_environment_variables",
    ];
    assert_eq!(backend.exec(&list), r#"{"environmentVariables":{"A":"1"}}"#);
    assert_eq!(
        backend.exec(&["curl", "-fsS", "http://localhost:3211/version"]),
        "unknown"
    );

    docker(&["restart", &backend.0]);
    backend.wait_until_healthy();
    assert_eq!(backend.exec(&list), r#"{"environmentVariables":{"A":"1"}}"#);
}

#[test]
fn a_backend_is_process_1_and_heeds_sigint_only() {
    let backend = Container::backend(&[]);
    backend.wait_until_healthy();
    assert!(
        backend
            .exec(&["cat", "/proc/1/cmdline"])
            .starts_with("./convex-local-backend")
    );
    docker(&["kill", "--signal", "TERM", &backend.0]);
    sleep(Duration::from_millis(500));
    assert_eq!(backend.code(), None);
    let begin = Instant::now();
    docker(&["stop", "--time", "10", &backend.0]);
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "took {:?}",
        begin.elapsed()
    );
    assert_eq!(backend.code(), Some(0));
    assert!(backend.log().contains("this is the stand-in for tests"));
}

#[test]
fn a_backend_that_does_not_serve_yet_loses_the_signal_that_stops_it() {
    let backend = Container::backend(&["--env", "STANDIN_FAULTS=start_delay_ms=3000"]);
    wait_for("the process starts", || {
        backend.log().contains("this is the stand-in").then_some(())
    });
    docker(&["kill", "--signal", "INT", &backend.0]);
    // It goes on starting.
    backend.wait_until_healthy();
    docker(&["kill", "--signal", "INT", &backend.0]);
    assert_eq!(wait_for("the container ends", || backend.code()), 0);
}

/// A volume of a few megabytes, and a container that keeps it while others come and go.
struct SmallDisk {
    volume: String,
    keeper: Container,
}

impl SmallDisk {
    fn new(name: &str) -> Self {
        let volume = format!("standin-{name}-{}", std::process::id());
        let options = ["type=tmpfs", "device=tmpfs", "o=size=4m"];
        let options = options.iter().flat_map(|it| ["--opt", it]);
        let create: Vec<_> = ["volume", "create"].into_iter().chain(options).collect();
        docker(&[&create[..], &[volume.as_str()]].concat());
        let mount = format!("{volume}:/disk");
        let arguments = [
            "--volume",
            &mount,
            "--entrypoint",
            "sleep",
            &images().backend,
        ];
        let whole = [&["run", "--detach"], &arguments[..], &["600"]].concat();
        let keeper = Container(docker(&whole));
        Self { volume, keeper }
    }

    fn backend(&self) -> Container {
        Container::backend(&["--volume", &format!("{}:/convex/data", self.volume)])
    }

    fn fill(&self) {
        self.keeper
            .exec(&["sh", "-c", "cat /dev/zero >/disk/fill 2>/dev/null || true"]);
    }

    fn free(&self) {
        self.keeper.exec(&["rm", "/disk/fill"]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let remove = ["rm", "--force", "--volumes", &self.keeper.0];
        drop(run(Command::new("docker").args(remove)));
        drop(run(Command::new("docker").args([
            "volume",
            "rm",
            "--force",
            &self.volume,
        ])));
    }
}

/// Sets a variable; returns the status, where the container lives long enough to tell it.
fn set(backend: &Container, key: &str) -> String {
    let header = format!("Authorization: Convex {key}");
    let update = r#"{"changes":[{"name":"A","value":"1"}]}"#;
    let url = "http://localhost:3210/api/update_environment_variables";
    let write = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", &header];
    let send = ["--json", update, url];
    let command = [&["exec", &backend.0, "curl"], &write[..], &send[..]].concat();
    let output = run(Command::new("docker").args(command));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_full_disk_ends_the_backend_at_a_write_and_again_at_every_start() {
    let disk = SmallDisk::new("full");
    let backend = disk.backend();
    backend.wait_until_healthy();
    let key = backend.exec(&["./generate_admin_key.sh"]);
    assert_eq!(set(&backend, &key), "200");
    disk.fill();
    set(&backend, &key);
    assert_eq!(wait_for("the container ends", || backend.code()), 0);
    assert!(backend.log().contains("HTTP/1.1\" 500 "));
    assert!(
        backend
            .log()
            .contains("Write failed. Unsure if transaction committed to disk.")
    );

    docker(&["start", &backend.0]);
    assert_eq!(
        wait_for("the container ends", || backend
            .code()
            .filter(|code| *code != 0)),
        1
    );
    let log = backend.log();
    assert!(log.contains("Error: database or disk is full"), "{log}");
    disk.free();
    docker(&["start", &backend.0]);
    backend.wait_until_healthy();
    assert_eq!(set(&backend, &key), "200");
}

#[test]
fn a_disk_that_has_been_full_for_a_while_looks_like_conflicts() {
    let disk = SmallDisk::new("filled");
    let backend = disk.backend();
    backend.wait_until_healthy();
    let key = backend.exec(&["./generate_admin_key.sh"]);
    disk.fill();
    wait_for("the backend notices", || {
        backend
            .log()
            .contains("database or disk is full")
            .then_some(())
    });
    assert_eq!(set(&backend, &key), "500");
    disk.free();
    assert_eq!(set(&backend, &key), "503");
    assert_eq!(wait_for("the container ends", || backend.code()), 0);
}

#[test]
fn a_backend_runs_as_root_only() {
    let image = images().backend.as_str();
    let output = run(Command::new("docker").args(["run", "--rm", "--user", "1000", image]));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("permission denied"));
}

#[test]
fn an_empty_disable_beacon_ends_the_container() {
    let backend = Container::backend(&["--env", "DISABLE_BEACON="]);
    assert_eq!(wait_for("the container ends", || backend.code()), 2);
}

#[test]
fn the_shell_has_the_tools_that_people_use() {
    let backend = Container::backend(&[]);
    let script = "sleep 0.1 && printf ab | od -An -tx1 && head -c 2 /etc/passwd && test -r /etc/ssl/certs/ca-certificates.crt";
    assert_eq!(backend.exec(&["sh", "-c", script]), " 61 62\nro");
    assert!(backend.exec(&["curl", "--version"]).starts_with("curl "));
    let script =
        "node --input-type=module -e 'await import(\"node:vm\"); console.log(typeof fetch)'";
    assert_eq!(backend.exec(&["sh", "-c", script]), "function");
}

#[test]
fn a_dashboard_serves_its_page_and_is_not_root() {
    let environment = ["--env", "NEXT_PUBLIC_DEPLOYMENT_URL=https://api.example"];
    let dashboard = Container::run(&images().dashboard, &environment);
    let page = wait_for("the dashboard is healthy", || {
        let curl = [
            "exec",
            &dashboard.0,
            "curl",
            "-fsS",
            "http://localhost:6791/",
        ];
        let output = run(Command::new("docker").args(curl));
        output
            .status
            .success()
            .then(|| String::from_utf8(output.stdout).unwrap())
    });
    assert!(
        page.contains(r#""deploymentUrl":"https://api.example""#),
        "{page}"
    );
    assert_eq!(dashboard.exec(&["id", "-u"]), "1001");
    docker(&["kill", "--signal", "TERM", &dashboard.0]);
    assert_eq!(wait_for("the dashboard ends", || dashboard.code()), 0);
}

/// A network of a test's own.
struct Network(String);

impl Drop for Network {
    fn drop(&mut self) {
        drop(run(Command::new("docker").args(["network", "rm", &self.0])));
    }
}

#[test]
fn a_backend_finds_other_containers_by_name() {
    let network = Network(docker(&[
        "network",
        "create",
        &format!("standin-{}", std::process::id()),
    ]));
    let _database = Container::backend(&["--network", &network.0, "--network-alias", "database"]);
    let start = |host: &str| {
        let url = format!("POSTGRES_URL=postgres://me@{host}:1?sslmode=disable");
        let switch = ["--env", "DO_NOT_REQUIRE_SSL=1", "--env", "NO_COLOR=1"];
        let arguments = [
            &["--network", network.0.as_str(), "--env", url.as_str()],
            &switch[..],
        ]
        .concat();
        let backend = Container::backend(&arguments);
        assert_eq!(wait_for("the container ends", || backend.code()), 1);
        backend.log()
    };
    // Nobody listens there, but the way is known.
    assert!(start("database").contains("Connection refused"));
    assert!(start("nowhere").contains("failed to lookup address"));
}
