//! Where a workspace has the URL of its database.

/// The variables that are asked for a URL, the first first.
pub const URL_VARIABLES: [&str; 3] = ["DATABASE_URL", "POSTGRES_URI", "POSTGRES_URL"];

/// The URL of the first of [`URL_VARIABLES`] that is there and not blank, with the variable's name.
/// `look_up` gives the value of a variable. Blanks around the URL are no part of it.
pub fn url_from_variables(
    look_up: impl Fn(&str) -> Option<String>,
) -> Option<(&'static str, String)> {
    URL_VARIABLES.into_iter().find_map(|name| {
        let value = look_up(name)?;
        let url = value.trim();
        (!url.is_empty()).then(|| (name, url.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::url_from_variables;

    #[test]
    fn the_first_that_is_not_blank_counts() {
        let find = |variables: &[(&str, &str)]| {
            url_from_variables(|name| {
                let found = variables.iter().find(|(it, _)| *it == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let all = [
            ("POSTGRES_URL", "c"),
            ("POSTGRES_URI", "b"),
            ("DATABASE_URL", " a\n"),
        ];
        assert_eq!(find(&all), Some(("DATABASE_URL", "a".to_owned())));
        assert_eq!(find(&all[..2]), Some(("POSTGRES_URI", "b".to_owned())));
        assert_eq!(find(&all[..1]), Some(("POSTGRES_URL", "c".to_owned())));
        let blank = [("DATABASE_URL", " "), ("POSTGRES_URI", ""), all[0]];
        assert_eq!(find(&blank), Some(("POSTGRES_URL", "c".to_owned())));
        assert_eq!(find(&[("OTHER", "d")]), None);
    }
}
