//! Builders of schemas in which a wrong set of flags cannot be written.
//!
//! An attribute starts as a [`Draft`] that says what it holds, becomes an
//! [`Attr`] by saying who gives it its value, and takes the remaining flags
//! from there. The rules are Terraform's (`configschema.InternalValidate`,
//! v1.11.4), for example: a required attribute is not computed; a write-only
//! attribute is not computed, holds no objects and is in no set; an object
//! with something write-only in it is not computed.

use std::{collections::BTreeMap, fmt::Display, marker::PhantomData, str::FromStr};

use super::{Attribute, Attributes, Check, Nesting, OnUpdate, Presence, Shape, invalid};
use crate::plugin::{
    diagnostic::Diagnostics,
    value::{Path, Type, Value},
};

/// An attribute of a plain type.
#[derive(Debug)]
pub struct Leaf;
/// An attribute that holds objects, nothing in them write-only.
#[derive(Debug)]
pub struct Group;
/// An attribute that is, or has in its objects, something write-only. As
/// contents: at least one such attribute.
#[derive(Debug)]
pub struct Secretive;
/// Contents without anything write-only.
#[derive(Debug)]
pub struct Plain;

/// The configuration must give the value.
#[derive(Debug)]
pub struct Required;
/// The configuration may give the value.
#[derive(Debug)]
pub struct Optional;
/// The provider gives the value when the configuration does not.
#[derive(Debug)]
pub struct Planned;

/// What an attribute holds, before anything else is said of it.
#[derive(Debug)]
pub struct Draft<K> {
    shape: Shape,
    description: &'static str,
    kind: PhantomData<K>,
}

/// An attribute whose value comes from where `P` says.
#[derive(Debug)]
pub struct Attr<P, K> {
    attribute: Attribute,
    kind: PhantomData<(P, K)>,
}

/// What the elements of a list, set or map of plain values are.
#[derive(Clone, Copy, Debug)]
pub enum Element {
    /// Text.
    String,
    /// Numbers.
    Number,
    /// Truth values.
    Bool,
}

impl Element {
    fn ty(self) -> Type {
        match self {
            Self::String => Type::String,
            Self::Number => Type::Number,
            Self::Bool => Type::Bool,
        }
    }
}

fn leaf(ty: Type, description: &'static str) -> Draft<Leaf> {
    Draft {
        shape: Shape::Leaf(ty),
        description,
        kind: PhantomData,
    }
}

/// Text.
#[must_use]
pub fn string(description: &'static str) -> Draft<Leaf> {
    leaf(Type::String, description)
}

/// A number.
#[must_use]
pub fn number(description: &'static str) -> Draft<Leaf> {
    leaf(Type::Number, description)
}

/// A truth value.
#[must_use]
pub fn boolean(description: &'static str) -> Draft<Leaf> {
    leaf(Type::Bool, description)
}

/// A list of plain values.
#[must_use]
pub fn list_of(element: Element, description: &'static str) -> Draft<Leaf> {
    leaf(Type::list(element.ty()), description)
}

/// A set of plain values.
#[must_use]
pub fn set_of(element: Element, description: &'static str) -> Draft<Leaf> {
    leaf(Type::set(element.ty()), description)
}

/// A map of plain values.
#[must_use]
pub fn map_of(element: Element, description: &'static str) -> Draft<Leaf> {
    leaf(Type::map(element.ty()), description)
}

fn nested<K: Contents>(
    nesting: Nesting,
    fields: Fields<K>,
    description: &'static str,
) -> Draft<K::Holder> {
    Draft {
        shape: Shape::Nested(nesting, fields.finish()),
        description,
        kind: PhantomData,
    }
}

/// One object.
#[must_use]
pub fn object<K: Contents>(fields: Fields<K>, description: &'static str) -> Draft<K::Holder> {
    nested(Nesting::Single, fields, description)
}

/// Objects in order.
#[must_use]
pub fn list_of_objects<K: Contents>(
    fields: Fields<K>,
    description: &'static str,
) -> Draft<K::Holder> {
    nested(Nesting::List, fields, description)
}

