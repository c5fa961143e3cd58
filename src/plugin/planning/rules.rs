//! The part of planning that follows from the schema alone.

use std::collections::BTreeMap;

use crate::plugin::{
    schema::{Attribute, Attributes, Nesting, OnUpdate, Presence, Schema, Shape},
    value::{Path, Value},
};

/// What the schema alone says of the state after apply: configured values as
/// they are, defaults, prior values that stay, and unknown for the rest.
///
/// Terraform's own proposal is not used. It keeps prior values inside objects
/// that the configuration no longer has, where defaults belong.
pub(crate) fn propose(schema: &Schema, prior: &Value, config: &Value) -> Value {
    let keep = Rules { recompute: false }.object(&schema.attributes, prior, config);
    if prior.is_null() || keep.same(prior, &schema.ty()) {
        keep
    } else {
        Rules { recompute: true }.object(&schema.attributes, prior, config)
    }
}

struct Rules {
    /// Whether values marked [`OnUpdate::Recompute`] become unknown.
    recompute: bool,
}

impl Rules {
    fn object(&self, attributes: &Attributes, prior: &Value, config: &Value) -> Value {
        Value::Map(
            attributes
                .iter()
                .map(|(name, attribute)| {
                    let path = Path::root().attribute(name);
                    let prior_value = prior.at(&path);
                    let value =
                        self.attribute(attribute, prior_value, config.at(&path), prior.is_null());
                    (name.clone(), value)
                })
                .collect(),
        )
    }

    fn attribute(
        &self,
        attribute: &Attribute,
        prior: &Value,
        config: &Value,
        creating: bool,
    ) -> Value {
        if attribute.write_only {
            return Value::Null;
        }
        if attribute.presence.is_configurable() && !config.is_null() {
            return match &attribute.shape {
                Shape::Leaf(_) => config.clone(),
                Shape::Nested(nesting, nested) => self.nested(*nesting, nested, prior, config),
            };
        }
        match &attribute.presence {
            Presence::Required | Presence::Optional => Value::Null,
            Presence::Defaulted(value) => value.clone(),
            Presence::Filled => match &attribute.shape {
                Shape::Nested(_, nested) => self.object(nested, prior, &Value::Null),
                Shape::Leaf(_) => Value::Null,
            },
            Presence::Inferred(on_update) | Presence::Computed(on_update) => {
                if creating || (self.recompute && *on_update == OnUpdate::Recompute) {
                    Value::Unknown
                } else {
                    prior.clone()
                }
            }
        }
    }

    fn nested(
        &self,
        nesting: Nesting,
        nested: &Attributes,
        prior: &Value,
        config: &Value,
    ) -> Value {
        match (nesting, config) {
            (_, Value::Unknown) => Value::Unknown,
            (Nesting::Single, _) => self.object(nested, prior, config),
            (Nesting::Map, Value::Map(elements)) => Value::Map(
                elements
                    .iter()
                    .map(|(key, element)| {
                        let prior = prior.at(&Path::root().key(key));
                        (key.clone(), self.element(nested, prior, element))
                    })
                    .collect(),
            ),
            (Nesting::List, Value::List(elements)) => Value::List(
                elements
                    .iter()
                    .enumerate()
                    .map(|(index, element)| {
                        let prior = prior.at(&Path::root().index(index));
                        self.element(nested, prior, element)
                    })
                    .collect(),
            ),
            // Elements of a set have no identity by which to find a prior one.
            (Nesting::Set, Value::List(elements)) => Value::List(
                elements
                    .iter()
                    .map(|element| self.element(nested, &Value::Null, element))
                    .collect(),
            ),
            _ => config.clone(),
        }
    }

    fn element(&self, nested: &Attributes, prior: &Value, element: &Value) -> Value {
        match element {
            Value::Null | Value::Unknown => element.clone(),
            _ => self.object(nested, prior, element),
        }
    }
}

/// Nulls every write-only attribute of `value`.
pub(crate) fn strip_write_only(attributes: &Attributes, value: &mut Value) {
    each_object(attributes, value, &mut |attributes, object| {
        for (name, attribute) in attributes {
            if attribute.write_only
                && let Some(value) = object.get_mut(name)
            {
                *value = Value::Null;
            }
        }
    });
}

