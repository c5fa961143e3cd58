//! Templates: text with `@NAME@` where something is put in.

/// Fills in a template. What is put in is not looked at again.
pub(super) fn fill(template: &str, holes: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find('@') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let length = from[1..].find(|c: char| !c.is_ascii_uppercase() && c != '_');
        let hole = length.filter(|it| *it > 0 && from[1 + it..].starts_with('@'));
        let value = hole.and_then(|length| {
            let (_, value) = holes.iter().find(|(name, _)| *name == &from[1..=length])?;
            Some((value, length + 2))
        });
        if let Some((value, length)) = value {
            filled.push_str(value);
            rest = &from[length..];
        } else {
            filled.push('@');
            rest = &from[1..];
        }
    }
    filled.push_str(rest);
    filled
}

/// A text as one word of a shell.
pub(super) fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text in a compose file, where `$` begins a variable.
pub(super) fn compose(text: &str) -> String {
    // A JSON string is one in YAML too.
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_once() {
        let filled = fill("a@B@c @D@ x@y @ @B", &[("B", "@D@"), ("D", "d")]);
        assert_eq!(filled, "a@D@c d x@y @ @B");
    }

    #[test]
    fn each_language_has_its_quotation_marks() {
        assert_eq!(shell("it's $x"), r"'it'\''s $x'");
        assert_eq!(compose("a\"$x\n"), r#""a\"$$x\n""#);
    }
}
