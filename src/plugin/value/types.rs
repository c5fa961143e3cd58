//! The types of values and their JSON form.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{Path, Step};

/// A type of Terraform's type system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Any number of Unicode characters, in NFC.
    String,
    /// A decimal number of any size.
    Number,
    /// True or false.
    Bool,
    /// Any value; it carries its own type.
    Dynamic,
    /// An ordered sequence of one type.
    List(Box<Type>),
    /// Distinct elements of one type, without order.
    Set(Box<Type>),
    /// Values of one type by name.
    Map(Box<Type>),
    /// A sequence of fixed length with a type for each place.
    Tuple(Vec<Type>),
    /// Values by fixed names with a type for each.
    Object(BTreeMap<String, Type>),
}

impl Type {
    /// A list of `element`.
    #[must_use]
    pub fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    /// A set of `element`.
    #[must_use]
    pub fn set(element: Self) -> Self {
        Self::Set(Box::new(element))
    }

    /// A map of `element`.
    #[must_use]
    pub fn map(element: Self) -> Self {
        Self::Map(Box::new(element))
    }

    /// An object of the given attributes.
    #[must_use]
    pub fn object<N: Into<String>>(attributes: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Object(
            attributes
                .into_iter()
                .map(|(name, ty)| (name.into(), ty))
                .collect(),
        )
    }

    /// The type of what stands at `path` in a value of this type.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&Self> {
        path.steps()
            .iter()
            .try_fold(self, |ty, step| match (ty, step) {
                (Self::Object(attributes), Step::Attribute(name)) => attributes.get(name),
                (Self::Map(element), Step::Key(_)) | (Self::List(element), Step::Index(_)) => {
                    Some(&**element)
                }
                (Self::Tuple(elements), Step::Index(index)) => elements.get(*index),
                _ => None,
            })
    }

    /// The compact JSON that schemas and dynamic values carry.
    #[must_use]
    pub fn to_json(&self) -> String {
        self.json().to_string()
    }

    fn json(&self) -> Json {
        let pair = |kind: &str, of: Json| Json::Array(vec![kind.into(), of]);
        match self {
            Self::String => "string".into(),
            Self::Number => "number".into(),
            Self::Bool => "bool".into(),
            Self::Dynamic => "dynamic".into(),
            Self::List(element) => pair("list", element.json()),
            Self::Set(element) => pair("set", element.json()),
            Self::Map(element) => pair("map", element.json()),
            Self::Tuple(elements) => pair("tuple", elements.iter().map(Self::json).collect()),
            Self::Object(attributes) => pair(
                "object",
                attributes
                    .iter()
                    .map(|(name, ty)| (name.clone(), ty.json()))
                    .collect(),
            ),
        }
    }

    /// Reads the JSON form; the optional third element of an object type (its
    /// optional attributes) says nothing about a value and is skipped.
    #[must_use]
    pub fn from_json(json: &[u8]) -> Option<Self> {
        Self::read(&serde_json::from_slice(json).ok()?)
    }

    fn read(json: &Json) -> Option<Self> {
        match json {
            Json::String(name) => match name.as_str() {
                "string" => Some(Self::String),
                "number" => Some(Self::Number),
                "bool" => Some(Self::Bool),
                "dynamic" => Some(Self::Dynamic),
                _ => None,
            },
            Json::Array(parts) => {
                let of = parts.get(1)?;
                match parts.first()?.as_str()? {
                    "list" => Some(Self::list(Self::read(of)?)),
                    "set" => Some(Self::set(Self::read(of)?)),
                    "map" => Some(Self::map(Self::read(of)?)),
                    "tuple" => of
                        .as_array()?
                        .iter()
                        .map(Self::read)
                        .collect::<Option<_>>()
                        .map(Self::Tuple),
                    "object" => of
                        .as_object()?
                        .iter()
                        .map(|(name, ty)| Some((name.clone(), Self::read(ty)?)))
                        .collect::<Option<_>>()
                        .map(Self::Object),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Type;

    #[test]
    fn json_form_round_trips() {
        let ty = Type::object([
            ("a", Type::list(Type::String)),
            ("b", Type::Tuple(vec![Type::Number, Type::Bool])),
            ("c", Type::map(Type::set(Type::Dynamic))),
        ]);
        let json = r#"["object",{"a":["list","string"],"b":["tuple",["number","bool"]],"c":["map",["set","dynamic"]]}]"#;
        assert_eq!(ty.to_json(), json);
        assert_eq!(Type::from_json(json.as_bytes()), Some(ty));
    }

    #[test]
    fn optional_attributes_of_an_object_type_are_read_past() {
        let json = br#"["object",{"a":"string"},["a"]]"#;
        assert_eq!(
            Type::from_json(json),
            Some(Type::object([("a", Type::String)]))
        );
    }

    #[test]
    fn nonsense_is_no_type() {
        for json in ["", "\"text\"", "[\"list\"]", "{}", "[\"tuple\",\"string\"]"] {
            assert_eq!(Type::from_json(json.as_bytes()), None, "{json}");
        }
    }
}