fn each_object(
    attributes: &Attributes,
    value: &mut Value,
    visit: &mut impl FnMut(&Attributes, &mut BTreeMap<String, Value>),
) {
    let Value::Map(object) = value else { return };
    visit(attributes, object);
    for (name, attribute) in attributes {
        let (Shape::Nested(nesting, nested), Some(value)) =
            (&attribute.shape, object.get_mut(name))
        else {
            continue;
        };
        match (nesting, value) {
            (Nesting::Single, value) => each_object(nested, value, visit),
            (_, Value::Map(elements)) => {
                for element in elements.values_mut() {
                    each_object(nested, element, visit);
                }
            }
            (_, Value::List(elements)) => {
                for element in elements {
                    each_object(nested, element, visit);
                }
            }
            _ => {}
        }
    }
}

/// `planned` with the write-only values of `config` put in their places, for
/// the one moment in which the provider may see them.
pub(crate) fn with_write_only(attributes: &Attributes, planned: &Value, config: &Value) -> Value {
    let Value::Map(object) = planned else {
        return planned.clone();
    };
    Value::Map(
        object
            .iter()
            .map(|(name, value)| {
                let config = config.at(&Path::root().attribute(name));
                let value = match attributes.get(name) {
                    Some(attribute) if attribute.write_only => config.clone(),
                    Some(Attribute {
                        shape: Shape::Nested(nesting, nested),
                        ..
                    }) => nested_with_write_only(*nesting, nested, value, config),
                    _ => value.clone(),
                };
                (name.clone(), value)
            })
            .collect(),
    )
}

fn nested_with_write_only(
    nesting: Nesting,
    nested: &Attributes,
    planned: &Value,
    config: &Value,
) -> Value {
    match (nesting, planned) {
        (Nesting::Single, _) => with_write_only(nested, planned, config),
        (Nesting::Map, Value::Map(elements)) => Value::Map(
            elements
                .iter()
                .map(|(key, element)| {
                    let config = config.at(&Path::root().key(key));
                    (key.clone(), with_write_only(nested, element, config))
                })
                .collect(),
        ),
        (Nesting::List, Value::List(elements)) => Value::List(
            elements
                .iter()
                .enumerate()
                .map(|(index, element)| {
                    let config = config.at(&Path::root().index(index));
                    with_write_only(nested, element, config)
                })
                .collect(),
        ),
        // Nothing in a set is write-only.
        _ => planned.clone(),
    }
}

/// The paths of the attributes whose change replaces the object and that do
/// change from `prior` to `planned`.
pub(crate) fn changed_replacing(schema: &Schema, prior: &Value, planned: &Value) -> Vec<Path> {
    let mut paths = Vec::new();
    collect_replacing(
        &schema.attributes,
        prior,
        planned,
        &Path::root(),
        &mut paths,
    );
    paths
}

