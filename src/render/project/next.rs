//! What a person runs once the files are there.

use super::{Project, template::shell};
use crate::render::package_json::PackageManager;

/// Where Vite serves a page, when nobody says otherwise.
const VITE_URL: &str = "http://localhost:5173";

impl Project {
    /// Commands for a shell, one a line, each with what it does.
    #[must_use]
    pub fn next_steps(&self, directory: &str, manager: PackageManager) -> String {
        let run = |script: &str| format!("{manager} run {script}");
        let file = self.env_file_option();
        let page = self.site_url.as_deref().unwrap_or(VITE_URL);
        let deploys = "deploys the functions in convex/";
        let app = self.has_functions();
        let steps = [
            (
                true,
                format!("cd {}", word(directory)),
                "enters the project".to_owned(),
            ),
            (
                app,
                format!("{manager} install"),
                "installs its packages".to_owned(),
            ),
            (
                self.compose,
                "./scripts/setup-convex.sh".to_owned(),
                "starts the deployment".to_owned(),
            ),
            (app, run("deploy:functions"), deploys.to_owned()),
            (!app, format!("npx convex deploy{file}"), deploys.to_owned()),
            (
                true,
                format!("npx convex dev{file}"),
                "deploys them at each change, until it is stopped".to_owned(),
            ),
            (
                self.has_frontend(),
                run("dev"),
                format!("serves the page at {page}, until it is stopped"),
            ),
        ];
        let steps = || steps.iter().filter(|(wanted, ..)| *wanted);
        let width = steps().map(|(_, command, _)| command.len()).max();
        let width = width.unwrap_or_default();
        steps()
            .map(|(_, command, what)| format!("{command:width$}  # {what}\n"))
            .collect()
    }
}

/// A text as one word of a shell, in quotation marks only where it needs them.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        shell(text)
    }
}
