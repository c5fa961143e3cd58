//! What Terraform shows to a person: errors and warnings.

use crate::plugin::{proto, redact, value::Path};

/// Longest detail shown, in bytes. Coder reads Terraform's output line by line
/// and hangs on a line of more than 64 KiB, and a person reads less than this.
const MAX_DETAIL: usize = 8 * 1024;

/// Longest line of a text, in characters. Coder's log drops what is beyond 1,024, and Terraform
/// puts words of its own before the first line of a function's error.
const MAX_LINE: usize = 900;

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

    /// The last place a message passes: its length is bounded. Secrets were struck out of the
    /// words from elsewhere when it was put together.
    pub(crate) fn to_proto(&self) -> proto::Diagnostic {
        use proto::diagnostic::Severity as Wire;
        proto::Diagnostic {
            severity: match self.severity {
                Severity::Error => Wire::Error,
                Severity::Warning => Wire::Warning,
            }
            .into(),
            summary: shorten(redact::strike_unmistakable(&self.summary), 512),
            detail: shorten(wrap(&redact::strike_unmistakable(&self.detail)), MAX_DETAIL),
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

/// Breaks lines that are longer than Coder keeps them, at blanks. A URL stays whole. Another word
/// that is too long is cut.
#[must_use]
pub fn wrap(text: &str) -> String {
    let lines: Vec<_> = text.split('\n').map(wrap_line).collect();
    lines.join("\n")
}

fn wrap_line(line: &str) -> String {
    let mut wrapped = String::with_capacity(line.len());
    let mut column = 0;
    for (index, word) in line.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 {
            let fits = column + 1 + length <= MAX_LINE;
            wrapped.push(if fits { ' ' } else { '\n' });
            column = if fits { column + 1 } else { 0 };
        }
        if length > MAX_LINE && !word.contains("://") {
            for character in word.chars() {
                if column == MAX_LINE {
                    wrapped.push('\n');
                    column = 0;
                }
                wrapped.push(character);
                column += 1;
            }
        } else {
            wrapped.push_str(word);
            column += length;
        }
    }
    wrapped
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

    /// The same, with each error as one of `severity` that ends with `last`.
    #[must_use]
    pub(crate) fn errors_as(mut self, severity: Severity, last: &str) -> Self {
        for diagnostic in &mut self.0 {
            if diagnostic.severity == Severity::Error {
                diagnostic.severity = severity;
                diagnostic.detail.push_str("\n\n");
                diagnostic.detail.push_str(last);
            }
        }
        self
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
    use super::{Diagnostic, MAX_DETAIL, MAX_LINE, wrap};

    #[test]
    fn a_long_detail_keeps_its_beginning_and_its_end() {
        let detail = format!("Tried it.\n{}\nDo this.", "é".repeat(MAX_DETAIL));
        let sent = Diagnostic::error("Failed", detail).to_proto();
        assert!(sent.detail.len() <= MAX_DETAIL);
        assert!(sent.detail.starts_with("Tried it."));
        assert!(sent.detail.ends_with("Do this."));
    }

    #[test]
    fn no_line_is_longer_than_what_coder_keeps() {
        let detail = format!("{}\n{}", "wörter ".repeat(400), "x".repeat(3000));
        let sent = Diagnostic::error("Failed", detail.clone())
            .to_proto()
            .detail;
        assert!(sent.lines().all(|line| line.chars().count() <= MAX_LINE));
        let unbroken = |text: &str| text.replace(['\n', ' '], "");
        assert_eq!(unbroken(&sent), unbroken(&detail));
        let words = sent.split_whitespace();
        assert!(words.clone().take(400).all(|word| word == "wörter"));
    }

    #[test]
    fn a_line_breaks_before_a_url_and_never_within() {
        let url = format!("https://example.com/{}", "a".repeat(1000));
        let before = "b ".repeat(400);
        let text = format!("{before}{url} after");
        assert_eq!(wrap(&text), format!("{}\n{url}\nafter", before.trim_end()));
        assert_eq!(wrap("two  blanks\n\nstay "), "two  blanks\n\nstay ");
    }
}
