//! What Terraform shows to a person: errors and warnings.

use crate::plugin::{proto, redact, value::Path};

/// Longest detail shown, in bytes. Coder reads Terraform's output line by line
/// and hangs on a line of more than 64 KiB, and a person reads less than this.
const MAX_DETAIL: usize = 8 * 1024;

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The operation failed.
    Error,
    /// The operation goes on.
    Warning,
}

/// A message to the person who runs Terraform.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    severity: Severity,
    summary: String,
    detail: String,
    path: Option<Path>,
}

impl Diagnostic {
    /// The summary is one short line; the detail says what was tried on which
    /// object and ends with what to do.
    #[must_use]
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            summary: summary.into(),
            detail: detail.into(),
            path: None,
        }
    }

    /// As [`Diagnostic::error`], for what does not stop the operation.
    #[must_use]
    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(summary, detail)
        }
    }

    /// Points at the attribute that is the cause.
    #[must_use]
    pub fn at(mut self, path: impl Into<Path>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// How grave it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// The short line.
    #[must_use]
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// The explanation.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The attribute pointed at.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// The last place a message passes: secrets are struck out of it and its
    /// length is bounded.
    pub(crate) fn to_proto(&self) -> proto::Diagnostic {
        use proto::diagnostic::Severity as Wire;
        proto::Diagnostic {
            severity: match self.severity {
                Severity::Error => Wire::Error,
                Severity::Warning => Wire::Warning,
            }
            .into(),
            summary: shorten(redact::strike(&self.summary), 512),
            detail: shorten(redact::strike(&self.detail), MAX_DETAIL),
            attribute: self.path.as_ref().map(Path::to_proto),
        }
    }
}

/// Cuts the middle out of a text that is too long: its beginning says what was
/// tried and its end says what to do.
pub(crate) fn shorten(text: String, limit: usize) -> String {
    const CUT: &str = "\n[…]\n";
    if text.len() <= limit {
        return text;
    }
    let half = (limit - CUT.len()) / 2;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    format!("{}{CUT}{}", &text[..head], &text[tail..])
}

/// Several diagnostics.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether there is an error among them.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    pub(crate) fn to_proto(&self) -> Vec<proto::Diagnostic> {
        self.0.iter().map(Diagnostic::to_proto).collect()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Self {
        Self(diagnostics.into_iter().collect())
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        self.0.extend(diagnostics);
    }
}

#[cfg(test)]
mod tests {
    use super::{Diagnostic, MAX_DETAIL};

    #[test]
    fn a_long_detail_keeps_its_beginning_and_its_end() {
        let detail = format!("Tried it.\n{}\nDo this.", "é".repeat(MAX_DETAIL));
        let sent = Diagnostic::error("Failed", detail).to_proto();
        assert!(sent.detail.len() <= MAX_DETAIL);
        assert!(sent.detail.starts_with("Tried it."));
        assert!(sent.detail.ends_with("Do this."));
    }
}
