//! Core's own rules for what a provider may answer, checked before the answer
//! is sent.
//!
//! Terraform checks every plan and apply reply and calls a breach a bug in the
//! provider, without saying where in it. The same rules here (from
//! `objchange.AssertPlanValid` and `AssertObjectCompatible`, v1.11.4) catch
//! the bug first, with the path and without a value in the text.

use std::fmt;

use crate::plugin::{
    diagnostic::Diagnostic,
    schema::{Attribute, Attributes, Nesting, Presence, Schema, Shape},
    value::{Path, Type, Value},
};

/// One breach of the rules.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) path: Path,
    pub(crate) rule: &'static str,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.rule)
    }
}

/// The diagnostic of breaches in an answer of ours to `call`.
pub(crate) fn bug(call: &str, breaches: &[Breach]) -> Diagnostic {
    let list: Vec<_> = breaches
        .iter()
        .map(|breach| format!("- {breach}"))
        .collect();
    Diagnostic::error(
        "Bug in the provider",
        format!(
            "The provider was about to give Terraform an invalid answer to {call}:\n{}\n\nPlease report this text to the provider's developers.",
            list.join("\n")
        ),
    )
}

/// What is wrong with `planned` as the plan for `config` from `prior`.
pub(crate) fn of_plan(
    schema: &Schema,
    prior: &Value,
    config: &Value,
    planned: &Value,
) -> Vec<Breach> {
    let mut check = Check::default();
    let root = Path::root();
    match (config.is_null(), planned.is_null()) {
        (true, true) => {}
        (false, true) => check.breach(&root, "planned for absence, but the configuration has it"),
        (true, false) => check.breach(&root, "planned for existence, but it is to be destroyed"),
        (false, false) => {
            check.plan_object(&schema.attributes, prior, config, planned, &root);
            check.write_only_null(&schema.attributes, planned, &root);
        }
    }
    check.0
}

/// What is wrong with `actual` as the outcome of `planned`.
pub(crate) fn of_apply(schema: &Schema, planned: &Value, actual: &Value) -> Vec<Breach> {
    let mut check = Check::default();
    let root = Path::root();
    if planned.is_null() != actual.is_null() {
        check.breach(&root, "present where the plan says absent, or the reverse");
    } else if !planned.is_null() {
        for (name, attribute) in &schema.attributes {
            let step = Path::root().attribute(name);
            check.outcome(
                &attribute.ty(),
                planned.at(&step),
                actual.at(&step),
                &root.attribute(name),
            );
        }
        check.write_only_null(&schema.attributes, actual, &root);
    }
    check.0
}

#[derive(Default)]
struct Check(Vec<Breach>);

impl Check {
    fn breach(&mut self, path: &Path, rule: &'static str) {
        self.0.push(Breach {
            path: path.clone(),
            rule,
        });
    }

    fn plan_object(
        &mut self,
        attributes: &Attributes,
        prior: &Value,
        config: &Value,
        planned: &Value,
        path: &Path,
    ) {
        for (name, attribute) in attributes {
            let step = Path::root().attribute(name);
            self.plan_attribute(
                attribute,
                prior.at(&step),
                config.at(&step),
                planned.at(&step),
                &path.attribute(name),
            );
        }
    }

    fn plan_attribute(
        &mut self,
        attribute: &Attribute,
        prior: &Value,
        config: &Value,
        planned: &Value,
        path: &Path,
    ) {
        let ty = attribute.ty();
        if attribute.write_only {
            return;
        }
        if planned.same(config, &ty)
            || (planned.same(prior, &ty) && !prior.is_null() && !config.is_null())
        {
            return;
        }
        match (&attribute.presence, config.is_null()) {
            (Presence::Computed(_), _) => return,
            (presence, true) if presence.is_computed() => return,
            (_, true) => return self.breach(path, "a value the configuration does not give"),
            _ => {}
        }
        match &attribute.shape {
            Shape::Leaf(_) => self.breach(path, "neither the configured nor the prior value"),
            Shape::Nested(nesting, nested) => {
                self.plan_nested(*nesting, nested, prior, config, planned, path);
            }
        }
    }

