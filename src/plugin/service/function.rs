//! Calls of functions.

use super::{Service, codec::encode_as};
use crate::plugin::{
    diagnostic::{Diagnostics, wrap},
    members::Provider,
    proto::{self, DynamicValue},
    redact,
    value::Type,
    wire,
};

pub(super) fn function_error(argument: Option<usize>, text: &str) -> proto::FunctionError {
    proto::FunctionError {
        // Terraform puts a period behind it.
        text: wrap(&redact::strike_unmistakable(text.trim_end_matches('.'))),
        function_argument: argument.and_then(|index| i64::try_from(index).ok()),
    }
}

/// Diagnostics as the one text that a failed function has.
pub(super) fn text(errors: &Diagnostics) -> String {
    let texts: Vec<_> = errors
        .iter()
        .map(|error| error.detail().to_owned())
        .collect();
    texts.join("\n")
}

impl<P: Provider> Service<P> {
    pub(super) fn call(
        &self,
        request: &proto::call_function::Request,
    ) -> Result<DynamicValue, proto::FunctionError> {
        let function = self
            .members
            .functions
            .get(request.name.as_str())
            .ok_or_else(|| {
                function_error(
                    None,
                    &format!("This provider has no function {:?}.", request.name),
                )
            })?;
        let signature = function.signature();
        let arguments = request
            .arguments
            .iter()
            .enumerate()
            .map(|(index, argument)| {
                let ty = signature
                    .parameters
                    .get(index)
                    .or(signature.variadic.as_ref());
                let ty = ty.map_or(&Type::Dynamic, |parameter| &parameter.ty);
                wire::msgpack::decode(&argument.msgpack, ty)
                    .map_err(|error| function_error(Some(index), &error.to_string()))
            })
            .collect::<Result<_, _>>()?;
        let result = function
            .call(arguments)
            .map_err(|error| function_error(error.argument, &error.message))?;
        encode_as(&result, &signature.returns)
            .map_err(|errors| function_error(None, &text(&errors)))
    }
}
