//! Values as a serde data format: writing.

use std::collections::BTreeMap;

use serde::ser::{self, Impossible, Serialize};

use super::ModelError;
use crate::plugin::value::{Number, Step, Value};

impl ser::Error for ModelError {
    fn custom<T: std::fmt::Display>(problem: T) -> Self {
        Self {
            steps: Vec::new(),
            problem: problem.to_string(),
        }
    }
}

fn unsupported(what: &str) -> ModelError {
    ser::Error::custom(format_args!("{what} have no form in Terraform"))
}

pub(super) struct Serializer;

impl ser::Serializer for Serializer {
    type Ok = Value;
    type Error = ModelError;
    type SerializeSeq = Sequence;
    type SerializeTuple = Sequence;
    type SerializeTupleStruct = Sequence;
    type SerializeMap = Elements;
    type SerializeStruct = Elements;
    type SerializeTupleVariant = Impossible<Value, ModelError>;
    type SerializeStructVariant = Impossible<Value, ModelError>;

    fn serialize_bool(self, truth: bool) -> Result<Value, ModelError> {
        Ok(Value::Bool(truth))
    }

    fn serialize_i8(self, number: i8) -> Result<Value, ModelError> {
        self.serialize_i64(number.into())
    }

    fn serialize_i16(self, number: i16) -> Result<Value, ModelError> {
        self.serialize_i64(number.into())
    }

    fn serialize_i32(self, number: i32) -> Result<Value, ModelError> {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Result<Value, ModelError> {
        Ok(Value::Number(number.into()))
    }

    fn serialize_u8(self, number: u8) -> Result<Value, ModelError> {
        self.serialize_u64(number.into())
    }

    fn serialize_u16(self, number: u16) -> Result<Value, ModelError> {
        self.serialize_u64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Result<Value, ModelError> {
        self.serialize_u64(number.into())
    }

    fn serialize_u64(self, number: u64) -> Result<Value, ModelError> {
        Ok(Value::Number(number.into()))
    }

    fn serialize_f32(self, number: f32) -> Result<Value, ModelError> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<Value, ModelError> {
        Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| unsupported("infinite numbers"))
    }

    fn serialize_char(self, character: char) -> Result<Value, ModelError> {
        Ok(Value::String(character.into()))
    }

    fn serialize_str(self, text: &str) -> Result<Value, ModelError> {
        Ok(Value::from(text))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<Value, ModelError> {
        Err(unsupported("bytes"))
    }

    fn serialize_none(self) -> Result<Value, ModelError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ModelError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ModelError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, ModelError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, ModelError> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Value, ModelError> {
        match value.serialize(self)? {
            Value::String(text) if name == super::NUMBER => Number::parse(&text)
                .map(Value::Number)
                .ok_or_else(|| ser::Error::custom("not a number")),
            value => Ok(value),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Value, ModelError> {
        Err(unsupported("variants with content"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Sequence, ModelError> {
        Ok(Sequence::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<Sequence, ModelError> {
        Ok(Sequence::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Sequence, ModelError> {
        Ok(Sequence::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, ModelError> {
        Err(unsupported("variants with content"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Elements, ModelError> {
        Ok(Elements::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Elements, ModelError> {
        Ok(Elements::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, ModelError> {
        Err(unsupported("variants with content"))
    }
}

#[derive(Default)]
pub(super) struct Sequence(Vec<Value>);

impl Sequence {
    fn push<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), ModelError> {
        let index = self.0.len();
        self.0.push(
            element
                .serialize(Serializer)
                .map_err(|error| error.within(Step::Index(index)))?,
        );
        Ok(())
    }
}

impl ser::SerializeSeq for Sequence {
    type Ok = Value;
    type Error = ModelError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), ModelError> {
        self.push(element)
    }

    fn end(self) -> Result<Value, ModelError> {
        Ok(Value::List(self.0))
    }
}

impl ser::SerializeTuple for Sequence {
    type Ok = Value;
    type Error = ModelError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), ModelError> {
        self.push(element)
    }

    fn end(self) -> Result<Value, ModelError> {
        Ok(Value::List(self.0))
    }
}

impl ser::SerializeTupleStruct for Sequence {
    type Ok = Value;
    type Error = ModelError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, element: &T) -> Result<(), ModelError> {
        self.push(element)
    }

    fn end(self) -> Result<Value, ModelError> {
        Ok(Value::List(self.0))
    }
}

#[derive(Default)]
pub(super) struct Elements {
    elements: BTreeMap<String, Value>,
    key: Option<String>,
}

impl ser::SerializeMap for Elements {
    type Ok = Value;
    type Error = ModelError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ModelError> {
        match key.serialize(Serializer)? {
            Value::String(key) => {
                self.key = Some(key);
                Ok(())
            }
            _ => Err(unsupported("keys that are no text")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ModelError> {
        let key = self.key.take().unwrap_or_default();
        let value = value
            .serialize(Serializer)
            .map_err(|error| error.within(Step::Key(key.clone())))?;
        self.elements.insert(key, value);
        Ok(())
    }

    fn end(self) -> Result<Value, ModelError> {
        Ok(Value::Map(self.elements))
    }
}

impl ser::SerializeStruct for Elements {
    type Ok = Value;
    type Error = ModelError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), ModelError> {
        let value = value
            .serialize(Serializer)
            .map_err(|error| error.within(Step::Attribute(name.to_owned())))?;
        self.elements.insert(name.to_owned(), value);
        Ok(())
    }

    fn end(self) -> Result<Value, ModelError> {
        Ok(Value::Map(self.elements))
    }
}
