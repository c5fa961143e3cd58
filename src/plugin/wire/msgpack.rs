//! The MessagePack encoding of values between Terraform and a provider.
//!
//! Source of the form: go-cty's msgpack package and Terraform's
//! `object-wire-format.md`. In short: unknown is any extension value, numbers
//! that are no machine integers are decimal text, a value of any type is a
//! pair of its type (as JSON in a binary) and itself.

use std::collections::BTreeMap;

use rmpv::Value as Raw;

use super::WireError;
use crate::plugin::value::{Number, Path, Type, Value};

/// Deeper nesting than any schema or sane dynamic value has.
const MAX_DEPTH: usize = 128;

/// Reads a value of type `ty`; no bytes at all mean null.
pub fn decode(bytes: &[u8], ty: &Type) -> Result<Value, WireError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let mut rest = bytes;
    let raw = rmpv::decode::read_value_with_max_depth(&mut rest, MAX_DEPTH)
        .map_err(|error| WireError::new(&Path::root(), format!("not MessagePack: {error}")))?;
    if !rest.is_empty() {
        let problem = format!("{} bytes after the value", rest.len());
        return Err(WireError::new(&Path::root(), problem));
    }
    read(raw, ty, &Path::root())
}

fn read(raw: Raw, ty: &Type, path: &Path) -> Result<Value, WireError> {
    match (raw, ty) {
        (Raw::Nil, _) => Ok(Value::Null),
        // Refinements narrow what an unknown value can become. Nothing is
        // decided by them here, so all unknown values are alike.
        (Raw::Ext(..), _) => Ok(Value::Unknown),
        (raw, Type::Dynamic) => read_dynamic(raw, path),
        (Raw::Boolean(truth), Type::Bool) => Ok(Value::Bool(truth)),
        (Raw::String(text), Type::String) => text
            .into_str()
            .map(Value::String)
            .ok_or_else(|| WireError::new(path, "text that is not UTF-8")),
        (raw, Type::Number) => read_number(&raw).map(Value::Number).ok_or_else(|| {
            WireError::new(path, format!("a number is expected, not {}", kind(&raw)))
        }),
        (Raw::Array(elements), Type::List(of) | Type::Set(of)) => elements
            .into_iter()
            .enumerate()
            .map(|(index, element)| read(element, of, &path.index(index)))
            .collect::<Result<_, _>>()
            .map(Value::List),
        (Raw::Array(elements), Type::Tuple(types)) if elements.len() == types.len() => elements
            .into_iter()
            .zip(types)
            .enumerate()
            .map(|(index, (element, ty))| read(element, ty, &path.index(index)))
            .collect::<Result<_, _>>()
            .map(Value::List),
        (Raw::Map(entries), Type::Map(of)) => read_entries(entries, path)?
            .into_iter()
            .map(|(key, element)| {
                let element = read(element, of, &path.key(&key))?;
                Ok((key, element))
            })
            .collect::<Result<_, _>>()
            .map(Value::Map),
        (Raw::Map(entries), Type::Object(attributes)) => read_object(entries, attributes, path),
        (raw, ty) => {
            let problem = format!("{} is expected, not {}", ty.to_json(), kind(&raw));
            Err(WireError::new(path, problem))
        }
    }
}

fn read_entries(entries: Vec<(Raw, Raw)>, path: &Path) -> Result<Vec<(String, Raw)>, WireError> {
    entries
        .into_iter()
        .map(|(key, value)| match key {
            Raw::String(key) if key.is_str() => Ok((key.into_str().unwrap_or_default(), value)),
            other => Err(WireError::new(
                path,
                format!("a key that is {}", kind(&other)),
            )),
        })
        .collect()
}

fn read_object(
    entries: Vec<(Raw, Raw)>,
    attributes: &BTreeMap<String, Type>,
    path: &Path,
) -> Result<Value, WireError> {
    let mut object = BTreeMap::new();
    for (name, value) in read_entries(entries, path)? {
        let ty = attributes
            .get(&name)
            .ok_or_else(|| WireError::new(path, format!("unexpected attribute {name:?}")))?;
        let value = read(value, ty, &path.attribute(&name))?;
        object.insert(name, value);
    }
    match attributes.keys().find(|name| !object.contains_key(*name)) {
        Some(missing) => Err(WireError::new(
            path,
            format!("attribute {missing:?} is missing"),
        )),
        None => Ok(Value::Map(object)),
    }
}

fn read_dynamic(raw: Raw, path: &Path) -> Result<Value, WireError> {
    let Raw::Array(parts) = raw else {
        let problem = format!("a pair of type and value is expected, not {}", kind(&raw));
        return Err(WireError::new(path, problem));
    };
    let [ty, value] = <[Raw; 2]>::try_from(parts)
        .map_err(|parts| WireError::new(path, format!("{} parts, not a pair", parts.len())))?;
    let json = match &ty {
        Raw::Binary(json) => json.as_slice(),
        Raw::String(json) => json.as_bytes(),
        _ => return Err(WireError::new(path, "a type is expected first")),
    };
    let ty = Type::from_json(json).ok_or_else(|| WireError::new(path, "not a type"))?;
    let value = read(value, &ty, path)?;
    Ok(Value::Dynamic(ty, Box::new(value)))
}

