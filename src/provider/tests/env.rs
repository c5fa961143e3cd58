//! What a plan says of variables.

use super::{convex, planned_of, set};
use crate::plugin::{Diagnostics, Provider, Severity, value::Value};

/// The variables of a deployment that is not known yet, with these values by their paths.
fn config(values: &[(&str, &str, Value)]) -> Value {
    let members = convex().members();
    let mut config = members.resources["convex_env"].schema().empty();
    set(&mut config, &["deployment"], Value::Unknown);
    for (map, steps, value) in values {
        let steps: Vec<_> = [*map].into_iter().chain(steps.split('.')).collect();
        set(&mut config, &steps, value.clone());
    }
    config
}

/// The warnings about values, and where they point.
fn warned(said: &Diagnostics) -> Vec<String> {
    said.iter()
        .filter(|it| it.severity() == Severity::Warning)
        .map(|it| {
            let place = it.path().map(ToString::to_string).unwrap_or_default();
            let text = format!("{} {} {place}", it.summary(), it.detail());
            assert!(!text.contains("hunter2"), "{text}");
            place
        })
        .collect()
}

#[test]
fn a_value_without_its_form_is_warned_of_wherever_it_is_set() {
    let text = |text: &str| Value::from(text);
    let cases = [
        (
            "variables",
            "SITE_URL",
            text("hunter2.example.com"),
            "variables[\"SITE_URL\"]",
        ),
        (
            "variables",
            "JWKS",
            text(r#"{"keys":[]}"#),
            "variables[\"JWKS\"]",
        ),
        (
            "variables",
            "JWT_PRIVATE_KEY",
            text("hunter2"),
            "variables[\"JWT_PRIVATE_KEY\"]",
        ),
        // Terraform would show the line with the secret.
        ("secrets", "JWT_PRIVATE_KEY.value", text("hunter2"), ""),
        ("secrets", "JWT_PRIVATE_KEY.value_wo", text("hunter2"), ""),
    ];
    for (map, name, value, place) in cases {
        let config = config(&[(map, name, value)]);
        let (planned, said) = planned_of("convex_env", &Value::Null, &config);
        assert_eq!(warned(&said), [place], "{name}: {said:?}");
        // It is said once, and not again as long as the value stays.
        let (_, again) = planned_of("convex_env", &planned, &config);
        assert!(warned(&again).is_empty(), "{name}: {again:?}");
    }
    for value in [text("https://app.example.com"), Value::Unknown] {
        let config = config(&[("variables", "SITE_URL", value)]);
        let (_, said) = planned_of("convex_env", &Value::Null, &config);
        assert!(warned(&said).is_empty(), "{said:?}");
    }
}

#[test]
fn more_variables_than_by_default_are_the_backend_s_to_refuse() {
    let mut config = config(&[]);
    for n in 0..513 {
        set(
            &mut config,
            &["variables", &format!("V{n:03}")],
            Value::from("x"),
        );
    }
    let resource = &convex().members().resources["convex_env"];
    assert!(resource.validate(&config).is_empty());
    let (planned, said) = planned_of("convex_env", &Value::Null, &config);
    assert!(!said.has_errors(), "{said:?}");
    assert_eq!(warned(&said), ["variables[\"V512\"]"]);
    let (_, again) = planned_of("convex_env", &planned, &config);
    assert!(warned(&again).is_empty(), "{again:?}");
}