/// Objects by name.
#[must_use]
pub fn map_of_objects<K: Contents>(
    fields: Fields<K>,
    description: &'static str,
) -> Draft<K::Holder> {
    nested(Nesting::Map, fields, description)
}

/// Distinct objects without order; nothing in them may be write-only.
#[must_use]
pub fn set_of_objects(fields: Fields<Plain>, description: &'static str) -> Draft<Group> {
    nested(Nesting::Set, fields, description)
}

impl<K> Draft<K> {
    fn with<P>(self, presence: Presence) -> Attr<P, K> {
        Attr {
            attribute: Attribute {
                shape: self.shape,
                presence,
                description: self.description.to_owned(),
                deprecated: None,
                sensitive: false,
                write_only: false,
                replaces: false,
                choices: &[],
                checks: Vec::new(),
            },
            kind: PhantomData,
        }
    }

    /// The configuration must give it.
    #[must_use]
    pub fn required(self) -> Attr<Required, K> {
        self.with(Presence::Required)
    }

    /// The configuration may give it; otherwise it is null.
    #[must_use]
    pub fn optional(self) -> Attr<Optional, K> {
        self.with(Presence::Optional)
    }
}

impl Draft<Leaf> {
    /// Only the provider gives it.
    #[must_use]
    pub fn computed(self, on_update: OnUpdate) -> Attr<Planned, Leaf> {
        self.with(Presence::Computed(on_update))
    }
}

impl Draft<Group> {
    /// Only the provider gives it.
    #[must_use]
    pub fn computed(self, on_update: OnUpdate) -> Attr<Planned, Group> {
        self.with(Presence::Computed(on_update))
    }
}

impl<P, K> Attr<P, K> {
    fn becomes<Q, L>(self) -> Attr<Q, L> {
        Attr {
            attribute: self.attribute,
            kind: PhantomData,
        }
    }

    fn given<Q>(mut self, presence: Presence) -> Attr<Q, K> {
        self.attribute.presence = presence;
        self.becomes()
    }

    /// Terraform shows the value as `(sensitive value)`. It is still in the
    /// state in plain text.
    #[must_use]
    pub fn sensitive(mut self) -> Self {
        self.attribute.sensitive = true;
        self
    }

    /// A change of the value replaces the object.
    #[must_use]
    pub fn replaces(mut self) -> Self {
        self.attribute.replaces = true;
        self
    }

    /// The attribute is going to be removed; `instead` says what to use.
    #[must_use]
    pub fn deprecated(mut self, instead: &'static str) -> Self {
        self.attribute.deprecated = Some(instead.to_owned());
        self
    }

    /// Runs `check` on the configured value once it is known. Parts of it may
    /// still be unknown.
    #[must_use]
    pub fn check(
        mut self,
        check: impl Fn(&Value, &Path, &mut Diagnostics) + Send + Sync + 'static,
    ) -> Self {
        self.attribute.checks.push(Check::new(check));
        self
    }

