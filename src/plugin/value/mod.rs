//! Values as Terraform has them: known, null or not known yet, at any depth.

mod number;
mod path;
mod types;

use std::collections::BTreeMap;

pub use self::{
    number::Number,
    path::{Path, Step},
    types::Type,
};

/// A value. Which of list, set and tuple a [`Value::List`] is, and whether a
/// [`Value::Map`] is a map or an object, is said by the [`Type`] beside it.
///
/// There is no `PartialEq`: whether two values are the same depends on their
/// type (sets have no order) and on the question asked, see [`Value::same`].
#[derive(Clone, Debug)]
pub enum Value {
    /// Absent.
    Null,
    /// Not known before apply.
    Unknown,
    /// A truth value.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(String),
    /// The elements of a list, set or tuple.
    List(Vec<Value>),
    /// The elements of a map or the attributes of an object.
    Map(BTreeMap<String, Value>),
    /// A value in a place that admits any type, with the type it has.
    Dynamic(Type, Box<Value>),
}

impl Value {
    /// Whether this is [`Value::Null`], looking through a dynamic wrapper.
    #[must_use]
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Dynamic(_, value) => value.is_null(),
            _ => false,
        }
    }

    /// Whether this is [`Value::Unknown`] itself.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::Dynamic(_, value) => value.is_unknown(),
            _ => false,
        }
    }

    /// Whether neither this nor anything within it is unknown.
    #[must_use]
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::List(elements) => elements.iter().all(Self::is_wholly_known),
            Self::Map(elements) => elements.values().all(Self::is_wholly_known),
            Self::Dynamic(_, value) => value.is_wholly_known(),
            _ => true,
        }
    }

    /// The text, when this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Dynamic(_, value) => value.as_str(),
            _ => None,
        }
    }

    /// The elements or attributes, when this is a map or an object.
    #[must_use]
    pub fn as_map(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Map(elements) => Some(elements),
            _ => None,
        }
    }

    /// What stands at `path`. Inside null everything is null, and inside
    /// unknown everything is unknown.
    #[must_use]
    pub fn at(&self, path: &Path) -> &Self {
        let mut value = self;
        for step in path.steps() {
            value = match (value, step) {
                (Self::Unknown, _) => return &Self::Unknown,
                (Self::Map(elements), Step::Attribute(name) | Step::Key(name)) => {
                    elements.get(name).unwrap_or(&Self::Null)
                }
                (Self::List(elements), Step::Index(index)) => {
                    elements.get(*index).unwrap_or(&Self::Null)
                }
                _ => return &Self::Null,
            };
        }
        value
    }

    /// The place at `path`, when everything around it is known and present.
    pub fn at_mut(&mut self, path: &Path) -> Option<&mut Self> {
        let mut value = self;
        for step in path.steps() {
            value = match (value, step) {
                (Self::Map(elements), Step::Attribute(name) | Step::Key(name)) => {
                    elements.get_mut(name)?
                }
                (Self::List(elements), Step::Index(index)) => elements.get_mut(*index)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// Whether two values of type `ty` are the same. Unknown is the same as
    /// unknown, numbers compare by value and sets without order.
    #[must_use]
    pub fn same(&self, other: &Self, ty: &Type) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) | (Self::Unknown, Self::Unknown) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len()
                    && match ty {
                        Type::Set(element) => {
                            let within = |one: &Self, all: &[Self]| {
                                all.iter().any(|other| one.same(other, element))
                            };
                            a.iter().all(|one| within(one, b)) && b.iter().all(|one| within(one, a))
                        }
                        Type::List(element) => a.iter().zip(b).all(|(a, b)| a.same(b, element)),
                        Type::Tuple(types) => {
                            types.len() == a.len()
                                && a.iter().zip(b).zip(types).all(|((a, b), ty)| a.same(b, ty))
                        }
                        _ => false,
                    }
            }
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(name, a)| {
                        let ty = match ty {
                            Type::Map(element) => Some(&**element),
                            Type::Object(attributes) => attributes.get(name),
                            _ => None,
                        };
                        ty.is_some_and(|ty| b.get(name).is_some_and(|b| a.same(b, ty)))
                    })
            }
            (Self::Dynamic(a_type, a), Self::Dynamic(b_type, b)) => {
                a_type == b_type && a.same(b, a_type)
            }
            _ => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number.into())
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(elements: Vec<T>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }
}

/// An object or map from its parts.
impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(parts: [(&str, Value); N]) -> Self {
        Self::Map(
            parts
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Path, Type, Value};

    fn sample() -> Value {
        Value::from([
            ("a", Value::from(vec![Value::from(1), Value::Unknown])),
            ("b", Value::from([("c", Value::from("x"))])),
            ("d", Value::Unknown),
        ])
    }

    #[test]
    fn a_path_leads_through_objects_maps_and_lists() {
        let value = sample();
        assert_eq!(value.at(&Path::of("b.c")).as_str(), Some("x"));
        assert!(value.at(&Path::of("a").index(1)).is_unknown());
        assert!(value.at(&Path::of("a").index(2)).is_null());
        assert!(value.at(&Path::of("missing.deep")).is_null());
    }

    #[test]
    fn everything_inside_unknown_is_unknown() {
        let value = sample();
        assert!(value.at(&Path::of("d.e.f")).is_unknown());
        assert!(!value.is_wholly_known());
        assert!(value.at(&Path::of("b")).is_wholly_known());
    }

    #[test]
    fn sets_compare_without_order_and_lists_with() {
        let a = Value::from(vec!["x", "y"]);
        let b = Value::from(vec!["y", "x"]);
        assert!(a.same(&b, &Type::set(Type::String)));
        assert!(!a.same(&b, &Type::list(Type::String)));
        assert!(!a.same(&Value::from(vec!["x", "x"]), &Type::set(Type::String)));
    }
}
