//! What a resource, data source, ephemeral resource or provider looks like in
//! a configuration.
//!
//! Schemas are written with the builders of [`build`], in whose types a set
//! of flags that Terraform refuses cannot be expressed. Only attributes are
//! offered: with protocol 6 they nest, and blocks bring nothing more.

mod build;
mod proto;

use std::{collections::BTreeMap, sync::Arc};

pub use self::build::{
    Attr, Draft, Element, Fields, Group, Leaf, Optional, Plain, Planned, Required, Secretive,
    boolean, list_of, list_of_objects, map_of, map_of_objects, number, object, set_of,
    set_of_objects, string,
};
use crate::plugin::{
    diagnostic::{Diagnostic, Diagnostics},
    value::{Path, Type, Value},
};

/// The schema of one object.
#[derive(Clone, Debug)]
pub struct Schema {
    pub(crate) version: i64,
    pub(crate) description: String,
    pub(crate) attributes: Attributes,
}

pub(crate) type Attributes = BTreeMap<String, Attribute>;

impl Schema {
    /// A schema of version 0.
    #[must_use]
    pub fn new<K>(description: &str, fields: Fields<K>) -> Self {
        Self {
            version: 0,
            description: description.to_owned(),
            attributes: fields.finish(),
        }
    }

    /// The same schema as version `version`. A greater version than that of a
    /// stored state calls for an upgrade of that state.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version.into();
        self
    }

    /// The type of values of this schema.
    #[must_use]
    pub fn ty(&self) -> Type {
        object_type(&self.attributes)
    }

    /// A value with every attribute null.
    #[must_use]
    pub fn empty(&self) -> Value {
        Value::Map(
            self.attributes
                .keys()
                .map(|name| (name.clone(), Value::Null))
                .collect(),
        )
    }

    /// Runs every attribute's own check on what is known of `config`.
    pub(crate) fn check(&self, config: &Value) -> Diagnostics {
        let mut problems = Diagnostics::default();
        check_object(&self.attributes, config, &Path::root(), &mut problems);
        problems
    }

    /// Calls `found` with every known, non-empty text that the schema says is
    /// sensitive or write-only.
    pub(crate) fn secrets<'a>(&self, value: &'a Value, found: &mut impl FnMut(&'a str)) {
        secrets_of_object(&self.attributes, value, found);
    }
}

impl Schema {
    /// The paths of write-only attributes for which `config` has something.
    pub(crate) fn write_only_given(&self, config: &Value) -> Vec<Path> {
        let mut paths = Vec::new();
        write_only_given(&self.attributes, config, &Path::root(), &mut paths);
        paths
    }

    pub(crate) fn without_write_only(&self, mut value: Value) -> Value {
        crate::plugin::planning::strip_write_only(&self.attributes, &mut value);
        value
    }
}

fn write_only_given(attributes: &Attributes, value: &Value, path: &Path, paths: &mut Vec<Path>) {
    for (name, attribute) in attributes {
        let value = value.at(&Path::root().attribute(name));
        let path = path.attribute(name);
        if attribute.write_only && !value.is_null() {
            paths.push(path);
        } else if let Shape::Nested(_, nested) = &attribute.shape {
            for (element, path) in attribute.nested(value, &path) {
                write_only_given(nested, element, &path, paths);
            }
        }
    }
}

/// One attribute, finished.
#[derive(Clone, Debug)]
pub(crate) struct Attribute {
    pub(crate) shape: Shape,
    pub(crate) presence: Presence,
    pub(crate) description: String,
    pub(crate) deprecated: Option<String>,
    pub(crate) sensitive: bool,
    pub(crate) write_only: bool,
    /// Whether a change of this attribute replaces the object.
    pub(crate) replaces: bool,
    /// The only texts allowed, when there is such a list.
    pub(crate) choices: &'static [&'static str],
    pub(crate) checks: Vec<Check>,
}

#[derive(Clone, Debug)]
pub(crate) enum Shape {
    Leaf(Type),
    Nested(Nesting, Attributes),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nesting {
    Single,
    List,
    Set,
    Map,
}

/// Who gives an attribute its value.
#[derive(Clone, Debug)]
pub(crate) enum Presence {
    /// The configuration, always.
    Required,
    /// The configuration, or nobody.
    Optional,
    /// The configuration, else this value.
    Defaulted(Value),
    /// The configuration; what it leaves out of the object is planned as if
    /// an empty object had been written.
    Filled,
    /// The configuration, else the provider.
    Inferred(OnUpdate),
    /// The provider, always.
    Computed(OnUpdate),
}

impl Presence {
    pub(crate) fn is_configurable(&self) -> bool {
        !matches!(self, Self::Computed(_))
    }

    pub(crate) fn is_computed(&self) -> bool {
        !matches!(self, Self::Required | Self::Optional)
    }
}

/// What a plan shows for a value of the provider's own when the object is
/// going to be updated. A resource's `plan` may say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUpdate {
    /// The prior value.
    Keep,
    /// That it is not known yet.
    Recompute,
}

/// A check of one attribute's value, told where it stands.
#[derive(Clone)]
pub(crate) struct Check(Arc<CheckFn>);

type CheckFn = dyn Fn(&Value, &Path, &mut Diagnostics) + Send + Sync;