fn read_number(raw: &Raw) -> Option<Number> {
    match raw {
        Raw::Integer(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Some(number.into()),
            (None, Some(number)) => Some(number.into()),
            (None, None) => None,
        },
        // Widened as decimal text, so that 0.1 stays 0.1.
        Raw::F32(number) => Number::parse(&number.to_string()),
        Raw::F64(number) => Number::from_f64(*number),
        Raw::String(text) => Number::parse(text.as_str()?),
        _ => None,
    }
}

fn kind(raw: &Raw) -> &'static str {
    match raw {
        Raw::Nil => "nothing",
        Raw::Boolean(_) => "a truth value",
        Raw::Integer(_) | Raw::F32(_) | Raw::F64(_) => "a number",
        Raw::String(_) => "text",
        Raw::Binary(_) => "binary data",
        Raw::Array(_) => "a sequence of another length or kind",
        Raw::Map(_) => "a map",
        Raw::Ext(..) => "an extension",
    }
}

/// Writes `value` as a value of type `ty`.
pub fn encode(value: &Value, ty: &Type) -> Result<Vec<u8>, WireError> {
    let raw = write(value, ty, &Path::root())?;
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, &raw)
        .map_err(|error| WireError::new(&Path::root(), error.to_string()))?;
    Ok(bytes)
}

