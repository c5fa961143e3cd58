use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn additions() -> Additions {
    Additions {
        scripts: pairs(&[("dev", "a && \"b\""), ("stop", "c")]),
        dependencies: pairs(&[("convex", "^1")]),
        dev_dependencies: pairs(&[("typescript", "^7")]),
    }
}

#[track_caller]
fn becomes(text: &str, expected: &str) {
    let merged = additions().merge(text).unwrap().unwrap();
    assert_eq!(merged, expected);
    assert_eq!(additions().merge(&merged), Ok(None));
}

#[test]
fn a_new_file_has_it_all() {
    let text = additions().render("app");
    let expected = "{
  \"name\": \"app\",
  \"private\": true,
  \"version\": \"0.0.0\",
  \"type\": \"module\",
  \"scripts\": {
    \"dev\": \"a && \\\"b\\\"\",
    \"stop\": \"c\"
  },
  \"dependencies\": {
    \"convex\": \"^1\"
  },
  \"devDependencies\": {
    \"typescript\": \"^7\"
  }
}
";
    assert_eq!(text, expected);
    assert_eq!(additions().merge(&text), Ok(None));
}

#[test]
fn indents_order_and_line_breaks_are_those_of_the_file() {
    becomes(
        "{\r\n\t\"dependencies\": {\r\n\t\t\"convex\":\"1.0\"\r\n\t},\r\n\t\"scripts\": {\r\n\t\t\"dev\": \"vite\"\r\n\t},\r\n\t\"files\": [\"a\",  \"b\"]\r\n}",
        "{\r\n\t\"dependencies\": {\r\n\t\t\"convex\":\"1.0\"\r\n\t},\r\n\t\"scripts\": {\r\n\t\t\"dev\": \"vite\",\r\n\t\t\"stop\": \"c\"\r\n\t},\r\n\t\"files\": [\"a\",  \"b\"],\r\n\t\"devDependencies\": {\r\n\t\t\"typescript\": \"^7\"\r\n\t}\r\n}",
    );
    becomes(
        "{\n    \"scripts\": {},\n    \"peerDependencies\": { \"typescript\": \"*\", \"convex\": \"*\" }\n}\n",
        "{\n    \"scripts\": {\n        \"dev\": \"a && \\\"b\\\"\",\n        \"stop\": \"c\"\n    },\n    \"peerDependencies\": { \"typescript\": \"*\", \"convex\": \"*\" }\n}\n",
    );
    becomes(
        "{\n  \"scripts\": { \"dev\": \"vite\" }\n}\n",
        "{\n  \"scripts\": { \"dev\": \"vite\", \"stop\": \"c\" },\n  \"dependencies\": {\n    \"convex\": \"^1\"\n  },\n  \"devDependencies\": {\n    \"typescript\": \"^7\"\n  }\n}\n",
    );
    becomes(
        "{\"scripts\":{\"dev\":\"vite\"}}",
        "{\"scripts\":{\"dev\":\"vite\",\"stop\":\"c\"},\"dependencies\":{\"convex\":\"^1\"},\"devDependencies\":{\"typescript\":\"^7\"}}",
    );
    becomes(
        "\u{feff}{}",
        "\u{feff}{\"scripts\":{\"dev\":\"a && \\\"b\\\"\",\"stop\":\"c\"},\"dependencies\":{\"convex\":\"^1\"},\"devDependencies\":{\"typescript\":\"^7\"}}",
    );
}

#[test]
fn what_cannot_be_added_to_is_told() {
    let error = |text| additions().merge(text).unwrap_err();
    assert_eq!(
        error("{\n  \"a\": 1,\n}"),
        PackageJsonError::NotJson { line: 3, column: 1 }
    );
    assert_eq!(error("[]"), PackageJsonError::NotObject);
    assert_eq!(
        error("{\"scripts\":1}"),
        PackageJsonError::Section { section: "scripts" }
    );
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        "[a-z\"\\\\{}:,\n é]{0,6}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::hash_map("[a-z\"{:,]{0,4}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn section() -> impl Strategy<Value = Json> {
    proptest::collection::hash_map(
        "(dev|stop|convex|typescript|[a-z{\"]{1,3})",
        "[a-z\"},]{0,4}",
        0..4,
    )
    .prop_map(|map| {
        map.into_iter()
            .map(|(name, value)| (name, Json::from(value)))
            .collect()
    })
}

fn package() -> impl Strategy<Value = (Json, usize)> {
    let known = prop_oneof![
        Just("scripts"),
        Just("dependencies"),
        Just("devDependencies")
    ];
    (
        proptest::collection::hash_map("[a-z]{1,5}", json(), 0..4),
        proptest::collection::hash_map(known, section(), 0..3),
        0..5_usize,
    )
        .prop_map(|(others, known, indent)| {
            let others = others.into_iter();
            let known = known
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value));
            (others.chain(known).collect(), indent)
        })
}

/// Whether `whole` is `part` with something put in.
fn is_within(part: &str, whole: &str) -> bool {
    let mut whole = whole.chars();
    part.chars()
        .filter(|it| !it.is_whitespace())
        .all(|it| whole.any(|other| other == it))
}

proptest! {
    #[test]
    fn any_file_keeps_all_it_has_and_gets_what_it_lacks((before, indent) in package()) {
        let text = if indent == 0 {
            before.to_string()
        } else {
            let mut bytes = Vec::new();
            let step = vec![b' '; indent];
            let formatter = serde_json::ser::PrettyFormatter::with_indent(&step);
            let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
            serde::Serialize::serialize(&before, &mut serializer).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let merged = additions().merge(&text).unwrap().unwrap_or_else(|| text.clone());
        prop_assert!(is_within(&text, &merged), "{}", merged);
        let after: Json = serde_json::from_str(&merged).unwrap();
        let mut expected = before.clone();
        let has = |section: &str, name: &str| before[section].get(name).is_some();
        for (name, value) in &additions().scripts {
            if !has("scripts", name) {
                expected["scripts"][name] = Json::from(value.as_str());
            }
        }
        for (section, name, value) in [("dependencies", "convex", "^1"), ("devDependencies", "typescript", "^7")] {
            if !has("dependencies", name) && !has("devDependencies", name) {
                expected[section][name] = Json::from(value);
            }
        }
        prop_assert_eq!(after, expected);
        prop_assert_eq!(additions().merge(&merged), Ok(None));
    }
}
