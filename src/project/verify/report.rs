//! The checklist, for people and for machines.

use serde::Serialize;

use super::Check;

/// Everything that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each check, in the recipe's order.
    pub checks: Vec<Check>,
}

/// How a report is shown to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As text alone.
    Plain,
    /// With the colours of a terminal.
    Coloured,
}

/// Longest name of a check.
const WIDTH: usize = 20;

impl Report {
    /// Whether no check failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|it| it.passed == Some(false))
    }

    /// As a JSON object with a line break at the end.
    #[must_use]
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Whole<'a> {
            passed: bool,
            checks: &'a [Check],
        }
        let whole = Whole {
            passed: self.passed(),
            checks: &self.checks,
        };
        // Texts and truth values always have a JSON form.
        let json = serde_json::to_string_pretty(&whole).unwrap_or_default();
        format!("{json}\n")
    }

    /// As a table, with what to do below each check that failed.
    #[must_use]
    pub fn table(&self, style: Style) -> String {
        let paint = |code: &str, text: &str| match style {
            Style::Plain => text.to_owned(),
            Style::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        };
        let mut table = String::new();
        for check in &self.checks {
            let (sign, code) = match check.passed {
                Some(true) => ("ok", "32"),
                Some(false) => ("FAIL", "31;1"),
                None => ("-", "33"),
            };
            let sign = paint(code, &format!("{sign:<4}"));
            let Check { name, detail, .. } = check;
            table.push_str(&format!("{sign}  {name:<WIDTH$}  {detail}\n"));
            if !check.remedy.is_empty() {
                let indent = " ".repeat(WIDTH + 8);
                let remedy = paint("1", &format!("-> {}", check.remedy));
                table.push_str(&format!("{indent}{remedy}\n"));
            }
        }
        let count = |passed| self.checks.iter().filter(|it| it.passed == passed).count();
        table.push_str(&format!(
            "\n{} passed, {} failed, {} could not be checked\n",
            count(Some(true)),
            count(Some(false)),
            count(None)
        ));
        table
    }
}
