//! Where nothing may be fetched: the files of `examples/air-gap`, as its guide uses them.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    release::release,
    support::{
        binaries,
        docker::{Name, docker, images},
        registry::{Guard, Registry},
        tools,
    },
};

/// A file of the example.
fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/air-gap")
        .join(name)
}

/// Runs the script that makes a mirror; returns the file it made.
fn mirror(arguments: &[&str], directory: &Path) -> PathBuf {
    let output = Command::new(example("mirror"))
        .args(arguments)
        .arg(release())
        .arg(directory)
        .output()
        .expect("the script runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).trim().into()
}

/// The providers that templates use beside ours.
fn peers() -> PathBuf {
    let mirror = std::env::var_os("CONVEX_TEST_MIRROR");
    let mirror = mirror.expect("CONVEX_TEST_MIRROR names a mirror: .ci/peers makes one");
    Path::new(&mirror).join("registry.terraform.io")
}

/// An image of a provisioner, made by the Dockerfile. Removed at the end.
struct Provisioner {
    image: String,
    work: tempfile::TempDir,
}

impl Provisioner {
    fn new(mirror_arguments: &[&str]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let image = format!("convex-air-gap-test:{}-{count}", std::process::id());
        let context = tempfile::tempdir().expect("a directory");
        let providers = context.path().join("providers");
        let made = mirror(mirror_arguments, &providers);
        // Again, as on a new release of the same version.
        assert_eq!(mirror(mirror_arguments, &providers), made);
        for peer in ["coder", "kreuzwerker"] {
            let beside = providers.join("registry.terraform.io");
            tools::run(
                Command::new("cp")
                    .arg("-a")
                    .args([peers().join(peer), beside]),
            );
        }
        for file in ["Dockerfile", "terraformrc"] {
            fs::copy(example(file), context.path().join(file)).expect("the example");
        }
        // Coder's image cannot be had here. This one is as small: a shell and little else.
        let base = format!("CODER_IMAGE={}", images().backend);
        let build = ["build", "--quiet", "--network=none", "--build-arg", &base];
        docker(
            &[
                &build[..],
                &["--tag", &image, &context.path().display().to_string()],
            ]
            .concat(),
        );
        let work = tempfile::tempdir().expect("a directory");
        tools::run(Command::new("chown").arg("1000:1000").arg(work.path()));
        Self { image, work }
    }

    /// Runs Terraform as Coder's server does: user 1000, who may use Docker's socket. There is no
    /// network but loopback.
    fn terraform(&self, arguments: &[&str]) -> (bool, String) {
        let program = tools::on_path("terraform");
        let group = fs::metadata("/var/run/docker.sock")
            .expect("the socket")
            .gid();
        let work = self.work.path().display();
        let output = Command::new("docker")
            .args(["run", "--rm", "--network=none", "--user=1000:1000"])
            .args([
                format!("--group-add={group}"),
                format!("--volume={}:/terraform:ro", program.display()),
                format!("--volume={work}:{work}"),
                format!("--workdir={work}"),
            ])
            .args(["--volume=/var/run/docker.sock:/var/run/docker.sock"])
            .args(["--entrypoint=/terraform", &self.image])
            .args(arguments)
            .env_remove("DOCKER_HOST")
            .output()
            .expect("docker");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.success(), said)
    }

    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        let (succeeded, said) = self.terraform(arguments);
        assert!(succeeded, "{arguments:?}: {said}");
        said
    }
}

impl Drop for Provisioner {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["rmi", "-f", &self.image])
            .output();
    }
}

/// A deployment beside what a template has.
fn configuration(name: &Name) -> String {
    format!(
        r#"
terraform {{
  required_providers {{
    coder  = {{ source = "coder/coder" }}
    convex = {{ source = "coder-convex/convex" }}
    docker = {{ source = "kreuzwerker/docker" }}
  }}
}}
data "coder_workspace" "me" {{}}
resource "docker_volume" "home" {{
  name = "{name}-home"
}}
resource "convex_deployment" "app" {{
  name      = "{name}"
  running   = data.coder_workspace.me.start_count > 0
  origins   = provider::convex::coder_origins({{ access_url = "https://coder.example.com", wildcard = "*.coder.example.com", workspace = "w", owner = "o" }})
  backend   = {{ image = "{backend}" }}
  dashboard = {{ image = "{dashboard}" }}
  volume    = {{ on_destroy = "delete" }}
}}
resource "convex_env" "app" {{
  deployment = convex_deployment.app.id
  variables  = {{ A = "1" }}
}}
"#,
        name = name.as_str(),
        backend = images().backend,
        dashboard = images().dashboard,
    )
}

