//! What Terraform prints, without what differs from run to run.

/// Replaces what is different in each run.
#[derive(Default)]
pub struct Stable(Vec<(String, String)>);

impl Stable {
    /// The same, with `from` as `to`. In the order given.
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        self.0.push((from.to_owned(), to.to_owned()));
        self
    }

    /// A plan in words that do not differ.
    pub fn of(&self, said: &str) -> String {
        let mut text = said.replace("\r\n", "\n");
        for (from, to) in &self.0 {
            text = text.replace(from, to);
        }
        let text = without_digests(&text);
        let mut lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.contains(": Refreshing state..."))
            .collect();
        // What follows is about files of plans.
        if let Some(end) = lines.iter().position(|line| line.starts_with("────")) {
            lines.truncate(end);
        }
        let (plan, mut warnings) = apart(&lines);
        // Resources are planned side by side.
        warnings.sort();
        let parts: Vec<_> = [plan.join("\n").trim().to_owned()]
            .into_iter()
            .chain(warnings)
            .collect();
        parts.join("\n\n") + "\n"
    }
}

/// The plan, and each warning as a paragraph for each of its own, as it is
/// before Terraform breaks lines.
fn apart<'a>(lines: &[&'a str]) -> (Vec<&'a str>, Vec<String>) {
    let mut plan = Vec::new();
    let mut warnings: Vec<Vec<&str>> = Vec::new();
    for line in lines {
        let line = line.trim_start_matches(['│', '╷', '╵']);
        let begins = line.trim_start().starts_with("Warning: ");
        match warnings.last_mut() {
            _ if begins => warnings.push(vec![line]),
            Some(warning) => warning.push(line),
            None => plan.push(line),
        }
    }
    let joined = warnings.iter().map(|warning| {
        let paragraphs = warning.split(|line| line.trim().is_empty());
        let paragraphs = paragraphs.filter(|it| !it.is_empty()).map(|paragraph| {
            let words = paragraph.iter().flat_map(|line| line.split_whitespace());
            words.collect::<Vec<_>>().join(" ")
        });
        paragraphs.collect::<Vec<_>>().join("\n  ")
    });
    (plan, joined.collect())
}

/// IDs of containers, digests of images, identities and public keys, each as a word.
fn without_digests(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            word.push(c);
            continue;
        }
        let is_hex = word.chars().all(|c| c.is_ascii_hexdigit());
        out.push_str(match word.len() {
            200.. => "<public key>",
            64 if is_hex => "<digest>",
            32 if is_hex => "<identity>",
            _ => &word,
        });
        word.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}