fn write(value: &Value, ty: &Type, path: &Path) -> Result<Raw, WireError> {
    match (value, ty) {
        (Value::Null, _) => Ok(Raw::Nil),
        // go-cty takes an extension of type 0 with one byte as "unknown".
        (Value::Unknown, _) => Ok(Raw::Ext(0, vec![0])),
        (Value::Dynamic(of, value), Type::Dynamic) => Ok(Raw::Array(vec![
            Raw::Binary(of.to_json().into_bytes()),
            write(value, of, path)?,
        ])),
        (Value::Bool(truth), Type::Bool) => Ok(Raw::Boolean(*truth)),
        (Value::String(text), Type::String) => Ok(Raw::from(text.as_str())),
        (Value::Number(number), Type::Number) => Ok(match (number.as_i64(), number.as_str()) {
            (Some(integer), _) => Raw::from(integer),
            (None, text) => Raw::from(text),
        }),
        (Value::List(elements), Type::List(of) | Type::Set(of)) => elements
            .iter()
            .enumerate()
            .map(|(index, element)| write(element, of, &path.index(index)))
            .collect::<Result<_, _>>()
            .map(Raw::Array),
        (Value::List(elements), Type::Tuple(types)) if elements.len() == types.len() => elements
            .iter()
            .zip(types)
            .enumerate()
            .map(|(index, (element, ty))| write(element, ty, &path.index(index)))
            .collect::<Result<_, _>>()
            .map(Raw::Array),
        (Value::Map(elements), Type::Map(of)) => elements
            .iter()
            .map(|(key, element)| {
                let element = write(element, of, &path.key(key))?;
                Ok((Raw::from(key.as_str()), element))
            })
            .collect::<Result<_, _>>()
            .map(Raw::Map),
        (Value::Map(object), Type::Object(attributes)) => {
            if let Some(extra) = object.keys().find(|name| !attributes.contains_key(*name)) {
                let problem = format!("unexpected attribute {extra:?}");
                return Err(WireError::new(path, problem));
            }
            attributes
                .iter()
                .map(|(name, ty)| {
                    let value = object.get(name).ok_or_else(|| {
                        WireError::new(path, format!("attribute {name:?} is missing"))
                    })?;
                    let value = write(value, ty, &path.attribute(name))?;
                    Ok((Raw::from(name.as_str()), value))
                })
                .collect::<Result<_, _>>()
                .map(Raw::Map)
        }
        (_, ty) => Err(WireError::new(
            path,
            format!("not a value of type {}", ty.to_json()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, decode, encode};
    use crate::plugin::value::{Number, Path, Type, Value};

    fn same(value: &Value, ty: &Type, other: &Value) {
        assert!(value.same(other, ty), "{value:?}\n{other:?}");
    }

    #[test]
    fn every_kind_round_trips() {
        let ty = Type::object([
            ("text", Type::String),
            ("truth", Type::Bool),
            ("number", Type::Number),
            ("list", Type::list(Type::String)),
            ("set", Type::set(Type::Number)),
            ("map", Type::map(Type::Bool)),
            ("tuple", Type::Tuple(vec![Type::String, Type::Bool])),
            ("any", Type::Dynamic),
            ("null", Type::list(Type::String)),
            ("unknown", Type::map(Type::String)),
        ]);
        let value = Value::from([
            ("text", Value::from("é")),
            ("truth", Value::from(true)),
            ("number", Value::from(-3)),
            ("list", Value::from(vec!["a", ""])),
            ("set", Value::from(vec![1, 2])),
            ("map", Value::from([("k", Value::from(false))])),
            ("tuple", Value::from(vec![Value::from("x"), Value::Unknown])),
            (
                "any",
                Value::Dynamic(Type::list(Type::Number), Box::new(Value::from(vec![7]))),
            ),
            ("null", Value::Null),
            ("unknown", Value::Unknown),
        ]);
        let bytes = encode(&value, &ty).unwrap();
        same(&value, &ty, &decode(&bytes, &ty).unwrap());
    }

    #[test]
    fn numbers_lose_nothing() {
        for text in [
            "0.1",
            "18446744073709551615",
            "123456789012345678901234567890",
            "-1.5e-300",
        ] {
            let number = Value::Number(Number::parse(text).unwrap());
            let bytes = encode(&number, &Type::Number).unwrap();
            same(
                &number,
                &Type::Number,
                &decode(&bytes, &Type::Number).unwrap(),
            );
        }
        // As Terraform sends them: int, float64, text.
        for (bytes, text) in [
            (&b"\x05"[..], "5"),
            (b"\xcb\x3f\xf8\0\0\0\0\0\0", "1.5"),
            (b"\xa30.1", "0.1"),
            (b"\xca\x3d\xcc\xcc\xcd", "0.1"),
        ] {
            let number = Value::Number(Number::parse(text).unwrap());
            same(
                &number,
                &Type::Number,
                &decode(bytes, &Type::Number).unwrap(),
            );
        }
    }

    #[test]
    fn unknown_values_are_read_with_and_without_refinements() {
        // What Terraform 1.11.4 sends for a plain unknown, and for "b-${id}".
        for bytes in [
            &b"\xd4\0\0"[..],
            b"\xc7\x08\x0c\x82\x01\xc2\x02\xa3\x62\x2d\x31",
        ] {
            assert!(decode(bytes, &Type::String).unwrap().is_unknown());
        }
        assert_eq!(encode(&Value::Unknown, &Type::String).unwrap(), b"\xd4\0\0");
    }

    #[test]
    fn dynamic_values_may_be_null_or_unknown_at_each_level() {
        let ty = Type::Dynamic;
        assert!(decode(b"\xc0", &ty).unwrap().is_null());
        assert!(decode(b"\xd4\0\0", &ty).unwrap().is_unknown());
        let typed_unknown = decode(b"\x92\xc4\x08\"string\"\xd4\0\0", &ty).unwrap();
        assert!(typed_unknown.is_unknown());
        assert!(matches!(&typed_unknown, Value::Dynamic(Type::String, _)));
        let typed_null = decode(b"\x92\xc4\x08\"string\"\xc0", &ty).unwrap();
        assert!(typed_null.is_null());
        same(
            &typed_null,
            &ty,
            &decode(&encode(&typed_null, &ty).unwrap(), &ty).unwrap(),
        );
    }

    /// Terraform brings all text it gets or reads into NFC itself. Doing so here
    /// would do harm: of characters newer than its own tables it says that they
    /// are another text than the configuration's.
    #[test]
    fn text_goes_through_as_it_is() {
        // The two halves of a letter of Unicode 16.
        let newer = "e\u{301}\u{113c2}\u{113c2}";
        let bytes = encode(&Value::from(newer), &Type::String).unwrap();
        let read = decode(&bytes, &Type::String).unwrap();
        assert_eq!(read.as_str(), Some(newer));
    }

    #[test]
    fn an_object_has_each_attribute_exactly_once() {
        let ty = Type::object([("a", Type::object([("b", Type::String)]))]);
        let error = decode(b"\x81\xa1a\x80", &ty).unwrap_err();
        assert_eq!(error.to_string(), "a: attribute \"b\" is missing");
        let error = decode(b"\x82\xa1a\xc0\xa1z\xc0", &ty).unwrap_err();
        assert_eq!(error.to_string(), "unexpected attribute \"z\"");
        let error = encode(&Value::from([("a", Value::from([]))]), &ty).unwrap_err();
        assert_eq!(error.path, Path::of("a"));
        let extra = Value::from([("a", Value::Null), ("z", Value::Null)]);
        assert!(encode(&extra, &ty).is_err());
    }

    #[test]
    fn malformed_input_is_an_error_with_its_path() {
        let ty = Type::object([("a", Type::list(Type::Bool))]);
        let error = decode(b"\x81\xa1a\x91\xa1x", &ty).unwrap_err();
        assert_eq!(error.path, Path::of("a").index(0));
        assert!(decode(b"\x81", &ty).is_err());
        assert!(decode(b"\xc0\xc0", &ty).is_err());
        let deep = vec![0x91; MAX_DEPTH * 2];
        assert!(decode(&deep, &Type::Dynamic).is_err());
    }

    #[test]
    fn no_bytes_are_null() {
        assert!(decode(b"", &Type::Bool).unwrap().is_null());
    }
}