impl Check {
    pub(crate) fn new(
        check: impl Fn(&Value, &Path, &mut Diagnostics) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(check))
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Check")
    }
}

impl Attribute {
    pub(crate) fn ty(&self) -> Type {
        match &self.shape {
            Shape::Leaf(ty) => ty.clone(),
            Shape::Nested(nesting, attributes) => {
                let object = object_type(attributes);
                match nesting {
                    Nesting::Single => object,
                    Nesting::List => Type::list(object),
                    Nesting::Set => Type::set(object),
                    Nesting::Map => Type::map(object),
                }
            }
        }
    }

    /// Calls `each` with the objects nested in a value of this attribute and
    /// their paths; a leaf has none.
    fn nested<'a>(&self, value: &'a Value, path: &Path) -> Vec<(&'a Value, Path)> {
        match (&self.shape, value) {
            (Shape::Nested(Nesting::Single, _), Value::Map(_)) => vec![(value, path.clone())],
            (Shape::Nested(Nesting::Map, _), Value::Map(elements)) => elements
                .iter()
                .map(|(key, element)| (element, path.key(key)))
                .collect(),
            (Shape::Nested(Nesting::List, _), Value::List(elements)) => elements
                .iter()
                .enumerate()
                .map(|(index, element)| (element, path.index(index)))
                .collect(),
            // Terraform takes no path into a set, so its elements' problems
            // are reported on the set.
            (Shape::Nested(Nesting::Set, _), Value::List(elements)) => elements
                .iter()
                .map(|element| (element, path.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }
}

pub(crate) fn object_type(attributes: &Attributes) -> Type {
    Type::object(
        attributes
            .iter()
            .map(|(name, attribute)| (name.clone(), attribute.ty())),
    )
}

fn check_object(attributes: &Attributes, value: &Value, path: &Path, problems: &mut Diagnostics) {
    let Value::Map(object) = value else { return };
    for (name, attribute) in attributes {
        let path = path.attribute(name);
        let Some(value) = object.get(name).filter(|value| !value.is_null()) else {
            if matches!(attribute.presence, Presence::Required) {
                let detail = format!("{path} is required, and its value is null. Give it a value.");
                problems.push(Diagnostic::error("Required attribute is null", detail).at(path));
            }
            continue;
        };
        if !attribute.presence.is_configurable() {
            problems.push(
                Diagnostic::error(
                    "Attribute cannot be set",
                    format!("{path} is decided by the provider, and only read. Remove it."),
                )
                .at(path),
            );
            continue;
        }
        if !value.is_unknown() {
            for check in &attribute.checks {
                (check.0)(value, &path, problems);
            }
        }
        check_elements(&attribute.ty(), value, &path, problems);
        if let Shape::Nested(_, attributes) = &attribute.shape {
            for (element, path) in attribute.nested(value, &path) {
                check_object(attributes, element, &path, problems);
            }
        }
    }
}

/// Refuses null in a list, set or map: Terraform checks the type of an element, of which null is
/// a value.
fn check_elements(ty: &Type, value: &Value, path: &Path, problems: &mut Diagnostics) {
    let elements: Vec<(&Value, Path)> = match (ty, value) {
        (Type::List(_), Value::List(elements)) => {
            let elements = elements.iter().enumerate();
            elements.map(|(at, it)| (it, path.index(at))).collect()
        }
        // Terraform takes no path into a set.
        (Type::Set(_), Value::List(elements)) => {
            elements.iter().map(|it| (it, path.clone())).collect()
        }
        (Type::Map(_), Value::Map(elements)) => {
            let elements = elements.iter();
            elements.map(|(key, it)| (it, path.key(key))).collect()
        }
        _ => return,
    };
    for (_, path) in elements.into_iter().filter(|(it, _)| it.is_null()) {
        let detail = match ty {
            Type::Set(_) => format!("{path} has an element that is null. Remove it."),
            _ => format!("{path} is null. Give it a value, or leave it out."),
        };
        problems.push(Diagnostic::error("Null in a collection", detail).at(path));
    }
}

fn secrets_of_object<'a>(
    attributes: &Attributes,
    value: &'a Value,
    found: &mut impl FnMut(&'a str),
) {
    let Value::Map(object) = value else { return };
    for (name, attribute) in attributes {
        let Some(value) = object.get(name) else {
            continue;
        };
        if attribute.sensitive || attribute.write_only {
            texts(value, found);
        } else if let Shape::Nested(_, attributes) = &attribute.shape {
            for (element, _) in attribute.nested(value, &Path::root()) {
                secrets_of_object(attributes, element, found);
            }
        }
    }
}

fn texts<'a>(value: &'a Value, found: &mut impl FnMut(&'a str)) {
    match value {
        Value::String(text) => found(text),
        Value::List(elements) => elements.iter().for_each(|element| texts(element, found)),
        Value::Map(elements) => elements.values().for_each(|element| texts(element, found)),
        Value::Dynamic(_, value) => texts(value, found),
        _ => {}
    }
}

/// The diagnostic of a value that its own type refuses.
pub fn invalid(path: &Path, problem: impl std::fmt::Display) -> Diagnostic {
    Diagnostic::error(format!("Invalid value for {path}"), problem.to_string()).at(path.clone())
}
