//! Where a configuration is applied.

use std::{ffi::OsString, fs, path::Path};

/// The directory that Terraform starts providers in, the machine, and the
/// workspace where that is not the default: for people, and to tell one
/// configuration from another. Reads the environment through `var`.
pub fn place(var: impl Fn(&str) -> Option<OsString>) -> String {
    let text = |name: &str| var(name).and_then(|value| value.into_string().ok());
    let file = |path: &Path| fs::read_to_string(path).ok();
    let directory = fs::canonicalize(".").unwrap_or_default();
    let machine = file(Path::new("/proc/sys/kernel/hostname"))
        .or_else(|| text("HOSTNAME"))
        .or_else(|| text("COMPUTERNAME"));
    let data = text("TF_DATA_DIR").unwrap_or_else(|| ".terraform".to_owned());
    let workspace = text("TF_WORKSPACE").or_else(|| file(&Path::new(&data).join("environment")));
    let mut place = directory.display().to_string();
    if let Some(machine) = machine {
        place += &format!(" on {}", machine.trim());
    }
    match workspace.as_deref().map(str::trim) {
        None | Some("" | "default") => {}
        Some(workspace) => place += &format!(", workspace {workspace}"),
    }
    place
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_workspace_is_another_place_unless_it_is_the_default() {
        let at = |workspace: Option<&str>| {
            place(|name| workspace.filter(|_| name == "TF_WORKSPACE").map(Into::into))
        };
        assert_eq!(at(Some("default")), at(None));
        assert_eq!(at(Some("staging")), at(None) + ", workspace staging");
    }
}