    /// The configured text must parse as `T`; so must each element's text of a
    /// list, set or map.
    #[must_use]
    pub fn parsed<T: FromStr<Err: Display> + 'static>(self) -> Self {
        self.parsed_with(T::from_str)
    }

    /// As [`Attr::parsed`], for a type that has no `FromStr`.
    #[must_use]
    pub fn parsed_with<T: 'static, E: Display + 'static>(
        self,
        parse: fn(&str) -> Result<T, E>,
    ) -> Self {
        fn each(
            value: &Value,
            path: &Path,
            problem: &impl Fn(&str) -> Option<String>,
            found: &mut Diagnostics,
        ) {
            match value {
                Value::String(text) => {
                    if let Some(problem) = problem(text) {
                        found.push(invalid(path, problem));
                    }
                }
                Value::List(elements) => {
                    for (index, element) in elements.iter().enumerate() {
                        each(element, &path.index(index), problem, found);
                    }
                }
                Value::Map(elements) => {
                    for (key, element) in elements {
                        each(element, &path.key(key), problem, found);
                    }
                }
                _ => {}
            }
        }
        let problem = move |text: &str| parse(text).err().map(|error| error.to_string());
        self.check(move |value, path, found| each(value, path, &problem, found))
    }

    /// Each key of the configured map must parse as `T`.
    #[must_use]
    pub fn keys_parsed<T: FromStr<Err: Display> + 'static>(self) -> Self {
        self.check(|value, path, found| {
            for key in value.as_map().into_iter().flat_map(BTreeMap::keys) {
                if let Err(problem) = key.parse::<T>() {
                    found.push(invalid(&path.key(key), problem));
                }
            }
        })
    }

    /// The configured text must be one of `choices`.
    #[must_use]
    pub fn one_of(mut self, choices: &'static [&'static str]) -> Self {
        self.attribute.choices = choices;
        self.check(|value, path, found| {
            if let Some(text) = value.as_str().filter(|text| !choices.contains(text)) {
                let choices = choices
                    .iter()
                    .map(|choice| format!("{choice:?}"))
                    .collect::<Vec<_>>()
                    .join(" or ");
                found.push(invalid(path, format!("{text:?} is not {choices}.")));
            }
        })
    }
}

impl<P> Attr<P, Leaf> {
    /// The configured number must be a whole number within these bounds.
    #[must_use]
    pub fn within(self, bounds: std::ops::RangeInclusive<i64>) -> Self {
        self.check(move |value, path, found| {
            if let Value::Number(number) = value
                && !number
                    .as_i64()
                    .is_some_and(|number| bounds.contains(&number))
            {
                let problem = format!(
                    "{} is not a whole number from {} to {}.",
                    number.as_str(),
                    bounds.start(),
                    bounds.end()
                );
                found.push(invalid(path, problem));
            }
        })
    }
}

impl Attr<Required, Leaf> {
    /// The value is handed to the provider and stored nowhere.
    #[must_use]
    pub fn write_only(mut self) -> Attr<Required, Secretive> {
        self.attribute.write_only = true;
        self.becomes()
    }
}

impl Attr<Optional, Leaf> {
    /// The value is handed to the provider and stored nowhere.
    #[must_use]
    pub fn write_only(mut self) -> Attr<Optional, Secretive> {
        self.attribute.write_only = true;
        self.becomes()
    }

    /// What stands in the plan when the configuration gives nothing.
    #[must_use]
    pub fn default(self, value: impl Into<Value>) -> Attr<Planned, Leaf> {
        self.given(Presence::Defaulted(value.into()))
    }

    /// The provider works it out when the configuration gives nothing.
    #[must_use]
    pub fn inferred(self, on_update: OnUpdate) -> Attr<Planned, Leaf> {
        self.given(Presence::Inferred(on_update))
    }
}

impl Attr<Optional, Group> {
    /// Left out, it is planned as if an empty object had been written, so
    /// that a plan shows the defaults of its attributes.
    #[must_use]
    pub fn filled(self) -> Attr<Planned, Group> {
        self.given(Presence::Filled)
    }

    /// The provider works it out when the configuration gives nothing.
    #[must_use]
    pub fn inferred(self, on_update: OnUpdate) -> Attr<Planned, Group> {
        self.given(Presence::Inferred(on_update))
    }
}

/// The attributes of a schema or of a nested object.
#[derive(Debug)]
pub struct Fields<K> {
    attributes: Attributes,
    kind: PhantomData<K>,
}

/// Decides what kind of attribute holds objects with such contents.
pub trait Contents {
    /// That kind.
    type Holder;
}

impl Contents for Plain {
    type Holder = Group;
}

impl Contents for Secretive {
    type Holder = Secretive;
}

/// Decides what contents become with one more attribute of kind `K`.
pub trait With<K> {
    /// The contents then.
    type Contents;
}

impl<C> With<Leaf> for C {
    type Contents = C;
}

impl<C> With<Group> for C {
    type Contents = C;
}

