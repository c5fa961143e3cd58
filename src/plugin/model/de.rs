//! Values as a serde data format: reading.

use std::collections::btree_map;

use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::ModelError;
use crate::plugin::value::{Number, Step, Value};

impl de::Error for ModelError {
    fn custom<T: std::fmt::Display>(problem: T) -> Self {
        Self {
            steps: Vec::new(),
            problem: problem.to_string(),
        }
    }

    /// Speaks of Terraform's types, not of Rust's, and never shows the value: it may be a secret.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            Unexpected::Unit => "null",
            Unexpected::Bool(_) => "a bool",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) => "a string",
            Unexpected::Seq => "a list",
            Unexpected::Map => "an object",
            Unexpected::Other(kind) => kind,
            _ => "of another type",
        };
        let expected = expected.to_string();
        let expected = match expected.as_str() {
            "i64" | "u64" | "u32" | "u16" => "a whole number",
            "f64" => "a number",
            "a boolean" => "a bool",
            "a sequence" => "a list",
            rust if rust.starts_with("struct ") => "an object",
            other => other,
        };
        Self::custom(format_args!("The value is {found}. Give {expected}."))
    }
}

pub(super) struct Deserializer<'a> {
    value: &'a Value,
}

impl<'a> Deserializer<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        match value {
            Value::Dynamic(_, inner) => Self::new(inner),
            value => Self { value },
        }
    }

    fn unexpected(&self) -> Unexpected<'a> {
        match self.value {
            Value::Null | Value::Unknown | Value::Dynamic(..) => Unexpected::Unit,
            Value::Bool(truth) => Unexpected::Bool(*truth),
            Value::Number(_) => Unexpected::Other("a number"),
            // Not the text itself: it may be a secret.
            Value::String(_) => Unexpected::Other("a string"),
            Value::List(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
        }
    }

    fn map<V: Visitor<'a>>(&self, visitor: V, is_object: bool) -> Result<V::Value, ModelError> {
        match self.value {
            Value::Map(elements) => visitor.visit_map(Elements {
                rest: elements.iter(),
                current: None,
                is_object,
            }),
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }
}

fn visit_number<'de, V: Visitor<'de>>(number: &Number, visitor: V) -> Result<V::Value, ModelError> {
    match (number.as_i64(), number.as_u64()) {
        (Some(integer), _) => visitor.visit_i64(integer),
        (None, Some(integer)) => visitor.visit_u64(integer),
        (None, None) => visitor.visit_f64(number.to_f64()),
    }
}

impl<'de> de::Deserializer<'de> for Deserializer<'de> {
    type Error = ModelError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ModelError> {
        match self.value {
            Value::Null | Value::Unknown => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(*truth),
            Value::Number(number) => visit_number(number, visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::List(elements) => visitor.visit_seq(Sequence {
                rest: elements.iter().enumerate(),
            }),
            Value::Map(_) => self.map(visitor, true),
            Value::Dynamic(_, inner) => Self::new(inner).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ModelError> {
        match self.value {
            Value::Null | Value::Unknown => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ModelError> {
        match self.value {
            // Hands the text over, which alone has all the digits.
            Value::Number(number) if name == super::NUMBER => visitor.visit_str(number.as_str()),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ModelError> {
        match self.value {
            // The arguments of a function without parameters.
            Value::List(elements) if elements.is_empty() => visitor.visit_unit(),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ModelError> {
        self.map(visitor, false)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ModelError> {
        self.map(visitor, true)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ModelError> {
        match self.value {
            Value::String(text) if variants.contains(&text.as_str()) => {
                visitor.visit_enum(Variant { name: text })
            }
            Value::String(_) => Err(de::Error::custom(format_args!(
                "must be one of {}",
                variants
                    .iter()
                    .map(|variant| format!("{variant:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
            _ => Err(de::Error::invalid_type(self.unexpected(), &visitor)),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string
        bytes byte_buf unit_struct seq tuple tuple_struct identifier
        ignored_any
    }
}

struct Sequence<'a> {
    rest: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'de> SeqAccess<'de> for Sequence<'de> {
    type Error = ModelError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ModelError> {
        self.rest
            .find(|(_, element)| !element.is_unknown())
            .map(|(index, element)| {
                seed.deserialize(Deserializer::new(element))
                    .map_err(|error| error.within(Step::Index(index)))
            })
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        self.rest.size_hint().1
    }
}

struct Elements<'a> {
    rest: btree_map::Iter<'a, String, Value>,
    current: Option<(&'a String, &'a Value)>,
    is_object: bool,
}

impl Elements<'_> {
    fn step(&self, name: &str) -> Step {
        if self.is_object {
            Step::Attribute(name.to_owned())
        } else {
            Step::Key(name.to_owned())
        }
    }
}

impl<'de> MapAccess<'de> for Elements<'de> {
    type Error = ModelError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ModelError> {
        // An element that is not known yet reads as absent, as an attribute does.
        self.current = self
            .rest
            .find(|(_, value)| !value.is_unknown() || self.is_object);
        self.current
            .map(|(key, _)| {
                let key_reader: de::value::StrDeserializer<'_, ModelError> =
                    key.as_str().into_deserializer();
                seed.deserialize(key_reader)
                    .map_err(|error| error.within(self.step(key)))
            })
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, ModelError> {
        let (key, value) = self
            .current
            .take()
            .ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(Deserializer::new(value))
            .map_err(|error| error.within(self.step(key)))
    }
}

struct Variant<'a> {
    name: &'a str,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ModelError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self), ModelError> {
        let name: de::value::StrDeserializer<'_, ModelError> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

/// Enumerations are text, so no variant carries anything.
impl<'de> de::VariantAccess<'de> for Variant<'de> {
    type Error = ModelError;

    fn unit_variant(self) -> Result<(), ModelError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, ModelError> {
        Err(de::Error::custom("text names no variant with content"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ModelError> {
        Err(de::Error::custom("text names no variant with content"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ModelError> {
        Err(de::Error::custom("text names no variant with content"))
    }
}
