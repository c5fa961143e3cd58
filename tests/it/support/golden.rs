//! Files that are generated, kept, and compared.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of the repository.
pub fn path(relative: &Path) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// Demands that a file of the repository has this content. With
/// `UPDATE_GOLDEN=1` it is written instead, to be read in a diff.
#[track_caller]
pub fn check(relative: &Path, content: &str) {
    let path = path(relative);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|it| it == "1") {
        fs::create_dir_all(path.parent().expect("a directory")).expect("the directory");
        fs::write(&path, content).expect("the file can be written");
        return;
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == content,
        "{} is not fresh: run `UPDATE_GOLDEN=1 cargo test` and read the difference\n\n{}",
        relative.display(),
        first_difference(&kept, content)
    );
}

fn first_difference(kept: &str, content: &str) -> String {
    let line = kept
        .lines()
        .zip(content.lines())
        .position(|(a, b)| a != b)
        .unwrap_or_else(|| kept.lines().count().min(content.lines().count()));
    let show = |text: &str| {
        let lines: Vec<_> = text.lines().skip(line.saturating_sub(2)).take(6).collect();
        lines.join("\n")
    };
    format!(
        "from line {}:\n--- kept\n{}\n--- now\n{}",
        line + 1,
        show(kept),
        show(content)
    )
}
