//! The JSON encoding of stored states.
//!
//! A state may have been written under an older version of the same schema:
//! attributes it lacks are null, and attributes the schema no longer has are
//! dropped, so that adding an attribute needs no migration.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::WireError;
use crate::plugin::value::{Number, Path, Type, Value};

/// Reads a stored value of type `ty`. Numbers keep all their digits.
pub fn decode(json: &[u8], ty: &Type) -> Result<Value, WireError> {
    let raw: &RawValue = parse(json, &Path::root())?;
    read(raw, ty, &Path::root())
}

fn parse<'a, T: serde::Deserialize<'a>>(json: &'a [u8], path: &Path) -> Result<T, WireError> {
    serde_json::from_slice(json).map_err(|error| {
        // The parser's own text may quote the value, so only its place is told.
        let problem = format!(
            "not the JSON expected here (line {}, column {})",
            error.line(),
            error.column()
        );
        WireError::new(path, problem)
    })
}

fn read(raw: &RawValue, ty: &Type, path: &Path) -> Result<Value, WireError> {
    let json = raw.get().as_bytes();
    if raw.get() == "null" {
        return Ok(Value::Null);
    }
    match ty {
        Type::String => parse(json, path).map(Value::String),
        Type::Bool => parse(json, path).map(Value::Bool),
        Type::Number => {
            // Terraform writes plain JSON numbers of any length.
            let text = raw.get().trim_matches('"');
            Number::parse(text)
                .map(Value::Number)
                .ok_or_else(|| WireError::new(path, "a number is expected"))
        }
        Type::Dynamic => {
            #[derive(serde::Deserialize)]
            struct Typed<'a> {
                #[serde(borrow)]
                value: &'a RawValue,
                #[serde(borrow, rename = "type")]
                ty: &'a RawValue,
            }
            let typed: Typed<'_> = parse(json, path)?;
            let ty = Type::from_json(typed.ty.get().as_bytes())
                .ok_or_else(|| WireError::new(path, "not a type"))?;
            let value = read(typed.value, &ty, path)?;
            Ok(Value::Dynamic(ty, Box::new(value)))
        }
        Type::List(of) | Type::Set(of) => parse::<Vec<&RawValue>>(json, path)?
            .into_iter()
            .enumerate()
            .map(|(index, element)| read(element, of, &path.index(index)))
            .collect::<Result<_, _>>()
            .map(Value::List),
        Type::Tuple(types) => {
            let elements = parse::<Vec<&RawValue>>(json, path)?;
            if elements.len() != types.len() {
                return Err(WireError::new(path, "a sequence of another length"));
            }
            elements
                .into_iter()
                .zip(types)
                .enumerate()
                .map(|(index, (element, ty))| read(element, ty, &path.index(index)))
                .collect::<Result<_, _>>()
                .map(Value::List)
        }
        Type::Map(of) => parse::<BTreeMap<String, &RawValue>>(json, path)?
            .into_iter()
            .map(|(key, element)| {
                let element = read(element, of, &path.key(&key))?;
                Ok((key, element))
            })
            .collect::<Result<_, _>>()
            .map(Value::Map),
        Type::Object(attributes) => {
            let stored = parse::<BTreeMap<String, &RawValue>>(json, path)?;
            attributes
                .iter()
                .map(|(name, ty)| {
                    let value = match stored.get(name) {
                        Some(value) => read(value, ty, &path.attribute(name))?,
                        None => Value::Null,
                    };
                    Ok((name.clone(), value))
                })
                .collect::<Result<_, _>>()
                .map(Value::Map)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::plugin::value::{Number, Path, Type, Value};

    #[test]
    fn a_stored_state_is_read_along_its_type() {
        let ty = Type::object([
            ("name", Type::String),
            ("size", Type::Number),
            ("tags", Type::map(Type::list(Type::Bool))),
            ("any", Type::Dynamic),
        ]);
        let json = br#"{
            "name": "a \"b\" \u00e9",
            "size": 123456789012345678901234567890,
            "tags": {"x": [true, null]},
            "any": {"value": [1, "two"], "type": ["tuple", ["number", "string"]]}
        }"#;
        let expected = Value::from([
            ("name", Value::from("a \"b\" é")),
            (
                "size",
                Value::Number(Number::parse("123456789012345678901234567890").unwrap()),
            ),
            (
                "tags",
                Value::from([("x", Value::from(vec![Value::from(true), Value::Null]))]),
            ),
            (
                "any",
                Value::Dynamic(
                    Type::Tuple(vec![Type::Number, Type::String]),
                    Box::new(Value::from(vec![Value::from(1), Value::from("two")])),
                ),
            ),
        ]);
        assert!(decode(json, &ty).unwrap().same(&expected, &ty));
    }

    #[test]
    fn attributes_may_come_and_go_between_versions() {
        let ty = Type::object([("new", Type::String), ("kept", Type::Bool)]);
        let value = decode(br#"{"kept": true, "gone": {"deep": 1}}"#, &ty).unwrap();
        let expected = Value::from([("new", Value::Null), ("kept", Value::from(true))]);
        assert!(value.same(&expected, &ty));
    }

    #[test]
    fn an_error_names_the_place_and_not_the_value() {
        let ty = Type::object([("list", Type::list(Type::Bool))]);
        let error = decode(br#"{"list": [true, "hunter2"]}"#, &ty).unwrap_err();
        assert_eq!(error.path, Path::of("list").index(1));
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(decode(b"{", &ty).is_err());
        assert!(decode(br#"{"list": [true, "hunter2}"#, &ty).is_err());
    }
}
