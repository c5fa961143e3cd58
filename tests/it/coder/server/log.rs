//! What Coder shows of builds, and of what scripts say in a workspace.

use serde_json::Value as Json;

/// Coder cuts a line that is longer.
const LONGEST: usize = 1024;

/// Coder's own warning that a container, for example, is replaced.
pub const REPLACEMENTS: &str = "Resource replacements:";

/// The lines as a page shows them.
pub fn shown(lines: &[Json]) -> String {
    lines
        .iter()
        .map(|line| format!("{} {}\n", level(line), output(line)))
        .collect()
}

/// Demands that nobody is alarmed by what asks nothing of them, and that no line is cut.
#[track_caller]
pub fn assert_worth_reading(lines: &[Json]) {
    assert_worth_reading_with(lines, &[]);
}

/// The same of a log that has some of these warnings, by their titles.
#[track_caller]
pub fn assert_worth_reading_with(lines: &[Json], warnings: &[&str]) {
    let mut expected = false;
    for line in lines {
        let (level, output) = (level(line), output(line));
        assert!(output.chars().count() < LONGEST, "a long line: {output}");
        // Coder warns of each variable of Terraform's in its own environment, and Terraform of
        // checksums that it has from a mirror.
        let foreign = output.starts_with("terraform environment variable: ")
            || line["stage"] == "Initializing Terraform Directory";
        if foreign || output.is_empty() || !["warn", "error"].contains(&level) {
            continue;
        }
        // A title is followed by where and why.
        let title = match output.strip_prefix("Warning: ") {
            None if output == REPLACEMENTS => Some(output),
            title => title,
        };
        expected = title.map_or(expected, |title| warnings.contains(&title));
        assert!(expected, "{level} {output:?} in:\n{}", shown(lines));
    }
}

fn level(line: &Json) -> &str {
    let mut names = [&line["log_level"], &line["level"]].into_iter();
    names.find_map(Json::as_str).expect("a level")
}

fn output(line: &Json) -> &str {
    line["output"].as_str().expect("a text")
}
