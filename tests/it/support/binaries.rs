//! The programs under test.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The provider: the one named by `CONVEX_TEST_PROVIDER` (so that the very file
/// that is released can be tested), else the one cargo has just built.
pub fn provider() -> PathBuf {
    std::env::var_os("CONVEX_TEST_PROVIDER").map_or_else(
        || env!("CARGO_BIN_EXE_terraform-provider-convex").into(),
        PathBuf::from,
    )
}

/// The provider about nothing of `tests/fixture`.
pub fn fixture() -> PathBuf {
    build().join("terraform-provider-thin")
}

/// The backend of the stand-in, as a program of this machine.
pub fn backend() -> PathBuf {
    build().join("convex-local-backend")
}

/// Builds the programs of the workspace beside the provider, once, and returns where they are.
///
/// All members at once and a test with them: then cargo enables the same features as for the tests
/// themselves, and compiles no dependency a second time.
fn build() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let beside = Path::new(env!("CARGO_BIN_EXE_terraform-provider-convex"));
        let directory = beside.parent().expect("programs are in a directory");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(["build", "--quiet", "--locked", "--workspace", "--bins"]);
        cargo.args(["--test", "it"]);
        if directory.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "the programs of the tests do not build");
        directory.to_owned()
    })
}

/// The provider that runs programs: `hashicorp/external` where the mirror that `CONVEX_TEST_MIRROR`
/// names has it, else a stand-in.
pub fn external() -> PathBuf {
    let mirror = std::env::var_os("CONVEX_TEST_MIRROR").map(PathBuf::from);
    let versions = mirror.map(|it| it.join("registry.terraform.io/hashicorp/external"));
    let real = versions
        .and_then(|versions| versions.read_dir().ok())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|version| version.path().join("linux_amd64").read_dir().ok())
        .flatten()
        .flatten()
        .map(|program| program.path())
        .find(|program| program.is_file());
    real.unwrap_or_else(|| fixture().with_file_name("terraform-provider-external"))
}