    fn plan_nested(
        &mut self,
        nesting: Nesting,
        nested: &Attributes,
        prior: &Value,
        config: &Value,
        planned: &Value,
        path: &Path,
    ) {
        if planned.is_null() {
            return self.breach(path, "planned for absence, but the configuration has it");
        }
        if planned.is_unknown() {
            return self.breach(path, "planned as unknown, but the configuration has it");
        }
        match (nesting, config, planned) {
            (Nesting::Single, _, _) => self.plan_object(nested, prior, config, planned, path),
            (Nesting::Map, Value::Map(configured), Value::Map(elements)) => {
                if configured.keys().ne(elements.keys()) {
                    return self.breach(path, "other keys than the configuration has");
                }
                for (key, element) in elements {
                    let step = Path::root().key(key);
                    let (prior, config) = (prior.at(&step), config.at(&step));
                    self.plan_element(nested, prior, config, element, &path.key(key));
                }
            }
            (Nesting::List, Value::List(configured), Value::List(elements)) => {
                if configured.len() != elements.len() {
                    return self.breach(path, "another length than the configuration has");
                }
                for (index, element) in elements.iter().enumerate() {
                    let step = Path::root().index(index);
                    let (prior, config) = (prior.at(&step), config.at(&step));
                    self.plan_element(nested, prior, config, element, &path.index(index));
                }
            }
            (Nesting::Set, Value::List(configured), Value::List(elements)) => {
                // Core cannot tell which element is which and counts only.
                if configured.len() != elements.len() {
                    self.breach(path, "another length than the configuration has");
                }
            }
            _ => self.breach(path, "neither the configured nor the prior value"),
        }
    }

    fn plan_element(
        &mut self,
        nested: &Attributes,
        prior: &Value,
        config: &Value,
        planned: &Value,
        path: &Path,
    ) {
        match (config.is_null(), planned.is_null()) {
            (true, true) => {}
            (false, false) if planned.is_unknown() => {
                if !config.is_unknown() {
                    self.breach(path, "planned as unknown, but the configuration has it");
                }
            }
            (false, false) => self.plan_object(nested, prior, config, planned, path),
            _ => self.breach(path, "neither the configured nor the prior value"),
        }
    }

    fn outcome(&mut self, ty: &Type, planned: &Value, actual: &Value, path: &Path) {
        if actual.is_unknown() {
            return self.breach(path, "still unknown after apply");
        }
        match (planned, actual) {
            (Value::Unknown, _) => self.no_unknown(actual, path),
            (Value::Dynamic(_, planned), Value::Dynamic(of, actual)) => {
                self.outcome(of, planned, actual, path);
            }
            (Value::Map(before), Value::Map(after)) => {
                if before.keys().ne(after.keys()) {
                    return self.breach(path, "other keys than planned");
                }
                for (name, planned) in before {
                    let (ty, path) = match ty {
                        Type::Object(attributes) => match attributes.get(name) {
                            Some(ty) => (ty, path.attribute(name)),
                            None => continue,
                        },
                        Type::Map(element) => (&**element, path.key(name)),
                        _ => continue,
                    };
                    self.outcome(ty, planned, &after[name], &path);
                }
            }
            (Value::List(before), Value::List(after)) => self.sequence(ty, before, after, path),
            _ if !planned.same(actual, ty) => self.breach(path, "another value than planned"),
            _ => {}
        }
    }

    fn sequence(&mut self, ty: &Type, before: &[Value], after: &[Value], path: &Path) {
        if let Type::Set(element) = ty {
            let fits = |planned: &Value, actual: &Value| {
                let mut check = Self::default();
                check.outcome(element, planned, actual, path);
                check.0.is_empty()
            };
            let all_found = before
                .iter()
                .all(|planned| after.iter().any(|actual| fits(planned, actual)))
                && after
                    .iter()
                    .all(|actual| before.iter().any(|planned| fits(planned, actual)));
            if !all_found || after.len() > before.len() {
                self.breach(path, "other elements than planned");
            }
            return;
        }
        if before.len() != after.len() {
            return self.breach(path, "another length than planned");
        }
        for (index, (planned, actual)) in before.iter().zip(after).enumerate() {
            let element = match ty {
                Type::List(element) => element,
                Type::Tuple(types) => match types.get(index) {
                    Some(ty) => ty,
                    None => continue,
                },
                _ => continue,
            };
            self.outcome(element, planned, actual, &path.index(index));
        }
    }

    fn no_unknown(&mut self, actual: &Value, path: &Path) {
        if !actual.is_wholly_known() {
            self.breach(path, "still unknown after apply");
        }
    }