fn goes_through_a_life(mirror_arguments: &[&str]) {
    let name = Name::new();
    let provisioner = Provisioner::new(mirror_arguments);
    let main = provisioner.work.path().join("main.tf");
    fs::write(&main, configuration(&name)).expect("a file");
    provisioner.does(&["init", "-no-color", "-input=false"]);
    provisioner.does(&["apply", "-no-color", "-input=false", "-auto-approve"]);
    let said = provisioner.does(&["plan", "-no-color", "-input=false"]);
    assert!(said.contains("No changes."), "{said}");
    provisioner.does(&["destroy", "-no-color", "-input=false", "-auto-approve"]);
    assert_eq!(name.objects(), Vec::<String>::new());

    // What is not in the mirror is asked of nobody else.
    let other = configuration(&name).replace("coder-convex/convex", "coder-convex/other");
    fs::write(&main, other).expect("a file");
    let (succeeded, said) = provisioner.terraform(&["init", "-no-color", "-input=false"]);
    let words: Vec<_> = said.split_whitespace().collect();
    let refusal = "was not found in any of the search locations - /opt/terraform/providers";
    assert!(!succeeded && words.join(" ").contains(refusal), "{said}");
}

#[test]
fn an_unpacked_mirror_is_enough() {
    goes_through_a_life(&[]);
}

#[test]
fn a_packed_mirror_is_enough() {
    goes_through_a_life(&["--packed"]);
}

/// The hash in a lock file that is made from a mirror of this form.
fn locked(mirror_arguments: &[&str]) -> String {
    let work = tempfile::tempdir().expect("a directory");
    mirror(mirror_arguments, &work.path().join("providers"));
    let requires = "terraform {\n  required_providers {\n    convex = { source = \"coder-convex/convex\" }\n  }\n}\n";
    fs::write(work.path().join("main.tf"), requires).expect("a file");
    tools::run(
        Command::new("terraform")
            .current_dir(work.path())
            .env("TF_CLI_CONFIG_FILE", "/dev/null")
            .env("CHECKPOINT_DISABLE", "1")
            .args(["providers", "lock", "-no-color", "-platform=linux_amd64"])
            .arg("-fs-mirror=providers"),
    );
    let lock = fs::read_to_string(work.path().join(".terraform.lock.hcl")).expect("a lock file");
    let hash = lock.lines().find(|line| line.contains("\"h1:"));
    hash.unwrap_or_else(|| panic!("no hash in {lock}"))
        .to_owned()
}

#[test]
fn a_lock_file_is_the_same_for_both_forms() {
    assert_eq!(locked(&[]), locked(&["--packed"]));
}

#[test]
fn images_are_listed_with_the_digests_by_which_they_can_be_had() {
    let list = |arguments: &[&str]| {
        let output = Command::new(binaries::provider())
            .args(["images", "--digests"])
            .args(arguments)
            .env_remove("DOCKER_HOST")
            .output()
            .expect("the provider runs");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (output.status.code(), said)
    };
    let local = images().backend.as_str();
    let (code, said) = list(&[local]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("knows no digest") && said.contains("docker pull"),
        "{said}"
    );

    let registry = Registry::start(local, Guard::Basic("me".into(), "hunter2hunter2".into()));
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().display().to_string();
    let login = ["login", "--username=me", "--password=hunter2hunter2"];
    docker(&[&["--config", &config][..], &login, &[registry.host()]].concat());
    let image = registry.image();
    docker(&["--config", &config, "pull", "--quiet", &image]);
    let (code, said) = list(&[&image]);
    assert_eq!(code, Some(0), "{said}");
    let pinned = said.trim();
    assert!(pinned.starts_with(&format!("{image}@sha256:")), "{said}");
    // It is the very image, and one that is pinned already stays as it is.
    let id = |image: &str| docker(&["inspect", "-f", "{{.Id}}", image]);
    assert_eq!(id(pinned), id(&image));
    assert_eq!(list(&[pinned]).1.trim(), pinned);
}
