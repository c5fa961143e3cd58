//! Values of calls, from and to the wire.

use super::Outcome;
use crate::plugin::{
    diagnostic::Diagnostic,
    proto::DynamicValue,
    redact,
    schema::Schema,
    value::{Type, Value},
    wire,
};

/// Reads a value and remembers the secrets in it, so that nothing said from
/// here on repeats them.
pub(super) fn decode(value: Option<&DynamicValue>, schema: &Schema) -> Outcome<Value> {
    let value = decode_as(value, &schema.ty())?;
    schema.secrets(&value, &mut redact::remember);
    Ok(value)
}

fn decode_as(value: Option<&DynamicValue>, ty: &Type) -> Outcome<Value> {
    let Some(value) = value else {
        return Ok(Value::Null);
    };
    let decoded = if value.msgpack.is_empty() && !value.json.is_empty() {
        wire::json::decode(&value.json, ty)
    } else {
        wire::msgpack::decode(&value.msgpack, ty)
    };
    decoded.map_err(|error| {
        Diagnostic::error(
            "Cannot read a value from Terraform",
            format!("{error}. Please report this to the provider's developers."),
        )
        .at(error.path.clone())
        .into()
    })
}

pub(super) fn encode(value: &Value, schema: &Schema) -> Outcome<DynamicValue> {
    schema.secrets(value, &mut redact::remember);
    encode_as(value, &schema.ty())
}

pub(super) fn encode_as(value: &Value, ty: &Type) -> Outcome<DynamicValue> {
    let msgpack = wire::msgpack::encode(value, ty).map_err(|error| {
        Diagnostic::error(
            "Bug in the provider",
            format!("{error}. Please report this to the provider's developers."),
        )
        .at(error.path.clone())
    })?;
    Ok(DynamicValue {
        msgpack,
        json: Vec::new(),
    })
}