    fn write_only_null(&mut self, attributes: &Attributes, value: &Value, path: &Path) {
        let Value::Map(object) = value else { return };
        for (name, attribute) in attributes {
            let Some(value) = object.get(name) else {
                continue;
            };
            let path = path.attribute(name);
            if attribute.write_only && !value.is_null() {
                self.breach(&path, "a write-only value that is not null");
            }
            let Shape::Nested(nesting, nested) = &attribute.shape else {
                continue;
            };
            match (nesting, value) {
                (Nesting::Single, _) => self.write_only_null(nested, value, &path),
                (_, Value::Map(elements)) => {
                    for (key, element) in elements {
                        self.write_only_null(nested, element, &path.key(key));
                    }
                }
                (_, Value::List(elements)) => {
                    for (index, element) in elements.iter().enumerate() {
                        self.write_only_null(nested, element, &path.index(index));
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{of_apply, of_plan};
    use crate::plugin::{
        schema::{
            Element, Fields, OnUpdate, Schema, map_of_objects, number, object, set_of, string,
        },
        value::{Path, Value},
    };

    fn schema() -> Schema {
        Schema::new(
            "A test.",
            Fields::new()
                .with("name", string("").required())
                .with("note", string("").optional())
                .with("id", string("").computed(OnUpdate::Keep))
                .with("tags", set_of(Element::String, "").optional())
                .with(
                    "items",
                    map_of_objects(
                        Fields::new()
                            .with("value_wo", string("").optional().write_only())
                            .with("size", number("").optional()),
                        "",
                    )
                    .optional(),
                )
                .with(
                    "outer",
                    object(
                        Fields::new().with("auto", string("").optional().inferred(OnUpdate::Keep)),
                        "",
                    )
                    .optional(),
                ),
        )
    }

    fn config() -> Value {
        Value::from([
            ("name", Value::from("n")),
            ("note", Value::Null),
            ("id", Value::Null),
            ("tags", Value::from(vec!["a", "b"])),
            (
                "items",
                Value::from([(
                    "k",
                    Value::from([("value_wo", Value::from("s")), ("size", Value::from(1))]),
                )]),
            ),
            ("outer", Value::from([("auto", Value::Null)])),
        ])
    }

    fn good_plan() -> Value {
        edited(
            &config(),
            &[
                ("id", Value::Unknown),
                ("outer.auto", Value::Unknown),
                (
                    "items",
                    Value::from([(
                        "k",
                        Value::from([("value_wo", Value::Null), ("size", Value::from(1))]),
                    )]),
                ),
            ],
        )
    }

    fn edited(value: &Value, edits: &[(&str, Value)]) -> Value {
        let mut value = value.clone();
        for (path, new) in edits {
            *value.at_mut(&Path::of(path)).unwrap() = new.clone();
        }
        value
    }

    fn plan_breaches(planned: &Value) -> Vec<String> {
        of_plan(&schema(), &Value::Null, &config(), planned)
            .iter()
            .map(|breach| breach.path.to_string())
            .collect()
    }

    #[test]
    fn a_plan_within_the_rules_has_no_breach() {
        assert_eq!(plan_breaches(&good_plan()), Vec::<String>::new());
    }

    #[test]
    fn each_breach_of_a_plan_is_found_at_its_path() {
        let cases = [
            ("name", Value::from("other")),
            ("note", Value::from("invented")),
            ("tags", Value::Unknown),
            ("items", Value::Unknown),
            ("items", Value::Null),
            ("outer", Value::Null),
        ];
        for (path, value) in cases {
            let planned = edited(&good_plan(), &[(path, value)]);
            assert_eq!(plan_breaches(&planned), [path]);
        }
        let mut planned = good_plan();
        let place = Path::of("items").key("k").attribute("value_wo");
        *planned.at_mut(&place).unwrap() = Value::from("s");
        assert_eq!(plan_breaches(&planned), [place.to_string()]);
        *planned.at_mut(&Path::of("items")).unwrap() = Value::from([]);
        assert_eq!(plan_breaches(&planned), ["items"]);
        assert_eq!(plan_breaches(&Value::Null), [""]);
    }

    #[test]
    fn a_prior_value_may_stand_for_an_equivalent_configured_one() {
        let prior = edited(&good_plan(), &[("name", Value::from("N"))]);
        let planned = prior.clone();
        assert_eq!(of_plan(&schema(), &prior, &config(), &planned), []);
    }

    #[test]
    fn each_breach_of_an_outcome_is_found_at_its_path() {
        let done = edited(
            &good_plan(),
            &[("id", Value::from("i")), ("outer.auto", Value::Null)],
        );
        assert_eq!(of_apply(&schema(), &good_plan(), &done), []);
        let cases = [
            ("name", Value::from("x")),
            ("note", Value::from("x")),
            ("id", Value::Unknown),
            ("tags", Value::from(vec!["a", "c"])),
            ("tags", Value::from(vec!["a"])),
            ("items", Value::from([])),
        ];
        for (path, value) in cases {
            let actual = edited(&done, &[(path, value)]);
            let breaches = of_apply(&schema(), &good_plan(), &actual);
            assert_eq!(breaches.len(), 1, "{path}: {breaches:?}");
            assert_eq!(breaches[0].path, Path::of(path));
        }
        let mut leaked = done;
        let place = Path::of("items").key("k").attribute("value_wo");
        *leaked.at_mut(&place).unwrap() = Value::from("s");
        assert_eq!(of_apply(&schema(), &good_plan(), &leaked)[0].path, place);
    }

    #[test]
    fn reordered_sets_are_as_planned() {
        let done = edited(
            &good_plan(),
            &[
                ("id", Value::from("i")),
                ("outer.auto", Value::from("x")),
                ("tags", Value::from(vec!["b", "a"])),
            ],
        );
        assert_eq!(of_apply(&schema(), &good_plan(), &done), []);
    }
}
