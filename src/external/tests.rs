use proptest::prelude::*;

use super::*;

fn ask(operation: &str, query: &str) -> Result<serde_json::Value, String> {
    answer(Some(operation), query.as_bytes(), Transition::Start)
        .map(|text| serde_json::from_str(text.expose()).unwrap())
        .map_err(|failure| failure.to_string())
}

fn refusal(operation: &str, query: &str) -> String {
    ask(operation, query).unwrap_err()
}

const DEV: &str = r#""access_url":"https://coder.example","wildcard_from_access_url":"true","workspace":"dev","owner":"ann""#;

#[test]
fn an_operation_is_named_by_the_argument_or_in_the_query() {
    let plain = format!("{{{DEV}}}");
    let named = format!("{{{DEV},\"operation\":\"origins\"}}");
    let by = |argument, query: &str| answer(argument, query.as_bytes(), Transition::Start);
    let result = by(Some("origins"), &plain).unwrap();
    assert_eq!(by(None, &named).unwrap(), result);
    assert_eq!(by(Some("origins"), &named).unwrap(), result);
    assert!(result.expose().ends_with("}\n"));
    for (argument, query, says) in [
        (None, &plain, "operation: It is missing"),
        (Some("orgins"), &plain, "operation: \"orgins\" is none"),
        (
            Some("app_url"),
            &named,
            "The argument asks for \"app_url\" and the query for \"origins\"",
        ),
    ] {
        let said = by(argument, query).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn each_fault_of_a_query_is_named_with_what_to_do() {
    let cases: [(&str, &str); 21] = [
        ("", "Nothing came on standard input"),
        (" \n", "Nothing came on standard input"),
        ("{", "not one JSON object (line 1, column 1)"),
        ("{}{}", "not one JSON object (line 1, column 3)"),
        ("{\"a\":\"b\",}", "not one JSON object"),
        ("\u{feff}{}", "not one JSON object"),
        ("[]", "The query is a list instead of a JSON object"),
        ("\"a\"", "The query is a string instead"),
        ("null", "The query is null instead"),
        ("7", "The query is a number instead"),
        ("true", "The query is a bool instead"),
        (
            "{}",
            "url: The key is missing or empty. Give it in the query",
        ),
        ("{\"url\":\"\"}", "url: The key is missing or empty"),
        (
            "{\"url\":5}",
            "url: The value is a number instead of a string",
        ),
        (
            "{\"url\":{\"a\":\"hunter2\"}}",
            "url: The value is an object instead",
        ),
        (
            "{\"url\":[\"hunter2\"]}",
            "url: The value is a list instead",
        ),
        (
            "{\"url\":null}",
            "url: The value is null. Leave the key out",
        ),
        (
            "{\"url\":\"\\ud800hunter2\"}",
            "url: The value has an escape that is no character",
        ),
        (
            "{\"url\":\"hunter2\",\"url\":\"b\"}",
            "url: The key comes twice",
        ),
        (
            "{\"url\":\"hunter2\",\"ulr\":\"b\"}",
            "ulr: There is no such key. Remove it, or write one of url.",
        ),
        (
            "{\"\\u001b[31m\":\"b\"}",
            "\"\\u{1b}[31m\": There is no such key",
        ),
    ];
    for (query, says) in cases {
        let said = refusal("postgres_url", query);
        assert!(said.contains(says), "{query}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn what_is_no_text_and_what_never_ends_is_refused() {
    let said = |input: &[u8]| {
        answer(Some("jwks"), input, Transition::Start)
            .unwrap_err()
            .to_string()
    };
    assert!(said(b"{\"a\":\"\xff\"}").contains("not UTF-8: byte 7 is wrong"));
    assert!(said(&vec![b' '; query::MAX_BYTES]).contains("Nothing came"));
    assert!(said(&vec![b' '; query::MAX_BYTES + 1]).contains("larger than 256 KiB"));
    let endless = answer(Some("jwks"), std::io::repeat(b'{'), Transition::Start).unwrap_err();
    assert!(endless.to_string().contains("larger than 256 KiB"));
    let deep = "[".repeat(100_000);
    assert!(said(format!("{{\"a\":{deep}").as_bytes()).contains("not one JSON object"));
}

#[test]
fn a_wrong_value_is_named_by_its_key_and_never_shown_if_secret() {
    let cases = [
        (
            "origins",
            format!("{{{}}}", DEV.replace("true", "false")),
            "origins: wildcard: Apps have no host names",
        ),
        (
            "origins",
            format!("{{{}}}", DEV.replace("true", "yes")),
            "origins: wildcard_from_access_url: The value must be `true` or `false`.",
        ),
        (
            "origins",
            format!("{{{DEV},\"wildcard\":\"apps.example\"}}"),
            "origins: wildcard: The wildcard",
        ),
        (
            "origins",
            format!("{{{DEV},\"slug_site\":\"12345\"}}"),
            "origins: slug_site: ",
        ),
        (
            "origins",
            format!(
                "{{{},\"agent\":\"{}\"}}",
                DEV.replace("dev", &"d".repeat(32)),
                "a".repeat(32)
            ),
            "origins: workspace: The host name of the app would begin with `convex-api--",
        ),
        (
            "app_url",
            format!("{{{DEV},\"slug\":\"a_b\"}}"),
            "app_url: slug: ",
        ),
        (
            "app_url",
            format!("{{{DEV}}}"),
            "app_url: slug: The key is missing.",
        ),
        (
            "app_url",
            format!("{{{DEV},\"port\":\"80\"}}"),
            "app_url: port: ",
        ),
        (
            "app_url",
            format!("{{{DEV},\"port\":\"5173\"}}"),
            "app_url: agent: ",
        ),
        (
            "app_url",
            format!("{{{DEV},\"port\":\"5173\",\"slug\":\"a\"}}"),
            "app_url: port: There is `slug`, too.",
        ),
        (
            "postgres_url",
            r#"{"url":"postgres://u:hunter2@/x"}"#.to_owned(),
            "postgres_url: url: ",
        ),
        (
            "jwks",
            r#"{"private_key":"hunter2"}"#.to_owned(),
            "jwks: private_key: ",
        ),
        (
            "admin_key",
            r#"{"instance_name":"App","instance_secret":"hunter2"}"#.to_owned(),
            "admin_key: instance_name: ",
        ),
        (
            "admin_key",
            r#"{"instance_name":"app","instance_secret":"hunter2"}"#.to_owned(),
            "admin_key: instance_secret: ",
        ),
        (
            "admin_key",
            format!(
                r#"{{"instance_name":"app","instance_secret":"{}","access":"all"}}"#,
                "0".repeat(64)
            ),
            "admin_key: access: \"all\" is neither",
        ),
        (
            "env_files",
            r#"{"api":"https://a.example/","site":"https://s.example"}"#.to_owned(),
            "env_files: api: ",
        ),
        (
            "env_files",
            r#"{"api":"https://a.example","site":"https://s.example","admin_key":"hunter2 x"}"#
                .to_owned(),
            "env_files: admin_key: ",
        ),
        (
            "env_files",
            r#"{"api":"https://a.example","site":"https://s.example","private_key":"hunter2"}"#
                .to_owned(),
            "env_files: private_key: ",
        ),
    ];
    for (operation, query, says) in cases {
        let said = refusal(operation, &query);
        assert!(said.contains(says), "{query}: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    // However long what is wrong is, Coder can log the message.
    let long = format!("{{{DEV},\"wildcard\":\"{}\"}}", "w".repeat(200_000));
    let said = refusal("origins", &long);
    assert!(said.len() < MAX_MESSAGE + 16, "{}", said.len());
    assert!(
        said.lines().all(|line| line.chars().count() < 1000),
        "{said}"
    );
    assert!(said.contains("CODER_WILDCARD_ACCESS_URL"), "{said}");
    let long = format!("{{\"{}\":\"\"}}", "k".repeat(200_000));
    assert!(refusal("jwks", &long).len() < 400);
}

#[test]
fn a_workspace_with_a_long_name_can_be_stopped_and_deleted() {
    let query = format!("{{{DEV}}}").replace("dev", &"w".repeat(60));
    let during = |value| answer(Some("origins"), query.as_bytes(), Transition::read(value));
    let refused = during(Some("start")).unwrap_err().to_string();
    assert!(refused.contains("Rename the workspace"), "{refused}");
    for value in ["stop", "destroy"] {
        let api = format!("https://convex-api--{}--ann.", "w".repeat(60));
        assert!(during(Some(value)).unwrap().expose().contains(&api));
    }
}

#[test]
fn files_are_there_as_far_as_they_can_be_written() {
    let files = |more: &str| {
        let query =
            format!("{{\"api\":\"https://a.example\",\"site\":\"https://s.example\"{more}}}");
        ask("env_files", &query).unwrap()
    };
    let bare = files("");
    assert_eq!(bare.as_object().unwrap().len(), 1);
    let text = bare["env_local"].as_str().unwrap();
    assert!(
        text.contains("CONVEX_SELF_HOSTED_URL=http://127.0.0.1:3210\n"),
        "{text}"
    );
    assert!(
        !text.contains("ADMIN_KEY") && !text.contains("POSTGRES"),
        "{text}"
    );
    let more = files(
        r#","dashboard":"https://d.example","url":"http://convex:3210","admin_key":"app|01ab","database_url":"postgres://u:p@h/db""#,
    );
    let text = more["env_local"].as_str().unwrap();
    assert!(text.contains("POSTGRES_URL=postgres://u:p@h\n"), "{text}");
    assert!(
        text.contains("CONVEX_SELF_HOSTED_ADMIN_KEY='app|01ab'\n"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_or_say_a_value(operation in 0..Operation::ALL.len(), value in "\\PC{8,40}") {
        let operation = &Operation::ALL[operation];
        let query: BTreeMap<&str, &str> = operation.required.iter().map(|key| (*key, value.as_str())).collect();
        let query = serde_json::to_string(&query).unwrap();
        if let Err(said) = ask(operation.name, &query)
            && ["jwks", "postgres_url"].contains(&operation.name)
        {
            prop_assert!(!said.contains(&value));
        }
    }

    #[test]
    fn a_query_of_any_bytes_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(answer(Some("jwks"), &bytes[..], Transition::Start).is_err());
    }
}