fn collect_replacing(
    attributes: &Attributes,
    prior: &Value,
    planned: &Value,
    path: &Path,
    paths: &mut Vec<Path>,
) {
    for (name, attribute) in attributes {
        let step = Path::root().attribute(name);
        let (prior, planned) = (prior.at(&step), planned.at(&step));
        let path = path.attribute(name);
        if attribute.replaces && !prior.same(planned, &attribute.ty()) {
            paths.push(path);
        } else if let Shape::Nested(Nesting::Single, nested) = &attribute.shape
            && !prior.is_null()
            && !planned.is_null()
        {
            collect_replacing(nested, prior, planned, &path, paths);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{changed_replacing, propose, strip_write_only, with_write_only};
    use crate::plugin::{
        schema::{
            Element, Fields, OnUpdate, Schema, boolean, map_of, map_of_objects, number, object,
            string,
        },
        value::{Path, Value},
    };

    fn schema() -> Schema {
        Schema::new(
            "A test.",
            Fields::new()
                .with("name", string("").required().replaces())
                .with("on", boolean("").optional().default(true))
                .with(
                    "backend",
                    object(
                        Fields::new()
                            .with("image", string("").optional().inferred(OnUpdate::Keep))
                            .with("env", map_of(Element::String, "").optional())
                            .with("level", string("").optional().default("info")),
                        "",
                    )
                    .optional()
                    .filled(),
                )
                .with(
                    "secrets",
                    map_of_objects(
                        Fields::new()
                            .with("value_wo", string("").optional().write_only())
                            .with("version", number("").optional()),
                        "",
                    )
                    .optional(),
                )
                .with("id", string("").computed(OnUpdate::Keep))
                .with("revision", string("").computed(OnUpdate::Recompute)),
        )
    }

    fn config() -> Value {
        Value::from([
            ("name", Value::from("a")),
            ("on", Value::Null),
            ("backend", Value::Null),
            (
                "secrets",
                Value::from([(
                    "K",
                    Value::from([("value_wo", Value::from("hush")), ("version", Value::Null)]),
                )]),
            ),
            ("id", Value::Null),
            ("revision", Value::Null),
        ])
    }

    fn prior() -> Value {
        let mut prior = propose(&schema(), &Value::Null, &config());
        for (path, value) in [
            ("id", Value::from("i")),
            ("revision", Value::from("1")),
            ("backend.image", Value::from("img")),
        ] {
            *prior.at_mut(&Path::of(path)).unwrap() = value;
        }
        prior
    }

    #[test]
    fn a_create_shows_defaults_and_what_is_not_known_yet() {
        let planned = propose(&schema(), &Value::Null, &config());
        let expected = Value::from([
            ("name", Value::from("a")),
            ("on", Value::from(true)),
            (
                "backend",
                Value::from([
                    ("image", Value::Unknown),
                    ("env", Value::Null),
                    ("level", Value::from("info")),
                ]),
            ),
            (
                "secrets",
                Value::from([(
                    "K",
                    Value::from([("value_wo", Value::Null), ("version", Value::Null)]),
                )]),
            ),
            ("id", Value::Unknown),
            ("revision", Value::Unknown),
        ]);
        assert!(planned.same(&expected, &schema().ty()), "{planned:?}");
    }

    #[test]
    fn nothing_changed_means_the_prior_state() {
        let planned = propose(&schema(), &prior(), &config());
        assert!(planned.same(&prior(), &schema().ty()), "{planned:?}");
    }

    #[test]
    fn an_update_recomputes_only_what_is_marked() {
        let mut config = config();
        *config.at_mut(&Path::of("on")).unwrap() = Value::from(false);
        let planned = propose(&schema(), &prior(), &config);
        assert_eq!(planned.at(&Path::of("id")).as_str(), Some("i"));
        assert_eq!(planned.at(&Path::of("backend.image")).as_str(), Some("img"));
        assert!(planned.at(&Path::of("revision")).is_unknown());
    }

    #[test]
    fn what_leaves_the_configuration_goes_back_to_its_default() {
        let mut with_env = prior();
        *with_env.at_mut(&Path::of("backend.env")).unwrap() =
            Value::from([("A", Value::from("1"))]);
        *with_env.at_mut(&Path::of("backend.level")).unwrap() = Value::from("debug");
        let planned = propose(&schema(), &with_env, &config());
        assert!(planned.at(&Path::of("backend.env")).is_null());
        assert_eq!(
            planned.at(&Path::of("backend.level")).as_str(),
            Some("info")
        );
        assert_eq!(planned.at(&Path::of("backend.image")).as_str(), Some("img"));
    }

    #[test]
    fn write_only_values_come_and_go_with_the_request() {
        let planned = propose(&schema(), &Value::Null, &config());
        let path = Path::of("secrets").key("K").attribute("value_wo");
        assert!(planned.at(&path).is_null());
        let mut seen = with_write_only(&schema().attributes, &planned, &config());
        assert_eq!(seen.at(&path).as_str(), Some("hush"));
        strip_write_only(&schema().attributes, &mut seen);
        assert!(seen.same(&planned, &schema().ty()));
    }

    #[test]
    fn only_a_real_change_replaces() {
        let mut planned = prior();
        assert!(changed_replacing(&schema(), &prior(), &planned).is_empty());
        *planned.at_mut(&Path::of("name")).unwrap() = Value::from("b");
        assert_eq!(
            changed_replacing(&schema(), &prior(), &planned),
            [Path::of("name")]
        );
    }
}