impl<C> With<Secretive> for C {
    type Contents = Secretive;
}

impl Fields<Plain> {
    /// No attributes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            attributes: Attributes::new(),
            kind: PhantomData,
        }
    }
}

impl Default for Fields<Plain> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> Fields<C> {
    /// With one more attribute.
    ///
    /// # Panics
    ///
    /// When the name is taken or is no Terraform identifier: both are slips
    /// in a schema, which the first test that builds it shows.
    #[must_use]
    pub fn with<P, K>(
        mut self,
        name: &'static str,
        attribute: Attr<P, K>,
    ) -> Fields<<C as With<K>>::Contents>
    where
        C: With<K>,
    {
        let identifier = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        assert!(identifier(name), "{name:?} is no attribute name");
        let taken = self.attributes.insert(name.to_owned(), attribute.attribute);
        assert!(taken.is_none(), "attribute {name:?} is declared twice");
        Fields {
            attributes: self.attributes,
            kind: PhantomData,
        }
    }

    pub(super) fn finish(self) -> Attributes {
        self.attributes
    }
}

#[cfg(test)]
mod tests {
    use super::{Element, Fields, OnUpdate, map_of, number, object, string};
    use crate::plugin::{
        schema::Schema,
        value::{Path, Value},
    };

    fn schema() -> Schema {
        Schema::new(
            "A test.",
            Fields::new()
                .with("port", string("").optional().parsed::<u16>())
                .with(
                    "names",
                    map_of(Element::String, "").optional().keys_parsed::<u8>(),
                )
                .with(
                    "inner",
                    object(
                        Fields::new()
                            .with("count", number("").optional().within(1..=3))
                            .with("key", string("").optional().sensitive())
                            .with("policy", string("").optional().one_of(&["keep", "drop"])),
                        "",
                    )
                    .optional(),
                ),
        )
    }

    #[test]
    fn checks_report_the_path_of_the_culprit() {
        let config = Value::from([
            ("port", Value::from("70000")),
            (
                "names",
                Value::from([("1", Value::Unknown), ("x", Value::from(""))]),
            ),
            (
                "inner",
                Value::from([
                    ("count", Value::from(4)),
                    ("key", Value::Null),
                    ("policy", Value::from("burn")),
                ]),
            ),
        ]);
        let mut culprits: Vec<_> = schema()
            .check(&config)
            .iter()
            .map(|problem| problem.path().cloned().unwrap_or_default().to_string())
            .collect();
        culprits.sort();
        assert_eq!(
            culprits,
            ["inner.count", "inner.policy", "names[\"x\"]", "port"]
        );
    }

    #[test]
    fn what_the_provider_decides_cannot_be_given() {
        let schema = Schema::new(
            "A test.",
            Fields::new()
                .with("id", string("").computed(OnUpdate::Keep))
                .with("kept", string("").optional().inferred(OnUpdate::Keep)),
        );
        let config = |id: Value| Value::from([("id", id), ("kept", Value::from("x"))]);
        assert!(schema.check(&config(Value::Null)).is_empty());
        for given in [Value::from("x"), Value::Unknown] {
            let found = schema.check(&config(given));
            let culprits: Vec<_> = found.iter().filter_map(|it| it.path()).collect();
            assert_eq!(culprits, [&Path::of("id")]);
        }
    }

    #[test]
    fn unknown_and_absent_values_are_not_checked() {
        let config = Value::from([
            ("port", Value::Unknown),
            ("names", Value::Null),
            ("inner", Value::Unknown),
        ]);
        assert!(schema().check(&config).is_empty());
    }

    #[test]
    fn sensitive_texts_are_found_at_any_depth() {
        let value = Value::from([
            ("port", Value::from("open")),
            ("inner", Value::from([("key", Value::from("hidden"))])),
        ]);
        let mut found = Vec::new();
        schema().secrets(&value, &mut |text| found.push(text));
        assert_eq!(found, ["hidden"]);
        assert!(!value.at(&Path::of("inner")).is_null());
    }
}
