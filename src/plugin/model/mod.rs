//! Between [`Value`]s and a resource's own Rust types, through serde.
//!
//! A model is a struct with one field for each attribute, in serde's terms.
//! `Option` fields take null, and in create, read, update and delete they
//! also stand for what is not known yet.

mod de;
mod ser;

use std::fmt;

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, Error, Visitor},
};

use crate::plugin::value::{Number, Path, Step, Value};

/// By this name [`Number`] is told from other types, so that its text is kept:
/// serde itself has no numbers beyond the machine's.
const NUMBER: &str = "$terraform::Number";

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NUMBER, self.as_str())
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                Number::parse(text).ok_or_else(|| E::custom("not a number"))
            }
        }
        deserializer.deserialize_newtype_struct(NUMBER, Text)
    }
}

/// A value that does not fit the Rust type it is meant for.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", place(.steps))]
pub struct ModelError {
    /// The steps to the culprit, innermost first while the error travels up.
    steps: Vec<Step>,
    problem: String,
}

fn place(steps: &[Step]) -> String {
    let mut path = Path::root();
    for step in steps.iter().rev() {
        path = match step {
            Step::Attribute(name) => path.attribute(name),
            Step::Key(key) => path.key(key),
            Step::Index(index) => path.index(*index),
        };
    }
    match path.to_string() {
        path if path.is_empty() => path,
        path => format!("{path}: "),
    }
}

impl ModelError {
    /// What is wrong, in the words of the type that refused the value.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The culprit, below `base`.
    #[must_use]
    pub fn path(&self, base: &Path) -> Path {
        let mut path = base.clone();
        for step in self.steps.iter().rev() {
            path = match step {
                Step::Attribute(name) => path.attribute(name),
                Step::Key(key) => path.key(key),
                Step::Index(index) => path.index(*index),
            };
        }
        path
    }

    fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// Reads a model from a value.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, ModelError> {
    T::deserialize(de::Deserializer::new(value))
}

/// Writes a model as a value.
pub fn to_value<T: Serialize + ?Sized>(model: &T) -> Result<Value, ModelError> {
    model.serialize(ser::Serializer)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::{from_value, to_value};
    use crate::plugin::value::{Number, Path, Type, Value};

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Policy {
        Retain,
        Delete,
    }

    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[serde(try_from = "String", into = "String")]
    struct Even(String);

    impl TryFrom<String> for Even {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            if text.len().is_multiple_of(2) {
                Ok(Self(text))
            } else {
                Err("has an odd length".to_owned())
            }
        }
    }

    impl From<Even> for String {
        fn from(even: Even) -> Self {
            even.0
        }
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Model {
        name: String,
        size: Option<u64>,
        ratio: Option<f64>,
        exact: Option<Number>,
        policy: Option<Policy>,
        names: BTreeMap<String, Even>,
        list: Option<Vec<i64>>,
        nested: Option<Inner>,
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Inner {
        on: bool,
    }

    const EXACT: &str = "12345678901234567890.12345678901234567890";

    fn value() -> Value {
        Value::from([
            ("name", Value::from("n")),
            ("size", Value::Number(Number::parse("7").unwrap())),
            ("ratio", Value::Unknown),
            ("exact", Value::Number(Number::parse(EXACT).unwrap())),
            ("policy", Value::from("retain")),
            ("names", Value::from([("k", Value::from("ab"))])),
            ("list", Value::from(vec![1, 2])),
            ("nested", Value::from([("on", Value::from(true))])),
        ])
    }

    #[test]
    fn a_model_round_trips_and_unknown_reads_as_absent() {
        let model: Model = from_value(&value()).unwrap();
        assert_eq!(model.size, Some(7));
        assert_eq!(model.ratio, None);
        assert_eq!(model.policy, Some(Policy::Retain));
        let ty = Type::object([
            ("name", Type::String),
            ("size", Type::Number),
            ("ratio", Type::Number),
            ("exact", Type::Number),
            ("policy", Type::String),
            ("names", Type::map(Type::String)),
            ("list", Type::list(Type::Number)),
            ("nested", Type::object([("on", Type::Bool)])),
        ]);
        let mut expected = value();
        *expected.at_mut(&Path::of("ratio")).unwrap() = Value::Null;
        assert!(to_value(&model).unwrap().same(&expected, &ty));
    }

    #[test]
    fn an_unknown_element_reads_as_absent() {
        let mut part = value();
        *part.at_mut(&Path::of("names").key("k")).unwrap() = Value::Unknown;
        *part.at_mut(&Path::of("list").index(0)).unwrap() = Value::Unknown;
        let model: Model = from_value(&part).unwrap();
        assert!(model.names.is_empty());
        assert_eq!(model.list, Some(vec![2]));
    }

    #[test]
    fn a_refusal_tells_where_and_why() {
        let mut bad = value();
        *bad.at_mut(&Path::of("names").key("k")).unwrap() = Value::from("abc");
        let error = from_value::<Model>(&bad).unwrap_err();
        assert_eq!(error.problem(), "has an odd length");
        assert_eq!(error.path(&Path::root()), Path::of("names").key("k"));
        assert_eq!(error.to_string(), "names[\"k\"]: has an odd length");

        let mut bad = value();
        *bad.at_mut(&Path::of("nested.on")).unwrap() = Value::from("yes");
        let error = from_value::<Model>(&bad).unwrap_err();
        assert_eq!(error.path(&Path::of("x")), Path::of("x.nested.on"));
    }

    #[test]
    fn a_number_outside_its_type_is_refused() {
        let mut bad = value();
        *bad.at_mut(&Path::of("size")).unwrap() = Value::from(-1);
        assert!(from_value::<Model>(&bad).is_err());
    }
}
